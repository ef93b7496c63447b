"""Splits: exact sizes, strata, groups, order independence, and each refusal."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medhash.data.splits.drawing import Draw, largest_remainder, nearest_subset
from medhash.data.splits.making import make_split, write_split
from medhash.data.splits.manifest import read_split, rows_of
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json
from medhash.schema.datasets import SplitRule
from told import description

CLASS_SIZES = st.lists(st.integers(2, 40), min_size=2, max_size=6)


def dataset(sizes: list[int], patients_of: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """An index and labels with ``sizes`` images a class and, if asked, images a patient."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    number = np.concatenate([np.arange(size) for size in sizes])
    index = pd.DataFrame(
        {
            "image_id": [f"c{c}/{n}" for c, n in zip(classes, number, strict=True)],
            "classes": [f"c{c}" for c in classes],
            "patient_id": [
                f"p{c}.{n // patients_of}" if patients_of else ""
                for c, n in zip(classes, number, strict=True)
            ],
        }
    )
    return index, np.eye(len(sizes), dtype=np.uint8)[classes]


def roles_by_id(manifest: pd.DataFrame) -> dict[str, tuple[str, int]]:
    columns = (manifest[name] for name in ("image_id", "role", "train"))
    return {image: (role, train) for image, role, train in zip(*columns, strict=True)}


@settings(max_examples=80, deadline=None)
@given(CLASS_SIZES, st.data())
def test_random_split_has_exact_sizes_and_proportions(sizes, data):
    total = sum(sizes)
    query = data.draw(st.integers(1, total - 1))
    train = data.draw(st.integers(1, total - query))
    index, labels = dataset(sizes)
    manifest = make_split(index, labels, SplitRule(query=query, train=train), 3).manifest
    is_query = (manifest["role"] == "query").to_numpy()
    is_train = (manifest["train"] == 1).to_numpy()
    assert is_query.sum() == query
    assert is_train.sum() == train
    assert set(manifest["role"]) == {"query", "database"}
    assert not (is_train & is_query).any()
    assert manifest["row"].tolist() == list(range(total))
    database_sizes = labels[~is_query].sum(axis=0)
    for column, size in enumerate(sizes):
        assert abs(labels[is_query, column].sum() - query * size / total) < 1
        quota = train * database_sizes[column] / (total - query)
        assert abs(labels[is_train, column].sum() - quota) < 1


@settings(max_examples=40, deadline=None)
@given(CLASS_SIZES, st.integers(0, 5), st.randoms(use_true_random=False))
def test_split_does_not_depend_on_the_order_of_images(sizes, seed, random):
    index, labels = dataset(sizes)
    rule = SplitRule(query=0.3, train=1)
    order = list(range(len(index)))
    random.shuffle(order)
    straight = make_split(index, labels, rule, seed).manifest
    shuffled = make_split(index.iloc[order].reset_index(drop=True), labels[order], rule, seed)
    assert roles_by_id(straight) == roles_by_id(shuffled.manifest)


def test_every_image_is_a_query_for_some_seed_and_about_equally_often():
    index, labels = dataset([12, 18])
    rule = SplitRule(query=10)
    hits = sum(
        (make_split(index, labels, rule, seed).manifest["role"] == "query").to_numpy().astype(int)
        for seed in range(300)
    )
    # 100 expected of 300, standard deviation 8.2
    assert hits.min() > 65
    assert hits.max() < 135


def test_seed_changes_the_draw_and_a_fixed_seed_wins():
    index, labels = dataset([20, 20])
    first, second = (make_split(index, labels, SplitRule(query=8), s).manifest for s in (0, 1))
    fixed = make_split(index, labels, SplitRule(query=8, seed=0), 1).manifest
    assert roles_by_id(first) != roles_by_id(second)
    assert roles_by_id(first) == roles_by_id(fixed)


def test_share_is_rounded_half_up_and_thermal_sizes_follow():
    index, labels = dataset([38, 31, 42, 31, 38, 34, 37, 35, 28, 25, 30])
    manifest = make_split(index, labels, SplitRule(query=0.2), 0).manifest
    assert (manifest["role"] == "query").sum() == 74  # 73.8
    manifest = make_split(*dataset([3, 7]), SplitRule(query=0.25), 0).manifest
    assert (manifest["role"] == "query").sum() == 3  # 2.5


