"""Diagnoses and CDRs of a dataset's index, and what records make of them."""

from itertools import islice

import numpy as np
import pandas as pd
import pytest

from medhash.files import write_json
from medhash.records.attributes import attribute_scores
from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors
from medhash.schema.settings import EvaluationSettings
from told import description

QUERIES, ITEMS = 6, 24
SCORING = EvaluationSettings(cutoffs=(5, 10), map_at="k", attributes=True)
DISEASES = ["lung cancer(adenocarcinoma)", "lung cancer(small cell)", "granuloma", "hamartoma"]


@pytest.fixture
def dataset(tmp_path):
    """An index with diagnoses and CDRs, and labels of two classes."""
    draw = np.random.default_rng(0)
    count = QUERIES + ITEMS
    diagnoses = draw.choice(DISEASES, count)
    labels = np.eye(2, dtype=np.uint8)[draw.integers(0, 2, count)]
    labels[:2] = np.eye(2, dtype=np.uint8)
    index = pd.DataFrame(
        {
            "image_id": [f"image{row}" for row in range(count)],
            "diagnosis": diagnoses,
            "cdr": draw.random(count).round(4),
        }
    )
    index.to_csv(tmp_path / "index.csv", index=False)
    np.save(tmp_path / "labels.npy", labels)
    write_json(tmp_path / "dataset.json", description() | {"classes": ["Normal", "Glaucoma"]})
    return tmp_path / "index.csv"


def vectors(dataset, kind=Codes, seed=1):
    draw = np.random.default_rng(seed)
    labels = np.load(dataset.parent / "labels.npy")
    rows = np.arange(QUERIES), np.arange(QUERIES, QUERIES + ITEMS)
    shown = labels[rows[0]], labels[rows[1]], *rows
    if kind is Codes:
        packed = (np.packbits(draw.integers(0, 2, (len(r), 3)), axis=1) for r in rows)
        return Codes(*packed, 3, *shown)
    points = (draw.integers(0, 3, (len(r), 2)).astype(np.float32) for r in rows)
    return Descriptors(*points, "euclidean", *shown)


def changed(dataset, **columns):
    index = pd.read_csv(dataset, dtype=str, keep_default_na=False)
    index.assign(**columns).to_csv(dataset, index=False)
    return dataset


def shuffles(own):
    """Lists of items for each query without end, nearest first, ties drawn by lot."""
    draw = np.random.default_rng(7)
    distances = own.distances(own.query_vectors)
    while True:
        yield np.lexsort((draw.random(distances.shape), distances), axis=1)


def walked(own, same, k):
    """P@K and AP@K (over K) of lists that are really drawn, averaged."""
    precisions, averages = [], []
    for order in islice(shuffles(own), 1500):
        hits = np.take_along_axis(same, order, axis=1)[:, :k]
        found = hits.cumsum(axis=1)
        precisions.append(hits.mean())
        averages.append((hits * found / np.arange(1, k + 1)).sum(axis=1).mean() / k)
    return np.mean(precisions), np.mean(averages)


@pytest.mark.parametrize("kind", [Codes, Descriptors])
@pytest.mark.parametrize("name", ["disease", "fine_disease"])
def test_the_same_disease_is_relevant(dataset, kind, name):
    own = vectors(dataset, kind)
    texts = pd.read_csv(dataset)["diagnosis"]
    kinds = texts if name == "fine_disease" else texts.str.split("(").str[0]
    same = kinds.to_numpy()[:QUERIES, None] == kinds.to_numpy()[QUERIES:]
    metrics, random = attribute_scores(own, SCORING, dataset)
    for k in (5, 10):
        precision, average = walked(own, same, k)
        assert metrics[f"{name}_precision_at"][str(k)] == pytest.approx(precision, abs=0.01)
        assert metrics[f"{name}_map_at"][str(k)] == pytest.approx(average, abs=0.01)
        assert random[f"{name}_precision_at"][str(k)] == pytest.approx(same.mean())


def test_kinds_of_one_disease_are_one_disease(dataset):
    own, random = vectors(dataset), "disease_precision_at"
    _, by_chance = attribute_scores(own, SCORING, dataset)
    assert by_chance[random]["5"] > by_chance[f"fine_{random}"]["5"]


@pytest.mark.parametrize("kind", [Codes, Descriptors])
def test_the_gap_of_all_queries_and_of_the_ill_ones(dataset, kind):
    own = vectors(dataset, kind)
    ratios = pd.read_csv(dataset)["cdr"].to_numpy()
    gaps = np.abs(ratios[:QUERIES, None] - ratios[QUERIES:])
    ill = own.query_labels[:, 1] == 1
    drawn = [np.take_along_axis(gaps, o, axis=1)[:, :10] for o in islice(shuffles(own), 1500)]
    metrics, random = attribute_scores(own, SCORING, dataset)
    assert metrics["cdr_gap"]["10"] == pytest.approx(np.mean(drawn), abs=0.005)
    of_the_ill = np.mean([each[ill] for each in drawn])
    assert metrics["cdr_gap_glaucoma"]["10"] == pytest.approx(of_the_ill, abs=0.005)
    assert random["cdr_gap"] == pytest.approx({"5": gaps.mean(), "10": gaps.mean()})
    assert random["cdr_gap_glaucoma"]["10"] == pytest.approx(gaps[ill].mean())


def test_images_whose_attribute_is_unknown_are_left_out(dataset):
    texts = pd.read_csv(dataset)["diagnosis"].to_list()
    unknown = changed(dataset, diagnosis=["", *texts[1:-1], ""])
    own = vectors(unknown)
    part = Codes(
        own.query_codes[1:],
        own.database_codes[:-1],
        3,
        own.query_labels[1:],
        own.database_labels[:-1],
        own.query_rows[1:],
        own.database_rows[:-1],
    )
    assert (
        attribute_scores(own, SCORING, unknown)[0]["disease_map_at"]
        == (attribute_scores(part, SCORING, unknown)[0]["disease_map_at"])
    )


def test_what_the_index_does_not_tell_is_no_metric(dataset):
    own = vectors(dataset)
    assert attribute_scores(own, SCORING, None) == ({}, {})
    empty = changed(dataset, diagnosis="", cdr="")
    assert attribute_scores(own, SCORING, empty) == ({}, {})
    pd.read_csv(dataset)[["image_id"]].to_csv(dataset, index=False)
    assert attribute_scores(own, SCORING, dataset) == ({}, {})
