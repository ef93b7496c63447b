"""Cells and datasets that are named on a command line or as a target: names are looked up."""

from __future__ import annotations

from medhash import methods
from medhash.configuration.loading import Configuration, check_cell
from medhash.data.confounded import SEPARATOR
from medhash.errors import MedhashError
from medhash.papers.ablations import known_variants
from medhash.schema.cell import SCRATCH, Cell
from medhash.schema.datasets import split_name
from medhash.schema.validation import check_name


def known_cell(configuration: Configuration, text: str) -> Cell:
    """A cell whose names exist; it need not be part of a table.

    Raises:
        MedhashError: names the nearest valid name.
    """
    cell = Cell.parse(text)
    names = str(cell).rsplit("/", 2)[0]  # a plan asks of every length and seed
    if names not in configuration.known_names:
        _check_names(configuration, cell, f"cell {text}")
        configuration.known_names.add(names)
    return cell


def _check_names(configuration: Configuration, cell: Cell, where: str) -> None:
    check_name(cell.paper, configuration.papers, "paper", where)
    if SEPARATOR in cell.dataset:
        configuration.card(cell.dataset)
    elif split_name(cell.dataset):
        configuration.card_for(cell.paper, cell.dataset)
    else:
        check_name(cell.dataset, configuration.cards, "dataset", where)
    check_name(cell.method, methods.names(), "method", where)
    ablations = configuration.papers[cell.paper].ablations
    check_name(cell.variant, known_variants(ablations), "variant", where)
    if cell.origin:
        check_name(cell.origin, [SCRATCH, *configuration.cards], "dataset", where)
    check_cell(configuration, cell, where)


def known_view(configuration: Configuration, text: str) -> tuple[str, str]:
    """Paper and dataset of ``ach/covid_ct``; in a run of one paper ``covid_ct`` says the same.

    Raises:
        MedhashError: names the nearest valid name, or the papers to choose from.
    """
    paper, _, dataset = text.rpartition("/")
    if not paper:
        papers = list(configuration.papers)
        if len(papers) > 1:
            choices = " or ".join(f"{name}/{dataset}" for name in papers)
            raise MedhashError(f"dataset '{text}': which paper's? Say {choices}")
        paper = papers[0]
    check_name(paper, configuration.papers, "paper", f"dataset {text}")
    configuration.card_for(paper, dataset)
    return paper, dataset


def known_size(configuration: Configuration, text: str) -> tuple[str, int]:
    """Dataset and image size of ``covid_ct/64``; the size may be left out where a run has one.

    Raises:
        MedhashError: no paper of the run has the dataset at that size, or the sizes to choose from.
    """
    dataset, _, size = text.partition("/")
    configuration.card(dataset)
    sizes = {str(s): s for s in sorted(set(map(configuration.image_size, configuration.papers)))}
    if not size and len(sizes) > 1:
        choices = " or ".join(f"{dataset}/{each}" for each in sizes)
        raise MedhashError(f"dataset '{text}': at which image size? Say {choices}")
    check_name(size or next(iter(sizes)), sizes, "image size", f"dataset {text}")
    return dataset, sizes[size or next(iter(sizes))]
