"""Cells that are named on a command line or as a target: their names are looked up."""

from __future__ import annotations

from medhash import methods
from medhash.configuration.loading import Configuration, check_cell
from medhash.data.confounded import SEPARATOR
from medhash.papers.ablations import known_variants
from medhash.schema.cell import SCRATCH, Cell
from medhash.schema.validation import check_name


def known_cell(configuration: Configuration, text: str) -> Cell:
    """A cell whose names exist; it need not be part of a table.

    Raises:
        MedhashError: names the nearest valid name.
    """
    cell, where = Cell.parse(text), f"cell {text}"
    if SEPARATOR in cell.dataset:
        configuration.card(cell.dataset)
    else:
        check_name(cell.dataset, configuration.cards, "dataset", where)
    check_name(cell.method, methods.names(), "method", where)
    ablations = configuration.paper_for(cell.dataset).ablations
    check_name(cell.variant, known_variants(ablations), "variant", where)
    if cell.origin:
        check_name(cell.origin, [SCRATCH, *configuration.cards], "dataset", where)
    check_cell(configuration, cell, where)
    return cell
