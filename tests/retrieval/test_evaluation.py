import json

import numpy as np
import pytest
from retrieval_reference import make_codes, random_codes

from medhash.errors import MedhashError
from medhash.retrieval.evaluation import DEFAULT_CUTOFFS, evaluate, evaluate_file, summary_text
from medhash.schema.settings import EvaluationSettings

KEYS = {
    *("protocol", "map", "map_at", "precision_at", "recall_at", "ndcg_at", "acg_at"),
    *("hit_ratio_at", "mrr_at", "map_weighted", "pr_curve", "tie_range"),
    *("queries", "queries_without_relevant", "database", "distance", "bits"),
}


@pytest.fixture
def codes():
    return random_codes(0, 12, 20, 60, 4, True)


@pytest.mark.parametrize("protocol", ["tie-aware", "stable"])
def test_metrics_are_json_with_the_agreed_keys(codes, protocol):
    metrics = evaluate(codes, protocol).metrics
    assert set(metrics) == KEYS
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert metrics["protocol"] == protocol
    assert (metrics["queries"], metrics["database"], metrics["bits"]) == (20, 60, 12)
    assert metrics["pr_curve"]["radius"] == list(range(13))


def test_cutoffs_beyond_the_database_are_left_out(codes):
    metrics = evaluate(codes, cutoffs=[100, 60, 5, 5, 61]).metrics
    assert list(metrics["map_at"]) == list(metrics["acg_at"]) == ["5", "60"]


def test_no_cutoffs(codes):
    metrics = evaluate(codes, "stable", cutoffs=()).metrics
    assert metrics["precision_at"] == {}
    assert "P@K" not in summary_text(metrics)


def test_same_default_cutoffs_as_the_settings():
    assert EvaluationSettings().cutoffs == DEFAULT_CUTOFFS


@pytest.mark.parametrize("cutoff", [0, -1, 2.5, True, "10"])
def test_bad_cutoff_is_named(codes, cutoff):
    with pytest.raises(MedhashError, match="cutoff K is a whole number from 1"):
        evaluate(codes, cutoffs=[cutoff])


def test_unknown_protocol_is_named(codes):
    with pytest.raises(MedhashError, match="tie-aware, stable, not 'best'"):
        evaluate(codes, "best")


def test_too_many_shared_labels_are_refused():
    labels = np.ones((1, 1001))
    with pytest.raises(MedhashError, match="share up to 1001 labels"):
        evaluate(make_codes([[0]], [[1]], labels, labels))


def test_evaluate_file_is_evaluate_of_the_codes(codes, tmp_path):
    codes.save(tmp_path / "codes.npz")
    for protocol in ("tie-aware", "stable"):
        expected = evaluate(codes, protocol, [3])
        assert evaluate_file(tmp_path / "codes.npz", protocol, [3]) == expected.metrics
        with_queries = evaluate_file(tmp_path / "codes.npz", protocol, [3], per_query=True)
        assert with_queries.pop("per_query_ap") == expected.per_query_ap.tolist()
        assert with_queries == expected.metrics
    json.dumps(with_queries, allow_nan=False)


def test_summary_names_what_was_measured(codes):
    metrics = evaluate(codes, cutoffs=[10]).metrics
    text = summary_text(metrics)
    assert "20 queries, 60 database items, 12 bits, protocol tie-aware" in text
    assert f"mAP {metrics['map']:.4f}" in text
    assert all(f"{value:.4f}" in text for value in metrics["tie_range"])
    assert f"{metrics['ndcg_at']['10']:.4f}" in text
    assert f"{metrics['queries_without_relevant']} queries have no relevant item" in text
