"""Leakage against loops over all pairs, and the tables."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from medhash.data import duplicates
from medhash.data.leakage import measure, queries_without_partner, write_leakage
from medhash.data.splits.making import write_split
from medhash.errors import MedhashError
from medhash.files import write_json
from medhash.schema.datasets import SplitRule
from told import description


def random_dataset(
    images: int, seed: int = 0, unused: float = 0.1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """An index and a split full of exact and near duplicates, label conflicts and patients."""
    rng = np.random.default_rng(seed)
    originals = rng.integers(0, 2**64, images // 3, dtype=np.uint64)
    source = rng.integers(0, len(originals), images)
    flips = rng.choice([0, 0, 0, 0, 1, 2, 3, 4, 5, 8], images)
    hashes = []
    for place, count in zip(source, flips, strict=True):
        value = int(originals[place])
        for bit in rng.choice(64, count, replace=False):
            value ^= 1 << int(bit)
        hashes.append(value)
    # Images with the same hash share their pixels in half of the cases.
    pixels = [f"{value:x}.{rng.integers(0, 2)}" for value in hashes]
    index = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(images)],
            "classes": rng.choice(["a", "b", "a|b", "b|a"], images),
            "pixel_sha256": pixels,
            "perceptual_hash": [f"{value:016x}" for value in hashes],
            "patient_id": rng.choice(["", *(f"p{number}" for number in range(images))], images),
        }
    )
    roles = rng.choice(["query", "database", "none"], images, p=[0.3, 0.7 - unused, unused])
    split = pd.DataFrame({"row": range(images), "image_id": index["image_id"], "role": roles})
    return index, split


def reference_pairs(index: pd.DataFrame, split: pd.DataFrame, near: int) -> set[tuple]:
    """The pairs by two loops over the definition."""
    found = set()
    for q in range(len(index)):
        for d in range(len(index)):
            if split["role"][q] != "query" or split["role"][d] != "database":
                continue
            one, other = (int(index["perceptual_hash"][row], 16) for row in (q, d))
            distance = bin(one ^ other).count("1")
            exact = index["pixel_sha256"][q] == index["pixel_sha256"][d]
            labels = [set(index["classes"][row].split("|")) for row in (q, d)]
            if exact or distance <= near:
                kind = "exact" if exact else "near"
                found.add((q, d, kind, distance, labels[0] == labels[1]))
    return found


@pytest.mark.parametrize(("seed", "near"), [(0, 4), (1, 0), (2, 7), (3, 64)])
def test_pairs_and_counts_match_loops(seed, near, monkeypatch):
    monkeypatch.setattr(duplicates, "_CHUNK", 200)  # several chunks
    index, split = random_dataset(120, seed)
    found = measure(index, split, near)
    columns = ["query_row", "database_row", "kind", "distance", "same_label"]
    rows = [tuple(row) for row in found.pairs[columns].itertuples(index=False)]
    expected = reference_pairs(index, split, near)
    assert len(rows) == len(set(rows))
    assert set(rows) == expected
    assert rows == sorted(rows, key=lambda row: row[:2])
    for kind in ("exact", "near", "either"):
        some = [row for row in expected if kind in (row[2], "either")]
        conflicts = [row for row in some if not row[4]]
        queries = {row[0] for row in some}
        assert found.summary[kind] == {
            "queries": len(queries),
            "queries_share": len(queries) / (split["role"] == "query").sum(),
            "pairs": len(some),
            "queries_other_label": len({row[0] for row in conflicts}),
            "pairs_other_label": len(conflicts),
        }
    by_distance = found.summary["pairs_by_distance"]
    assert sum(by_distance.values()) == len(expected)
    assert all(by_distance[str(row[3])] for row in expected)


def test_random_data_has_every_kind_of_leak():
    """So that the comparison above compares something."""
    summary = measure(*random_dataset(120), 4).summary
    assert summary["exact"]["queries_other_label"] > 0
    assert summary["near"]["queries_other_label"] > 0
    assert summary["groups"]["patient_id"]["queries"] > 0


def test_shared_patients_match_loops():
    index, split = random_dataset(150, 4)
    facts = measure(index, split).summary["groups"]["patient_id"]
    rows = {role: np.flatnonzero(split["role"] == role) for role in ("query", "database")}
    names = {role: [index["patient_id"][row] for row in rows[role]] for role in rows}
    known = {role: {name for name in names[role] if name} for role in rows}
    used = names["query"] + names["database"]
    hit = [name for name in names["query"] if name and name in names["database"]]
    assert facts["known_share"] == sum(name != "" for name in used) / len(used)
    assert facts["groups"] == len(known["query"] | known["database"])
    assert facts["groups_on_both_sides"] == len(known["query"] & known["database"])
    assert facts["queries"] == len(hit)
    assert facts["queries_share"] == len(hit) / len(names["query"])


@pytest.mark.parametrize("near", [0, 4])
@pytest.mark.parametrize("groups", [(), ("patient_id",), ("patient_id", "lesion_id")])
def test_queries_without_a_partner_match_loops(groups, near):
    index, split = random_dataset(150, 6)
    index["lesion_id"] = np.random.default_rng(0).choice(["", *map(str, range(100))], 150)
    database = [row for row in range(150) if split["role"][row] == "database"]
    expected = [
        row
        for row in range(150)
        if split["role"][row] == "query"
        and not any(
            bin(
                int(index["perceptual_hash"][row], 16) ^ int(index["perceptual_hash"][d], 16)
            ).count("1")
            <= near
            or any(index[g][row] and index[g][row] == index[g][d] for g in groups)
            for d in database
        )
    ]
    found = queries_without_partner(index, split, groups, near)
    assert found.tolist() == expected
    assert 0 < len(expected) < (split["role"] == "query").sum()


def test_lesions_count_beside_patients_and_missing_ids_are_no_group():
    index, split = random_dataset(60, 5)
    index["lesion_id"] = ["l1", "l2"] * 30
    index["patient_id"] = ""
    groups = measure(index, split).summary["groups"]
    assert groups["lesion_id"]["groups_on_both_sides"] == 2
    assert groups["patient_id"] == {
        "known_share": 0.0,
        "groups": 0,
        "groups_on_both_sides": 0,
        "queries": 0,
        "queries_share": 0.0,
    }


def test_large_split_is_measured_at_once():
    """4200 x 17000, the radiographs' size: a loop over pairs would take minutes."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, 21_200, dtype=np.uint64)
    values[4200:4210] = values[:10]
    index = pd.DataFrame(
        {
            "image_id": np.arange(len(values)).astype(str),
            "classes": "a",
            "pixel_sha256": np.arange(len(values)).astype(str),
            "perceptual_hash": [f"{int(value):016x}" for value in values],
        }
    )
    roles = np.where(np.arange(len(values)) < 4200, "query", "database")
    split = pd.DataFrame({"image_id": index["image_id"], "role": roles})
    pairs = measure(index, split).pairs
    assert pairs["query_row"].tolist() == list(range(10))
    assert pairs["database_row"].tolist() == list(range(4200, 4210))


