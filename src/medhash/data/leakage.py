"""Leakage: what a query can find in the database without having learnt anything.

Three kinds are measured between the query and the database images of a split: exact duplicates
(the same decoded pixels), near duplicates (perceptual hashes within a Hamming distance), and
patients or lesions that are on both sides.

A perceptual hash (64-bit pHash: signs of low DCT frequencies against their median) also collides:
images that merely look alike can be near. Half of its bits are set, so distances are even.
Looking at pairs of the COVID-CT and the Brain Tumor images, nearly all at distance 2 and about
four of five at distance 4 are one picture recompressed, cropped or a neighbouring slice of one
patient; at distance 6 only about half are. Hence the default of 4, and the counts by distance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medhash.data.duplicates import Rows, near_pairs
from medhash.data.prepared import PreparedDataset, group_columns
from medhash.data.splits.manifest import read_split, read_summary
from medhash.errors import MedhashError
from medhash.files import write_json, write_text
from medhash.schema.datasets import split_name

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step

NEAR_DISTANCE = 4
HASH_BITS = 64
PAIR_COLUMNS = [
    "query_row",
    "query_image_id",
    "database_row",
    "database_image_id",
    "kind",
    "distance",
    "same_label",
]


@dataclass(frozen=True)
class Leakage:
    """What leaks in one split.

    Attributes:
        pairs: one row a duplicate pair: ``query_row``, ``query_image_id``, ``database_row``,
            ``database_image_id``, ``kind`` (exact or near; an exact pair is not also near),
            ``distance`` (of the perceptual hashes, in bits), ``same_label`` (bool). Sorted by rows.
        summary: counts; the keys are those of :func:`measure`.
    """

    pairs: pd.DataFrame
    summary: dict[str, Any]


def measure(
    index: pd.DataFrame, split: pd.DataFrame, near_distance: int = NEAR_DISTANCE
) -> Leakage:
    """Find duplicates and shared groups between query and database.

    The summary has ``query`` and ``database`` (images), ``near_distance``, and for each of
    ``exact``, ``near`` and ``either``: ``queries`` (with at least one such database image),
    ``queries_share`` (of all queries), ``pairs``, and of these ``queries_other_label`` and
    ``pairs_other_label``, where the two sets of labels differ. ``pairs_by_distance`` counts all
    pairs at each distance. ``groups`` has for each id column: ``known_share`` of the query and
    database images, ``groups``, ``groups_on_both_sides``, and ``queries`` whose group is in the
    database with their ``queries_share`` of all queries.

    Args:
        index: the dataset's index.csv, in row order.
        split: the manifest (columns row, image_id, role); images of role none do not count.
        near_distance: greatest Hamming distance of near duplicates, 0 to 64 bits.

    Returns:
        The pairs and the summary.

    Raises:
        MedhashError: the manifest is of another index, a perceptual hash is not 16 hexadecimal
            digits, or the distance is out of range.
    """
    _check(index, split, near_distance)
    roles = split["role"].to_numpy()
    query, database = (np.flatnonzero(roles == role) for role in ("query", "database"))
    pairs = _pairs(index, query, database, near_distance)
    summary: dict[str, Any] = {
        "query": len(query),
        "database": len(database),
        "near_distance": near_distance,
        "pairs_by_distance": {
            str(distance): int(count)
            for distance, count in pairs["distance"].value_counts().sort_index().items()
        },
        "groups": {
            column: _shared_groups(index[column], query, database)
            for column in group_columns(index)
        },
    }
    for kind in ("exact", "near"):
        summary[kind] = _count(pairs[pairs["kind"] == kind], len(query))
    summary["either"] = _count(pairs, len(query))
    return Leakage(pairs, summary)


def queries_without_partner(
    index: pd.DataFrame, split: pd.DataFrame, groups: Iterable[str], near_distance: int
) -> Rows:
    """The queries that have no near duplicate and no group in common with the database.

    Args:
        index: the dataset's index.csv, in row order.
        split: the manifest.
        groups: columns of the index (patient_id); images without a value share none.
        near_distance: greatest Hamming distance of near duplicates, 0 to 64 bits.

    Returns:
        Rows, int64 (n,), ascending.

    Raises:
        MedhashError: as :func:`measure`.
    """
    _check(index, split, near_distance)
    roles = split["role"].to_numpy()
    query, database = (np.flatnonzero(roles == role) for role in ("query", "database"))
    leaking = np.isin(query, near_pairs(index, query, database, near_distance)[0])
    for column in groups:
        names = index[column].fillna("").astype(str).to_numpy()
        leaking |= np.isin(names[query], sorted(set(names[database]) - {""}))
    return query[~leaking]


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Measure the split of a step."""
    folder, stem = step.inputs["index"].parent, step.outputs["csv"].with_suffix("")
    write_leakage(folder, step.inputs["split"], stem, split=split_name(step.values[1]))


def write_leakage(
    data_folder: Path,
    split_csv: Path,
    out_stem: Path,
    near_distance: int = NEAR_DISTANCE,
    split: str = "",
) -> None:
    """Measure one split and write what was found.

    Writes ``<out_stem>.csv`` (the pairs), ``<out_stem>.md`` (the table, for reading) and
    ``<out_stem>.json`` (the summary, with dataset, title and seed).

    Args:
        data_folder: the dataset's folder.
        split_csv: the manifest, ``<paper>/splits/<dataset>/<seed>.csv``, with its JSON beside it.
        out_stem: path of the outputs without ending, ``<paper>/leakage/<dataset>/<seed>``.
        near_distance: greatest Hamming distance of near duplicates, in bits.
        split: the split's name, where the paper has several of the dataset.

    Raises:
        MedhashError: as :func:`measure`; the message names the manifest.
    """
    dataset = PreparedDataset(data_folder)
    description = dataset.description
    facts = read_summary(split_csv)
    try:
        found = measure(dataset.index, read_split(split_csv), near_distance)
    except MedhashError as error:
        raise MedhashError(f"leakage of {split_csv}: {error}") from None
    summary = {
        "dataset": description["dataset"],
        "title": description["title"] + (f", {split} split" if split else ""),
        "synthetic": description["synthetic"],
        "seed": facts["seed"],
        "manifest_sha256": facts["manifest_sha256"],
        **found.summary,
    }
    write_text(_with_ending(out_stem, "csv"), found.pairs.to_csv(index=False, lineterminator="\n"))
    write_text(_with_ending(out_stem, "md"), _markdown(summary))
    write_json(_with_ending(out_stem, "json"), summary)


