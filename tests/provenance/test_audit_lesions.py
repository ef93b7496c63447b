"""An audit computes P@10 of lesion patches again from their codes."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from medhash.audit.cell_checks import check_lesions
from medhash.audit.evidence import Evidence
from medhash.audit.findings import State
from medhash.configuration.loading import load
from medhash.flow.steps import Steps
from medhash.retrieval.arrays import write_arrays
from medhash.retrieval.codes import Codes
from medhash.retrieval.patches import patch_scores
from medhash.retrieval.precision import precision_at_ten
from medhash.schema.cell import Cell

PROJECT = Path(__file__).resolve().parents[2]
CELL = Cell("ach", "phantom_covid_ct", "adsh", "ach", 8, 0)


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    configuration = load(PROJECT / "config/config.yaml", {"scale": "demo"})
    monkeypatch.chdir(tmp_path)
    return configuration


@pytest.fixture
def finished(configuration):
    """The files of a search with four patches; the search's JSON can be changed."""
    random = np.random.default_rng(3)
    bits = random.integers(0, 256, (50, 1), dtype=np.uint8)
    labels = np.eye(2, dtype=np.uint8)[np.arange(50) % 2]
    sides = bits[:12], bits[12:], 8, labels[:12], labels[12:], np.arange(12), np.arange(12, 50)
    codes, layout = Codes(*sides), configuration.layout
    codes.save(layout.codes(CELL))
    rows = np.array([1, 4, 4, 6])
    packed = random.integers(0, 256, (4, 1), dtype=np.uint8)
    write_arrays(layout.lesion_patches(CELL), {"rows": rows, "codes": packed})
    classes = ["COVID", "NonCOVID"]
    score = partial(precision_at_ten, protocol="tie-aware")
    facts = {"scale": "demo", "cell": vars(CELL), "classes": classes, "patches": 4}
    facts |= patch_scores(codes, rows, packed, classes, score)

    def write(**changes):
        layout.lesions(CELL).write_text(json.dumps(facts | changes))
        return facts

    write()
    return write


def findings(configuration):
    step = Steps(configuration).lesions(CELL)
    return list(check_lesions(step, Evidence(configuration)))


def test_an_untouched_search_is_verified(configuration, finished):
    (finding,) = findings(configuration)
    assert (finding.state, finding.text) == (State.VERIFIED, "of 4 patches computed again")


@pytest.mark.parametrize("side", ["patches", "images"])
def test_a_changed_digit_is_named(configuration, finished, side):
    precision = dict(finished()["precision_at_10"])
    precision[side] += 1e-4
    finished(precision_at_10=precision)
    (finding,) = findings(configuration)
    assert finding.state == State.BROKEN
    assert f"P@10 of these patches is another: precision_at_10.{side}: " in finding.text


def test_changed_codes_of_patches_are_found(configuration, finished):
    path = configuration.layout.lesion_patches(CELL)
    write_arrays(path, {"rows": np.array([1, 4, 4, 6]), "codes": np.zeros((4, 1), np.uint8)})
    assert findings(configuration)[0].state == State.BROKEN
    write_arrays(path, {"rows": np.array([1, 40]), "codes": np.zeros((2, 1), np.uint8)})
    assert "cannot be computed again: codes: lack the query" in findings(configuration)[0].text


def test_a_search_of_another_cell_or_scale_is_found(configuration, finished):
    finished(cell=vars(CELL) | {"variant": "none"}, scale="small")
    states = [finding.state for finding in findings(configuration)]
    assert states == [State.BROKEN, State.BROKEN, State.VERIFIED]


def test_without_patches_there_is_nothing_to_compute(configuration, finished):
    finished(patches=0, reason="no lesion is marked")
    (finding,) = findings(configuration)
    assert finding.state == State.VERIFIED
    assert "there are none: no lesion is marked" in finding.text


def test_what_is_not_here_is_said(configuration, finished):
    configuration.layout.lesion_patches(CELL).unlink()
    assert [f.state for f in findings(configuration)] == [State.MISSING]
    configuration.layout.lesions(CELL).unlink()
    assert [f.state for f in findings(configuration)] == [State.MISSING]