@pytest.mark.parametrize(
    ("images", "query", "train"), [(746, 149, 300), (373, 75, 150), (240, 48, 97), (745, 149, 300)]
)
def test_counts_are_rescaled_for_fewer_images_and_noted(images, query, train):
    index, labels = dataset([images // 2, images - images // 2])
    split = make_split(index, labels, SplitRule(query=149, train=300), 0, expected_images=746)
    assert (split.manifest["role"] == "query").sum() == query
    assert split.manifest["train"].sum() == train
    assert bool(split.notes) == (images != 746)


def test_more_images_than_expected_keep_the_rule_s_counts():
    index, labels = dataset([400, 400])
    split = make_split(index, labels, SplitRule(query=149), 0, expected_images=746)
    assert (split.manifest["role"] == "query").sum() == 149


def test_small_class_is_on_both_sides():
    index, labels = dataset([2, 200])
    manifest = make_split(index, labels, SplitRule(query=20), 0).manifest
    rare = labels[:, 0] == 1
    assert set(manifest["role"][rare]) == {"query", "database"}


def test_unstratified_draw_ignores_classes():
    index, labels = dataset([1, 30])
    rule = SplitRule(query=10, stratified=False)
    rare = [make_split(index, labels, rule, s).manifest["role"].iloc[0] for s in range(30)]
    assert set(rare) == {"query", "database"}


def test_sets_of_labels_are_strata():
    rng = np.random.default_rng(0)
    labels = (rng.uniform(size=(300, 3)) < 0.4).astype(np.uint8)
    index = pd.DataFrame({"image_id": [str(i) for i in range(300)], "classes": "?"})
    is_query = (
        make_split(index, labels, SplitRule(query=60), 0).manifest["role"] == "query"
    ).to_numpy()
    for kind in np.unique(labels, axis=0):
        member = (labels == kind).all(axis=1)
        assert abs(is_query[member].sum() - member.sum() / 5) < 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=7), st.data())
def test_largest_remainder_rounds_quotas_and_sums(sizes, data):
    total = data.draw(st.integers(0, sum(sizes)))
    parts = largest_remainder(total, sizes)
    assert sum(parts) == total
    for part, size in zip(parts, sizes, strict=True):
        quota = total * size / max(sum(sizes), 1)
        assert np.floor(quota) <= part <= np.ceil(quota)


def test_largest_remainder_is_hamilton_s():
    assert largest_remainder(149, [349, 397]) == [70, 79]
    assert largest_remainder(10, [53, 24, 23]) == [5, 3, 2]  # quotas 5.3, 2.4, 2.3
    assert largest_remainder(4200, [3616, 6012, 10192, 1345]) == [718, 1193, 2022, 267]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 40))
def test_nearest_subset_is_as_near_as_any(sizes, target):
    chosen = nearest_subset(sizes, target)
    best = min(
        abs(target - sum(some))
        for count in range(len(sizes) + 1)
        for some in itertools.combinations(sizes, count)
    )
    assert len(set(chosen)) == len(chosen)
    assert abs(target - sum(sizes[place] for place in chosen)) == best


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(10, 40), min_size=2, max_size=6), st.integers(1, 5), st.integers(0, 9))
def test_groups_stay_whole_and_sizes_come_near(sizes, patients_of, seed):
    index, labels = dataset(sizes, patients_of)
    rule = SplitRule(query=0.3, group_by="patient_id")
    split = make_split(index, labels, rule, seed)
    roles_of_patient = split.manifest.groupby(index["patient_id"])["role"].agg(set)
    assert (roles_of_patient.map(len) == 1).all()
    count, wanted = int((split.manifest["role"] == "query").sum()), int(sum(sizes) * 0.3 + 0.5)
    assert abs(count - wanted) <= patients_of
    assert (count != wanted) == any("instead of" in note for note in split.notes)


def test_images_without_a_patient_are_their_own_group():
    index, labels = dataset([10, 10], 2)
    index.loc[index["classes"] == "c0", "patient_id"] = ""
    split = make_split(index, labels, SplitRule(query=7, group_by="patient_id"), 0)
    assert (split.manifest["role"] == "query").sum() == 7
    assert any("10 of 20 images have no patient_id" in note for note in split.notes)


def test_official_roles_are_followed():
    index, labels = dataset([6, 6])
    index["official_role"] = ["query", "database", "database"] * 3 + ["", "query", "database"]
    split = make_split(index, labels, SplitRule(rule="official", train=4), 0)
    roles = index["official_role"].replace("", "none")
    assert split.manifest["role"].tolist() == roles.tolist()
    assert split.manifest["train"].sum() == 4
    assert any("1 of 12 images" in note for note in split.notes)