def _check(index: pd.DataFrame, split: pd.DataFrame, near_distance: int) -> None:
    if not 0 <= near_distance <= HASH_BITS:
        raise MedhashError(f"near_distance {near_distance} is not between 0 and {HASH_BITS} bits")
    ids, listed = index["image_id"].astype(str), split["image_id"].astype(str)
    if len(ids) != len(listed) or (ids.to_numpy() != listed.to_numpy()).any():
        raise MedhashError(
            "the manifest lists other images than index.csv; draw the split of this dataset again"
        )


def _pairs(index: pd.DataFrame, query: Rows, database: Rows, near_distance: int) -> pd.DataFrame:
    first, second, distance = near_pairs(index, query, database, near_distance)
    ids, labels = index["image_id"].astype(str).to_numpy(), _label_sets(index)
    pixels = index["pixel_sha256"].astype(str).to_numpy()
    table = {
        "query_row": first,
        "query_image_id": ids[first],
        "database_row": second,
        "database_image_id": ids[second],
        "kind": np.where(pixels[first] == pixels[second], "exact", "near"),
        "distance": distance,
        "same_label": labels[first] == labels[second],
    }
    return pd.DataFrame(table, columns=PAIR_COLUMNS)


def _label_sets(index: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each image's set of labels, whatever order they are written in."""
    sets = [tuple(sorted(str(classes).split("|"))) for classes in index["classes"]]
    numbers = {labels: number for number, labels in enumerate(sorted(set(sets)))}
    return np.array([numbers[labels] for labels in sets], dtype=np.int64)


def _count(pairs: pd.DataFrame, queries: int) -> dict[str, Any]:
    conflicts = pairs[~pairs["same_label"].astype(bool)]
    with_one = int(pairs["query_row"].nunique())
    return {
        "queries": with_one,
        "queries_share": with_one / queries if queries else 0.0,
        "pairs": len(pairs),
        "queries_other_label": int(conflicts["query_row"].nunique()),
        "pairs_other_label": len(conflicts),
    }


def _shared_groups(column: pd.Series, query: Rows, database: Rows) -> dict[str, Any]:
    names = column.fillna("").astype(str).to_numpy()
    of_query, of_database = names[query], names[database]
    known = int((of_query != "").sum() + (of_database != "").sum())
    sides = [set(of_query) - {""}, set(of_database) - {""}]
    both = sides[0] & sides[1]
    found = int(np.isin(of_query, sorted(both)).sum())
    return {
        "known_share": known / max(len(query) + len(database), 1),
        "groups": len(sides[0] | sides[1]),
        "groups_on_both_sides": len(both),
        "queries": found,
        "queries_share": found / max(len(query), 1),
    }


def _markdown(entry: dict[str, Any]) -> str:
    header = (
        "| Dataset | Seed | Queries | Database | Exact: queries | Exact: pairs (other label) "
        "| Near: queries | Near: pairs (other label) | Ids known | On both sides "
        "| Queries with a shared id |"
    )
    lines = [header, "| --- |" + " ---: |" * 10, _markdown_row(entry)]
    return (
        "# Leakage between query and database\n\n"
        + "\n".join(lines)
        + "\n\nExact: the same decoded pixels. Near: perceptual hashes (64-bit pHash) at most "
        + f"{entry['near_distance']} bits apart, exact pairs not counted again; images that merely "
        + "look alike can collide, more so at the greater distances. Pairs at each distance: "
        + _distances(entry)
        + ".\nOther label: the two images have different labels. "
        + "Ids: patients or lesions, where the dataset names them.\n"
    )


def _markdown_row(entry: dict[str, Any]) -> str:
    def queries(facts: dict[str, Any]) -> str:
        return f"{facts['queries']} ({facts['queries_share']:.1%})"

    cells = [entry["title"], entry["seed"], entry["query"], entry["database"]]
    for kind in ("exact", "near"):
        facts = entry[kind]
        cells += [queries(facts), f"{facts['pairs']} ({facts['pairs_other_label']})"]
    known = {name: facts for name, facts in entry["groups"].items() if facts["known_share"] > 0}
    if not known:
        cells += ["none", "–", "–"]
    else:
        cells.append("; ".join(f"{n}: {f['known_share']:.1%}" for n, f in known.items()))
        cells.append(
            "; ".join(f"{f['groups_on_both_sides']} of {f['groups']}" for f in known.values())
        )
        cells.append("; ".join(queries(facts) for facts in known.values()))
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _distances(entry: dict[str, Any]) -> str:
    found = entry["pairs_by_distance"]
    counts = [f"{count} at {distance}" for distance, count in sorted(found.items(), key=_as_number)]
    return f"{entry['dataset']} seed {entry['seed']}: {', '.join(counts) or 'none'}"


def _as_number(item: tuple[str, int]) -> int:
    return int(item[0])


def _with_ending(stem: Path, ending: str) -> Path:
    return stem.with_name(f"{stem.name}.{ending}")
