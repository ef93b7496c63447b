"""An answer to a query: its list against a loop, its words and its sheet against the list."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medhash.analysis.figures.contact_sheet import RIGHT, WRONG
from medhash.data.prepared import PreparedDataset
from medhash.data.prepared_files import FILES
from medhash.errors import MedhashError
from medhash.files import write_json
from medhash.query.answer import CellDatabase, answer_data, answer_query
from medhash.query.image import QueryImage
from medhash.query.sheet import draw_sheet, write_sheet
from medhash.query.text import answer_text
from medhash.retrieval.codes import Codes
from medhash.retrieval.hamming import pack
from medhash.schema.cell import Cell
from told import description

CLASSES = ("healthy", "ill", "other")
QUERIES, ITEMS = 6, 50


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    random = np.random.default_rng(2)
    count = QUERIES + ITEMS
    # As datasets are: stored class by class.
    labels = np.eye(3, dtype=np.uint8)[np.sort(np.arange(count) % 3)]
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / FILES["images"], random.integers(0, 255, (count, 16, 16, 3), dtype=np.uint8))
    np.save(folder / FILES["labels"], labels)
    facts = description(title="Dataset", synthetic=True, classes=CLASSES)
    write_json(folder / FILES["description"], facts)
    index = {
        "image_id": [f"image{row}" for row in range(count)],
        "pixel_sha256": [f"hash{row}" for row in range(count)],
        "patient_id": ["" if row % 2 else f"patient{row // 8}" for row in range(count)],
    }
    pd.DataFrame(index).to_csv(folder / FILES["index"], index=False)
    dataset = PreparedDataset(folder)
    rows = random.permutation(count)
    query, database = np.sort(rows[:QUERIES]), np.sort(rows[QUERIES:])
    packed = pack(random.choice([-1, 1], (count, 4)))
    sides = packed[query], packed[database], 4, labels[query], labels[database], query, database
    cell = Cell("ach", "folder", "adsh", "ach", 4, 0)
    return CellDatabase(cell, "ADSH+ACH", "demo", dataset, Codes(*sides))


def with_labels(dataset, labels):
    """The same dataset, were these its labels."""
    other = PreparedDataset(dataset.folder)
    other.labels = labels
    return other


def stranger(database, classes=()):
    """A query that the dataset does not have."""
    pixels = database.dataset.images[0] // 2
    return QueryImage("scan.png", pixels, (), classes, "command line" if classes else "")


def member(database, row):
    classes = database.dataset.classes_of(row)
    image = database.dataset.images[row]
    return QueryImage(database.dataset.ids[row], image, (row,), classes, "dataset")


def ask(database, query, count=10, ties="lot", code=0b10100000):
    return answer_query(database, query, np.array([code], np.uint8), count, ties)


def distance(answer, place):
    return (int(answer.code[0]) ^ int(answer.database.codes.database_codes[place, 0])).bit_count()


@pytest.mark.parametrize("count", [1, 10, 23, ITEMS])
def test_results_in_database_order_are_the_sorted_list(database, count):
    answer = ask(database, stranger(database, ("ill",)), count, "database")
    rows, labels = database.codes.database_rows.tolist(), database.dataset.labels
    everything = sorted((distance(answer, place), row) for place, row in enumerate(rows))
    found = [(result.distance, result.row) for result in answer.results]
    assert found == everything[:count]
    for rank, result in enumerate(answer.results, start=1):
        assert result.rank == rank
        assert result.image_id == f"image{result.row}"
        assert result.classes == (CLASSES[labels[result.row].argmax()],)
        assert result.relevant == (labels[result.row].argmax() == 1)
        nearer = sum(other < result.distance for other, _ in everything)
        tied = sum(other == result.distance for other, _ in everything)
        assert result.tied_ranks == (nearer + 1, nearer + tied)


def test_a_lot_changes_only_the_order_within_a_distance(database):
    query = stranger(database)
    fixed, drawn = (ask(database, query, ITEMS, ties).results for ties in ("database", "lot"))
    assert [r.distance for r in fixed] == [r.distance for r in drawn]
    assert {r.row: r.tied_ranks for r in fixed} == {r.row: r.tied_ranks for r in drawn}
    assert [r.row for r in fixed] != [r.row for r in drawn]
    assert ask(database, query, ITEMS).results == drawn
    other = replace(query, pixels=query.pixels + 1)
    assert ask(database, other, ITEMS).results != drawn


def test_the_lot_is_fair(database):
    """Over many images, the votes come near to their mean over all orders of ties."""
    votes = np.zeros(3)
    for number in range(200):
        pixels = np.full((16, 16, 3), number, np.uint8)
        answer = ask(database, replace(stranger(database), pixels=pixels))
        votes += [answer.votes[name] for name in CLASSES]
    means = [answer.expected_votes[name] for name in CLASSES]
    np.testing.assert_allclose(votes / 200, means, atol=0.35)
    first = ask(database, stranger(database), ties="database")
    assert abs(first.votes["healthy"] - first.expected_votes["healthy"]) > 1


def test_text_and_data_tell_how_many_share_the_last_distance(database):
    answer = ask(database, stranger(database))
    last = answer.results[-1].distance
    items = sum(distance(answer, place) == last for place in range(ITEMS))
    shown = sum(result.distance == last for result in answer.results)
    assert 1 < shown < items
    text = answer_text(answer)
    assert (
        f"{items} of the 50 database images are at distance {last}, the last one shown; "
        f"{shown} of them are shown, drawn by lot." in text
    )
    data = answer_data(answer, Path("sheet.png"))
    assert data["last_distance"] == {"distance": last, "database_images": items, "shown": shown}
    assert json.loads(json.dumps(data))["results"][0]["tied_ranks"][0] == 1
    whole = answer_text(ask(database, stranger(database), ITEMS))
    assert "the last one shown; none is left out." in whole
    assert "mean over all orders" in text
    assert "mean over all orders" not in whole


def test_the_table_has_a_line_for_each_result(database):
    answer = ask(database, stranger(database, ("ill", "other")), 7)
    lines = answer_text(answer).splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("-----")) + 1
    assert lines[0] == "Synthetic phantoms, not real images."
    for line, result in zip(lines[start : start + 7], answer.results, strict=True):
        first, last = result.tied_ranks
        tied = f"{first}–{last}" if first != last else f"{first}"
        right = "yes" if result.relevant else "no"
        expected = [str(result.rank), tied, str(result.distance), result.image_id]
        assert line.split() == [*expected, result.classes[0], right]
    assert lines[start + 7] == ""
    votes = [sum(name in r.classes for r in answer.results) for name in CLASSES]
    ordered = sorted(zip(CLASSES, votes, strict=True), key=lambda pair: -pair[1])
    expected = ", ".join(f"{name} {count}" for name, count in ordered)
    assert f"Votes of the first 7: {expected}" in answer_text(answer)


def test_what_makes_a_result_no_wonder_is_said(database):
    row = next(row for row in database.codes.database_rows.tolist() if row % 2 == 0)
    place = int(np.flatnonzero(database.codes.database_rows == row)[0])
    kept = int(database.codes.database_codes[place, 0])
    answer = ask(database, member(database, row), ITEMS, code=kept)
    assert [result.row for result in answer.results if result.same_pixels] == [row]
    patients = database.dataset.column("patient_id")
    same = {result.row for result in answer.results if result.same_patient}
    assert same == {
        r for r in database.codes.database_rows.tolist() if patients[r] == patients[row]
    }
    assert len(same) > 1
    text = answer_text(answer)
    assert text.count("the query itself") == 1
    assert text.count("same patient") == len(same) - 1
    assert "The query itself is in the database" in text
    assert f"image{row} (row {row}, database)" in text
    assert "differs from its network's" not in text
    other = answer_text(ask(database, member(database, row), code=kept ^ 0b01010000))
    assert f"keeps for image{row} differs from its network's in 2 bits: a method such as" in other


def test_images_without_a_patient_are_not_of_one(database):
    row = next(row for row in database.codes.database_rows.tolist() if row % 2)
    results = ask(database, member(database, row), ITEMS).results
    assert not any(result.same_patient for result in results)


def test_a_query_of_the_query_set_is_in_no_database(database):
    row = int(database.codes.query_rows[0])
    text = answer_text(ask(database, member(database, row)))
    assert f"image{row} (row {row}, query set)" in text
    assert "is in the database" not in text


def test_the_user_may_say_another_class_than_the_dataset(database):
    row = int(database.codes.query_rows[0])
    own = database.dataset.classes_of(row)[0]
    other = next(name for name in CLASSES if name != own)
    query = replace(member(database, row), classes=(other,), class_source="command line")
    answer = ask(database, query)
    assert [r.relevant for r in answer.results] == [r.classes == (other,) for r in answer.results]
    assert f"The dataset has the same pixels as image{row}, with the class {own}." in answer_text(
        answer
    )


def edge_colours(axes):
    from matplotlib.colors import to_hex

    return {to_hex(spine.get_edgecolor()) for spine in axes.spines.values()} & {RIGHT, WRONG}


@pytest.mark.parametrize("count", [3, 10, 24])
def test_the_sheet_shows_the_query_and_every_result(database, count):
    answer = ask(database, stranger(database, ("ill",)), count)
    figure = draw_sheet(answer)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 1 + count
    assert np.array_equal(panels[0].images[0].get_array(), answer.query.pixels)
    for axes, result in zip(panels[1:], answer.results, strict=True):
        image = database.dataset.images[result.row]
        assert np.array_equal(axes.images[0].get_array(), image)
        assert axes.get_xlabel().startswith(f"{result.rank} · {result.classes[0]}")
        assert edge_colours(axes) == {RIGHT if result.relevant else WRONG}
    titles = [axes.get_title(loc="left") for axes in panels]
    for found in {result.distance for result in answer.results}:
        items = sum(distance(answer, place) == found for place in range(ITEMS))
        shown = sum(result.distance == found for result in answer.results)
        assert f"distance {found}\n{shown} of {items} shown" in titles


def test_nothing_is_framed_where_the_class_is_not_known(database):
    figure = draw_sheet(ask(database, stranger(database)))
    assert not any(edge_colours(axes) for axes in figure.axes)
    heading = figure.get_suptitle().replace("\n", " ")
    assert "The query's class is not known" in heading
    assert "Synthetic phantoms, not real images." in heading
    assert "the last one shown;" in heading


def test_a_sheet_is_the_same_bytes_twice(database, tmp_path):
    paths = tmp_path / "a.png", tmp_path / "b" / "c.png"
    for path in paths:
        write_sheet(ask(database, stranger(database)), path)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith(b"\x89PNG")
    write_sheet(ask(database, stranger(database, ("ill",))), paths[0])
    assert paths[0].read_bytes() != second


def test_codes_of_other_images_are_refused(database):
    labels = database.dataset.labels[:, [1, 0, 2]]
    with pytest.raises(MedhashError, match="is of other images than Dataset"):
        replace(database, dataset=with_labels(database.dataset, labels))
    fewer = with_labels(database.dataset, database.dataset.labels[:20])
    with pytest.raises(MedhashError, match="is of other images than Dataset"):
        replace(database, dataset=fewer)
    with pytest.raises(MedhashError, match="has codes of 4 bits"):
        replace(database, cell=Cell("ach", "folder", "adsh", "ach", 8, 0))