def test_bad_input_is_refused():
    index, split = random_dataset(30)
    with pytest.raises(MedhashError, match="near_distance 65"):
        measure(index, split, 65)
    with pytest.raises(MedhashError, match="other images"):
        measure(index, split.iloc[::-1].reset_index(drop=True))
    index.loc[3, "perceptual_hash"] = "12"
    with pytest.raises(MedhashError, match="image 'i3' has no perceptual_hash"):
        measure(index, split)


@pytest.fixture
def written(tmp_path):
    """Two datasets' folders, splits and leakage files; the JSON summaries."""
    summaries = []
    for name, seed in (("one", 0), ("two", 1)):
        index, _ = random_dataset(90, seed)
        if name == "two":
            index["patient_id"] = ""
        folder = tmp_path / name
        folder.mkdir()
        index.to_csv(folder / "index.csv", index=False)
        labels = np.array([["a" in text, "b" in text] for text in index["classes"]], dtype=np.uint8)
        np.save(folder / "labels.npy", labels)
        facts = description(dataset=name, title=f"Dataset {name}", classes=["a", "b"])
        write_json(folder / "dataset.json", facts)
        write_split(folder, SplitRule(query=30), seed, tmp_path / "splits" / name / f"{seed}.csv")
        stem = tmp_path / "leakage" / name / str(seed)
        write_leakage(folder, tmp_path / "splits" / name / f"{seed}.csv", stem)
        summaries.append(stem.with_suffix(".json"))
    return summaries


def test_files_agree_with_each_other(written):
    summary = json.loads(written[0].read_text())
    pairs = pd.read_csv(written[0].with_suffix(".csv"))
    table = written[0].with_suffix(".md").read_text()
    assert summary["dataset"] == "one"
    assert summary["query"] == 30
    assert len(pairs) == summary["either"]["pairs"]
    assert (pairs["kind"] == "near").sum() == summary["near"]["pairs"]
    near = summary["near"]
    assert f"| {near['queries']} ({near['queries_share']:.1%}) |" in table
    assert "Dataset one" in table


def test_error_names_the_manifest(written, tmp_path):
    index = pd.read_csv(tmp_path / "one" / "index.csv")
    index.iloc[:50].to_csv(tmp_path / "one" / "index.csv", index=False)
    with pytest.raises(MedhashError, match=r"leakage of .*0\.csv: the manifest lists other"):
        write_leakage(tmp_path / "one", tmp_path / "splits" / "one" / "0.csv", tmp_path / "again")
    assert not list(tmp_path.glob("again*"))
