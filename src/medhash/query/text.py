"""What a cell retrieves for one image, in words."""

from __future__ import annotations

from tabulate import tabulate

from medhash.analysis.numbers.context import bits_label
from medhash.query.answer import Answer
from medhash.retrieval.codes import Codes
from medhash.retrieval.representation import Representation

# Of float32 numbers that a batch of another size sums in another order.
_ROUNDING = 1e-4

SYNTHETIC = "Synthetic phantoms, not real images."
UNKNOWN = "not known"
_SOURCES = {"dataset": "says the dataset", "command line": "says the command line"}
_NOUNS = {"codes": "Code", "descriptors": "Descriptor"}
_ORDERS = {"lot": "drawn by lot", "database": "the first in database order"}


def answer_text(answer: Answer) -> str:
    """Query, ranking, ties and votes, line by line."""
    database, query = answer.database, answer.query
    facts = {
        "Query": query.name,
        "In the dataset": _place(answer),
        "Class": class_text(answer),
        "Cell": f"{database.cell} ({database.method_title}), scale {database.scale}",
        "Database": f"{len(answer.ranking.distances)} images of {database.dataset.title}",
        _NOUNS[database.codes.NOUN]: f"{answer.code_text} ({database.length_text})",
    }
    lines = [f"{name + ':':<16}{value}" for name, value in facts.items()]
    if database.dataset.synthetic:
        lines.insert(0, SYNTHETIC)
    endings = [tie_text(answer), votes_text(answer), *notes(answer)]
    return "\n".join([*lines, "", _table(answer), "", *endings])


def distance_text(distance: int | float) -> str:
    """Bits that differ, or a distance of descriptors to four digits."""
    return f"{distance:.4g}" if isinstance(distance, float) else str(distance)


def class_text(answer: Answer) -> str:
    """The query's class and who says so."""
    query = answer.query
    return f"{joined(query.classes)}, {_SOURCES[query.class_source]}" if query.classes else UNKNOWN


def tie_text(answer: Answer) -> str:
    """How many images of the database share the last distance, and which are shown."""
    last, total = answer.ranking.last_distance, len(answer.ranking.distances)
    items, shown = answer.at_last_distance
    which = f"{shown} of them {'is' if shown == 1 else 'are'} shown, {_ORDERS[answer.ties]}"
    return (
        f"{items} of the {total} database images {'is' if items == 1 else 'are'} at distance "
        f"{distance_text(last)}, the last one shown; "
        f"{'none is left out' if items == shown else which}."
    )


def votes_text(answer: Answer) -> str:
    """Votes per class, and their mean over the orders of ties where these can move them."""
    votes = ", ".join(f"{name} {count}" for name, count in answer.votes.items())
    text = f"Votes of the first {len(answer.results)}: {votes}"
    items, shown = answer.at_last_distance
    if items == shown:
        return f"{text}."
    means = ", ".join(f"{name} {mean:.1f}" for name, mean in answer.expected_votes.items())
    return f"{text}; mean over all orders of equal distances: {means}."


def notes(answer: Answer) -> list[str]:
    """What a person should know before believing the list."""
    return [
        *_notes_on_itself(answer),
        *_notes_on_classes(answer),
        *_notes_on_stored_codes(answer),
    ]


def joined(classes: tuple[str, ...]) -> str:
    """Classes as one text."""
    return " + ".join(classes)


def _table(answer: Answer) -> str:
    columns: dict[str, list[object]] = {
        "rank": [result.rank for result in answer.results],
        "tied ranks": ["–".join(map(str, dict.fromkeys(r.tied_ranks))) for r in answer.results],
        "distance": [distance_text(result.distance) for result in answer.results],
        "image_id": [result.image_id for result in answer.results],
        "class": [joined(result.classes) for result in answer.results],
    }
    if answer.query.classes:
        columns["right"] = ["yes" if result.relevant else "no" for result in answer.results]
    if any(result.remark for result in answer.results):
        columns["remark"] = [result.remark for result in answer.results]
    align = ["right", "right", "right", *["left"] * (len(columns) - 3)]
    table = tabulate(
        columns, headers="keys", tablefmt="simple", colalign=align, disable_numparse=True
    )
    return "\n".join(line.rstrip() for line in table.splitlines())


def _place(answer: Answer) -> str:
    """Where the dataset has the query, if it does."""
    names, codes = answer.database.dataset.ids, answer.database.codes
    places = [f"{names[row]} (row {row}, {_role(row, codes)})" for row in answer.query.rows]
    return "; ".join(places) or "no image has the same pixels"


def _role(row: int, codes: Representation) -> str:
    if row in codes.query_rows:
        return "query set"
    return "database" if row in codes.database_rows else "not in the split"


def _notes_on_itself(answer: Answer) -> list[str]:
    if not set(answer.query.rows) & set(answer.database.codes.database_rows.tolist()):
        return []
    return ["The query itself is in the database: the cell may have been trained on it."]


def _notes_on_classes(answer: Answer) -> list[str]:
    """Where others say otherwise."""
    query, dataset = answer.query, answer.database.dataset
    differing = [row for row in query.rows if set(dataset.classes_of(row)) != set(query.classes)]
    return [
        f"The dataset has the same pixels as {dataset.ids[row]}, with the class "
        f"{joined(dataset.classes_of(row))}."
        for row in differing
    ]


def _notes_on_stored_codes(answer: Answer) -> list[str]:
    names, codes = answer.database.dataset.ids, answer.database.codes
    return [
        f"The {_NOUNS[codes.NOUN].lower()} that the cell keeps for {names[row]} differs from its "
        f"network's {_by_how_much(distance, codes)}: {_reason(row, codes)}."
        for row, distance in answer.stored_code_distances().items()
        if distance > _ROUNDING
    ]


def _by_how_much(distance: int | float, codes: Representation) -> str:
    if isinstance(codes, Codes):
        return f"in {bits_label(int(distance))}"
    return f"by a distance of {distance:.4g}"


def _reason(row: int, codes: Representation) -> str:
    if row in codes.database_rows and isinstance(codes, Codes):
        return "a method such as ADSH learns codes of training images by itself"
    return "this device rounds otherwise than the one that trained it"