def listed(folder: Path, text: str) -> SplitRule:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return SplitRule(rule="listed", file=path)


def test_listed_roles_are_followed(tmp_path):
    index, labels = dataset([3, 3])
    text = "image_id,role,train\nc0/0,query,0\nc1/2,database,1\nc0/1,database,0\n"
    split = make_split(index, labels, listed(tmp_path, text), 0)
    wanted = ["query", "database", "none", "none", "none", "database"]
    assert split.manifest["role"].tolist() == wanted
    assert split.manifest["train"].tolist() == [0, 0, 0, 0, 0, 1]
    assert any("3 of 6 images" in note for note in split.notes)
    without_train = "image_id,role\nc0/0,query\nc1/2,database\nc0/1,database\n"
    split = make_split(index, labels, listed(tmp_path, without_train), 0)
    assert split.manifest["train"].tolist() == [0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id,role\nc0/0,query\nc9/9,database\n", "'c9/9'"),
        ("image_id,role\nc0/0,query\n", "no image has the role 'database'"),
        ("image_id,role\nc0/0,database\n", "no image has the role 'query'"),
        ("image_id,role\nc0/0,query\nc0/0,database\n", "more than once"),
        ("image_id,role\nc0/0,test\nc0/1,database\n", "role 'test' is none of"),
        ("image_id,part\nc0/0,query\n", "no column 'role'"),
        ("image_id,role,train\nc0/0,query,1\nc0/1,database,1\n", "outside the database"),
        ("image_id,role,train\nc0/0,query,0\nc0/1,database,0\n", "for no image"),
        ("image_id,role,train\nc0/0,query,0\nc0/1,database,yes\n", "train 'yes'"),
        ("", "a CSV file in UTF-8"),
    ],
)
def test_bad_lists_are_refused(tmp_path, text, message):
    index, labels = dataset([3, 3])
    with pytest.raises(MedhashError, match=message) as caught:
        make_split(index, labels, listed(tmp_path, text), 0)
    assert "list.csv" in str(caught.value)


def test_missing_list_is_refused(tmp_path):
    rule = SplitRule(rule="listed", file=tmp_path / "gone.csv")
    with pytest.raises(MedhashError, match=r"gone\.csv: no such file"):
        make_split(*dataset([3, 3]), rule, 0)


@pytest.mark.parametrize(
    ("sizes", "rule", "message"),
    [
        ([1, 9], SplitRule(query=3), "class 'c0' has 1 image"),
        ([4, 4], SplitRule(query=8), "8 query images of 8"),
        ([4, 4], SplitRule(query=0.01), "0 query images of 8"),
        ([4, 4], SplitRule(query=2, train=7), "split.train = 7"),
        ([4, 4], SplitRule(rule="official"), "no column 'official_role'"),
    ],
)
def test_impossible_rules_are_refused(sizes, rule, message):
    with pytest.raises(MedhashError, match=message):
        make_split(*dataset(sizes), rule, 0)


def test_bad_official_roles_are_refused():
    index, labels = dataset([3, 3])
    index["official_role"] = "database"
    with pytest.raises(MedhashError, match="no image has the role 'query'"):
        make_split(index, labels, SplitRule(rule="official"), 0)
    index["official_role"] = "test"
    with pytest.raises(MedhashError, match="official_role 'test'"):
        make_split(index, labels, SplitRule(rule="official"), 0)


def test_broken_index_is_refused():
    index, labels = dataset([3, 3])
    with pytest.raises(MedhashError, match=r"6 images but labels\.npy 5"):
        make_split(index, labels[:5], SplitRule(query=2), 0)
    index.loc[1, "image_id"] = "c0/0"
    with pytest.raises(MedhashError, match="'c0/0' twice"):
        make_split(index, labels, SplitRule(query=2), 0)


def prepared(folder: Path, sizes: list[int], synthetic: bool = False) -> Path:
    """A dataset's folder with the files that a split needs."""
    index, labels = dataset(sizes)
    folder.mkdir()
    index.to_csv(folder / "index.csv", index=False)
    np.save(folder / "labels.npy", labels)
    classes = [f"c{number}" for number in range(len(sizes))]
    counts = dict(zip(classes, sizes, strict=True))
    facts = description(classes=classes, card_counts=counts, synthetic=synthetic)
    write_json(folder / "dataset.json", facts)
    return folder


