import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from retrieval_reference import distance, make_codes, random_arrays, shared_labels

import medhash
from medhash.retrieval import kernels
from medhash.retrieval.counting import count
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.reading import load

ROOT = Path(__file__).parents[2]
CODES = sorted((ROOT / "results/small").glob("**/codes.npz"))


@pytest.mark.parametrize(
    ("bits", "classes", "items"), [(1, 2, 40), (64, 4, 30), (130, 70, 25), (9, 3, 5000)]
)
def test_pairs_are_counted_as_in_a_loop(bits, classes, items):
    arrays = random_arrays(bits, bits, 3, items, classes, True)
    query, database, query_labels, database_labels = arrays
    table = count(make_codes(*arrays)).table
    expected = np.zeros_like(table)
    for i, (code, labels) in enumerate(zip(query, query_labels, strict=True)):
        for other, others in zip(database, database_labels, strict=True):
            expected[i, distance(code, other), shared_labels(labels, others)] += 1
    assert np.array_equal(table, expected)


def test_distances_are_summed_in_turn():
    rng = np.random.default_rng(0)
    queries, others = rng.normal(size=(3, 19)), rng.normal(size=(300, 19))
    expected = [
        [sum((a - b) ** 2 for a, b in zip(q, o, strict=True)) for o in others] for q in queries
    ]
    found = kernels.squared_distances(queries, np.ascontiguousarray(others.T))
    assert found.tolist() == expected


@pytest.mark.parametrize("size", [1, 7, 8, 9, 64, 128, 129, 136, 1000, 16_965])
def test_sums_add_up_as_those_of_numpy(size):
    terms = np.random.default_rng(size).normal(size=size)
    for used in {0, 1, size // 3, size - 1, size}:
        terms[used:] = 0.0
        assert kernels._sum(terms, used) == terms.sum()
        terms = np.random.default_rng(used).normal(size=size)


@pytest.mark.parametrize("path", CODES[::7], ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_committed_records_are_made_again_to_the_last_bit(path):
    codes = load(path)
    record = json.loads(path.with_name("record.json").read_text(encoding="utf-8"))
    evaluation = evaluate(codes, cutoffs=[int(k) for k in record["metrics"]["map_at"]])
    assert json.loads(json.dumps(evaluation.metrics)) == record["metrics"]
    assert evaluation.per_query_ap.tolist() == record["per_query_ap"]
    assert evaluate(codes, "stable", ()).metrics["map"] == record["stable"]["map"]


def test_where_nothing_can_be_kept_it_is_compiled_again(tmp_path):
    package = shutil.copytree(Path(medhash.__file__).parent, tmp_path / "src/medhash")
    for cache in package.rglob("__pycache__"):
        shutil.rmtree(cache)
    (package / "retrieval/__pycache__").write_text("not a folder")
    check = "from medhash.retrieval import kernels; print(kernels.__file__, kernels._bits_set(7))"
    (tmp_path / "home").write_text("not a folder")
    home = {name: str(tmp_path / "home/cache") for name in ("HOME", "XDG_CACHE_HOME")}
    environment = os.environ | home | {"PYTHONPATH": str(tmp_path / "src")}
    environment.pop("NUMBA_CACHE_DIR", None)
    command = [sys.executable, "-B", "-c", check]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(package / "retrieval/kernels.py"), "3"], done.stderr


@pytest.mark.parametrize(
    "module",
    ["medhash.retrieval.evaluation", "medhash.retrieval.search", "medhash.records.scoring"],
)
def test_numba_is_loaded_where_pairs_are_counted_alone(module):
    check = f"import sys, {module}; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
