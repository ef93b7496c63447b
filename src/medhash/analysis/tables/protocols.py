"""How far the choice of a protocol moves mAP and gains, and how many verdicts it turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from medhash.analysis.numbers.context import NOT_RUN, NOTHING_RAN, Context
from medhash.analysis.numbers.protocols import COMPARISONS, ProtocolsSpec
from medhash.analysis.tables.rendering import PrintedCell, PrintedRow, PrintedTable, points_as_text
from medhash.papers.specs import Made, TableSpec

_COLUMNS = ("mAP moves", "gain moves", "verdicts that turn")

_READING = (
    "mAP moves, gain moves: mean and greatest over all gains of a variant over its baseline, in "
    "points. A verdict is higher, lower or undecided: by the 95 % interval of the gain over the "
    "seeds (Student's t, none corrected), by the sign alone where a protocol has one seed, as "
    "papers do, and in a test over queries by Wilcoxon's p ≤ 0.05 and signed ranks. The CSV has "
    "each gain."
)


class Spec(ProtocolsSpec, TableSpec):
    """Protocols side by side: a row a choice, a group of columns a dataset."""

    kind: Literal["protocols"]

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """One row of the CSV a comparison and gain."""
        points = self.points(facts, context)
        rows = points.to_dict("records")
        printed = PrintedTable(
            title=f"{context.heading(self)} {context.details(self, facts)}",
            groups=tuple(
                (context.paper.dataset_title(dataset), _COLUMNS) for dataset in self.datasets
            ),
            blocks=(tuple(self._printed(name, rows) for name in COMPARISONS),),
            notes=(_READING, *_reasons(rows)) if facts else (NOTHING_RAN,),
            corner="Protocols",
        )
        return points_as_text(points), printed

    def _printed(self, name: str, rows: Sequence[dict[Any, Any]]) -> PrintedRow:
        cells: list[PrintedCell] = []
        for dataset in self.datasets:
            own = [r for r in rows if r["comparison"] == name and r["dataset"] == dataset]
            ran = [row for row in own if row["status"] != NOT_RUN]
            cells += map(PrintedCell, _summed(ran) if ran else [NOT_RUN] * len(_COLUMNS))
        return PrintedRow(" / ".join(COMPARISONS[name]), tuple(cells))


def _summed(ran: Sequence[dict[Any, Any]]) -> list[str]:
    moves = ([row[key] for row in ran] for key in ("value_moves_points", "gain_moves_points"))
    texts = [f"{sum(own) / len(own):.2f}, at most {max(own):.2f}" for own in moves]
    return [*texts, f"{sum(row['changed'] == 'true' for row in ran)} of {len(ran)}"]


def _reasons(rows: Sequence[dict[Any, Any]]) -> list[str]:
    """Why comparisons did not run."""
    absent = dict.fromkeys((r["comparison"], r["note"]) for r in rows if r["status"] == NOT_RUN)
    return [f"{' / '.join(COMPARISONS[name])}: {NOT_RUN} ({reason})." for name, reason in absent]