def test_written_manifest_is_hashed_and_described(tmp_path):
    folder = prepared(tmp_path / "tiny", [30, 20])
    path = tmp_path / "splits" / "0.csv"
    write_split(folder, SplitRule(query=10, train=25), 0, path, {"query": 10, "database": 39})
    summary = json.loads(path.with_suffix(".json").read_text())
    manifest = read_split(path)
    assert summary["manifest_sha256"] == sha256_of_file(path)
    assert summary["sizes"] == {"query": 10, "database": 40, "train": 25}
    assert summary["sizes_by_class"]["c1"] == {"query": 4, "database": 16, "train": 10}
    assert summary["notes"] == ["the paper counts 39 database images; this split has 40"]
    assert list(manifest.columns) == ["row", "image_id", "role", "train"]
    first = path.read_bytes()
    write_split(folder, SplitRule(query=10, train=25), 0, path, {"query": 10, "database": 39})
    assert path.read_bytes() == first


def test_changed_manifest_is_refused(tmp_path):
    path = tmp_path / "0.csv"
    write_split(prepared(tmp_path / "tiny", [5, 5]), SplitRule(query=2), 0, path)
    path.write_text(path.read_text().replace("query", "database", 1))
    with pytest.raises(MedhashError, match="manifest_sha256 differs"):
        read_split(path)


def test_no_reported_sizes_beside_phantoms(tmp_path):
    folder = prepared(tmp_path / "tiny", [5, 5], synthetic=True)
    write_split(folder, SplitRule(query=2), 0, tmp_path / "0.csv", {"query": 3})
    assert json.loads((tmp_path / "0.json").read_text())["notes"] == []


def test_nothing_is_written_on_an_error_and_the_dataset_is_named(tmp_path):
    folder = prepared(tmp_path / "tiny", [1, 5])
    with pytest.raises(MedhashError, match="split of tiny: class 'c0'"):
        write_split(folder, SplitRule(query=2), 0, tmp_path / "out" / "0.csv")
    assert not (tmp_path / "out").exists()


# query by class, groups of several columns, validation


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(3, 40), min_size=2, max_size=5), st.data())
def test_query_images_can_be_counted_by_class(sizes, data):
    counts = {f"c{n}": data.draw(st.integers(1, size - 1)) for n, size in enumerate(sizes)}
    index, labels = dataset(sizes)
    manifest = make_split(index, labels, SplitRule(query=counts), 0).manifest
    queries = index["classes"][manifest["role"] == "query"]
    assert queries.value_counts().to_dict() == counts


def test_counts_by_class_are_those_that_a_stratified_draw_would_not_give():
    """ORIGA's 49 + 16 of 482 + 168: in proportion they would be 48 + 17."""
    index, labels = dataset([482, 168])
    by_share = make_split(index, labels, SplitRule(query=65), 0).manifest["role"] == "query"
    by_class = make_split(index, labels, SplitRule(query={"c0": 49, "c1": 16}), 0)
    assert labels[by_share].sum(0).tolist() == [48, 17]
    assert labels[by_class.manifest["role"] == "query"].sum(0).tolist() == [49, 16]


def test_counts_by_class_are_rescaled_for_fewer_images():
    index, labels = dataset([48, 17])
    split = make_split(index, labels, SplitRule(query={"c0": 49, "c1": 16}), 0, 650)
    assert labels[split.manifest["role"] == "query"].sum(0).tolist() == [5, 2]
    assert any("65 images instead of 650" in note for note in split.notes)


@pytest.mark.parametrize(
    ("labels", "query", "message"),
    [
        ([[1, 0], [0, 1], [1, 1]] * 3, {"c0": 1, "c1": 1}, "there are images of several"),
        ([[1, 0], [0, 1]] * 3, {"c0": 1}, "counts c0, but the classes are c0, c1"),
        ([[1, 0], [0, 1]] * 3, {"c0": 3, "c1": 1}, "3 of the 3 images of class 'c0' leave none"),
    ],
)
def test_bad_counts_by_class_are_refused(labels, query, message):
    labels = np.uint8(labels)
    classes = ["|".join(f"c{c}" for c in np.flatnonzero(row)) for row in labels]
    index = pd.DataFrame({"image_id": [str(n) for n in range(len(labels))], "classes": classes})
    with pytest.raises(MedhashError, match=message):
        make_split(index, labels, SplitRule(query=query), 0)


def joined_slowly(columns: list[list[str]]) -> list[set[int]]:
    """Groups of rows that share a value in any column, merged until none can be."""
    groups = [{row} for row in range(len(columns[0]))]

    def linked(one: set[int], other: set[int]) -> bool:
        pairs = itertools.product(one, other)
        return any(column[a] and column[a] == column[b] for a, b in pairs for column in columns)

    while True:
        pair = next((p for p in itertools.combinations(groups, 2) if linked(*p)), None)
        if pair is None:
            return groups
        groups = [group for group in groups if group not in pair] + [pair[0] | pair[1]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_groups_of_several_columns_stay_whole_and_no_larger(seed):
    rng = np.random.default_rng(seed)
    index, labels = dataset([12, 14])
    for column, kinds in (("patient_id", 12), ("lesion_id", 16)):
        index[column] = [str(n) if n else "" for n in rng.integers(0, kinds, len(index))]
    columns = [index["patient_id"].tolist(), index["lesion_id"].tolist()]
    rule = SplitRule(query=0.3, group_by=("patient_id", "lesion_id"))
    groups = joined_slowly(columns)
    names = Draw(index, labels, rule, 0, None).group_names
    assert sorted(sorted(np.flatnonzero(names == name)) for name in set(names)) == sorted(
        sorted(group) for group in groups
    )
    if max(map(len, groups)) > 10:
        return  # One group is nearly everything: no split can keep it whole.
    manifest = make_split(index, labels, rule, seed).manifest
    for group in groups:
        assert len(set(manifest["role"].iloc[list(group)])) == 1


def test_groups_of_several_columns_do_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(1)
    index, labels = dataset([30, 30])
    for column in ("patient_id", "lesion_id"):
        index[column] = rng.integers(1, 40, len(index)).astype(str)
    rule = SplitRule(query=0.3, group_by=("patient_id", "lesion_id"))
    order = rng.permutation(len(index))
    shuffled = make_split(index.iloc[order].reset_index(drop=True), labels[order], rule, 0)
    assert roles_by_id(make_split(index, labels, rule, 0).manifest) == roles_by_id(
        shuffled.manifest
    )


@pytest.mark.parametrize("grouped", [None, "patient_id"])
def test_validation_images_are_neither_query_nor_database(grouped):
    index, labels = dataset([60, 40], 2)
    rule = SplitRule(query=20, validation=0.1, train=30, group_by=grouped)
    plain = SplitRule(query=20, group_by=grouped)
    manifest = make_split(index, labels, rule, 4).manifest
    assert manifest["role"].value_counts().to_dict() == {
        "database": 70,
        "query": 20,
        "validation": 10,
    }
    assert labels[manifest["role"] == "validation"].sum(0).tolist() == [6, 4]
    assert manifest["train"].sum() == 30
    assert set(manifest["role"][manifest["train"] == 1]) == {"database"}
    queries = make_split(index, labels, plain, 4).manifest["role"] == "query"
    assert (queries == (manifest["role"] == "query")).all()
    if grouped:
        roles_of_patient = manifest.groupby(index["patient_id"])["role"].agg(set)
        assert (roles_of_patient.map(len) == 1).all()


def test_validation_is_written_counted_and_read_back(tmp_path):
    path = tmp_path / "0.csv"
    write_split(prepared(tmp_path / "tiny", [30, 20]), SplitRule(query=10, validation=5), 0, path)
    summary = json.loads(path.with_suffix(".json").read_text())
    assert summary["sizes"] == {"query": 10, "database": 35, "validation": 5, "train": 35}
    assert summary["rule"]["validation"] == 5
    parts = {part: rows_of(path, part) for part in ("query", "database", "validation", "train")}
    assert {part: len(rows) for part, rows in parts.items()} == summary["sizes"]
    assert (parts["train"] == parts["database"]).all()


def test_validation_that_leaves_no_database_is_refused():
    with pytest.raises(MedhashError, match="6 validation images of 6 leave no validation"):
        make_split(*dataset([4, 4]), SplitRule(query=2, validation=6), 0)


def test_lists_may_name_validation_images(tmp_path):
    index, labels = dataset([2, 2])
    text = "image_id,role\nc0/0,query\nc0/1,validation\nc1/0,database\nc1/1,database\n"
    manifest = make_split(index, labels, listed(tmp_path, text), 0).manifest
    assert manifest["role"].tolist() == ["query", "validation", "database", "database"]
    assert manifest["train"].tolist() == [0, 0, 1, 1]


def test_counts_are_meant_for_images_where_classes_overlap(tmp_path):
    folder = prepared(tmp_path / "tiny", [30, 20])
    facts = json.loads((folder / "dataset.json").read_text())
    facts |= {"card_counts": {"c0": 90, "c1": 60}, "card_images": 100}
    write_json(folder / "dataset.json", facts)
    write_split(folder, SplitRule(query=20), 0, tmp_path / "0.csv")
    assert json.loads((tmp_path / "0.json").read_text())["sizes"]["query"] == 10


def with_duplicates(sizes: list[int], seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A dataset with an upstream's roles, half of whose images are a few bits from another."""
    rng = np.random.default_rng(seed)
    index, labels = dataset(sizes, 2)
    hashes = [int(value) for value in rng.integers(0, 2**64, len(index), dtype=np.uint64)]
    for row in range(1, len(index)):
        if rng.random() < 0.5:
            hashes[row] = hashes[rng.integers(0, row)]
            for bit in rng.choice(64, rng.integers(0, 6), replace=False):
                hashes[row] ^= 1 << int(bit)
    index["perceptual_hash"] = [f"{value:016x}" for value in hashes]
    index["official_role"] = rng.choice(["query", "database"], len(index), p=[0.3, 0.7])
    return index, labels


def near_of(index: pd.DataFrame, rows: np.ndarray, others: np.ndarray, bits: int) -> set[int]:
    """Which of some images are near one of others, by loops over all pairs."""
    value = [int(text, 16) for text in index["perceptual_hash"]]
    return {
        int(row)
        for row in rows
        if any(bin(value[row] ^ value[o]).count("1") <= bits for o in others)
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("side", ["query", "database"])
def test_an_official_split_leaves_out_one_side_of_its_duplicates(side, seed):
    index, labels = with_duplicates([40, 30], seed)
    rule = SplitRule(rule="official", near_distance=4, leave_out=side)
    split = make_split(index, labels, rule, 0)
    plain = make_split(index, labels, SplitRule(rule="official"), 0).manifest["role"].to_numpy()
    query, database = (np.flatnonzero(plain == role) for role in ("query", "database"))
    expected = near_of(index, *((query, database) if side == "query" else (database, query)), 4)
    role = split.manifest["role"].to_numpy()
    assert expected
    assert set(np.flatnonzero(role != plain)) == expected
    assert set(role[sorted(expected)]) == {"none"}
    assert not split.manifest["train"].to_numpy()[role != "database"].any()
    assert split.notes[0].startswith(f"{len(expected)} {side} images are left out")


@pytest.mark.parametrize("seed", range(4))
def test_a_random_split_keeps_near_duplicates_and_patients_on_one_side(seed):
    index, labels = with_duplicates([60, 50, 40], seed)
    rule = SplitRule(query=0.2, group_by="patient_id", near_distance=4)
    role = make_split(index, labels, rule, seed).manifest["role"].to_numpy()
    query, database = (np.flatnonzero(role == name) for name in ("query", "database"))
    assert near_of(index, query, database, 4) == set()
    patients = index["patient_id"].to_numpy()
    assert not set(patients[query]) & set(patients[database])
    by_patient = SplitRule(query=0.2, group_by="patient_id")
    role = make_split(index, labels, by_patient, seed).manifest["role"].to_numpy()
    query, database = (np.flatnonzero(role == name) for name in ("query", "database"))
    assert near_of(index, query, database, 4)


def test_near_duplicates_alone_make_groups():
    index, labels = with_duplicates([60, 50], 1)
    role = make_split(index, labels, SplitRule(query=0.3, near_distance=0), 0).manifest["role"]
    hashes = index["perceptual_hash"]
    assert hashes.duplicated().any()
    assert not set(hashes[role == "query"]) & set(hashes[role == "database"])


@pytest.mark.parametrize(
    "keys",
    [
        {"rule": "official", "near_distance": 4},
        {"rule": "official", "leave_out": "query"},
        {"query": 0.2, "near_distance": 4, "leave_out": "query"},
    ],
)
def test_duplicates_are_left_out_by_rules_that_do_not_draw(keys):
    with pytest.raises(ValueError, match="'leave_out' and 'near_distance' say together"):
        SplitRule(**keys)
