"""What tables and figures share: a title, a grid of cells, and what a kind may say otherwise.

A kind of table or figure is one file of :mod:`medhash.analysis.tables` or
:mod:`medhash.analysis.figures`, whose class ``Spec`` derives from :class:`TableSpec` or
:class:`FigureSpec`. It holds the kind's own keys, the cells and files that it needs and how it is
made; :mod:`medhash.papers.kinds` finds it by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeAlias

from pydantic import Field, field_validator

from medhash.schema.base import Count, NaturalNumber, StrictModel
from medhash.schema.cell import Cell
from medhash.schema.measures import MEASURES, Source

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from medhash.analysis.numbers.context import Context
    from medhash.analysis.tables.rendering import PrintedTable
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.configuration.restriction import Restriction
    from medhash.papers.paper import Paper

OWN_SETTINGS = "paper"
"""The scale that trains with the papers' own settings."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+~-]*$")]
"""Of what has a file, a folder or a word of a command: nothing that a shell or a path reads."""

FileName = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]

Made: TypeAlias = "tuple[list[dict[str, str]], PrintedTable]"
"""The rows of a table's CSV, all with the same columns, and the printed table."""

Drawn: TypeAlias = "tuple[pd.DataFrame, Callable[[], Figure]]"
"""What is drawn on a figure, as numbers, and what draws it."""


class ArtefactSpec(StrictModel):
    """A table or figure of a paper: a title and a grid of cells.

    Attributes:
        one_seed: whether the cells of the first seed are enough.
        shows_scores: whether it depends on how equal distances are scored.
        shows_images: whether images of a dataset can be seen on it.
        kind: what is computed or drawn: the name of a file.
        paper: the paper's name; filled in from the file.
        name: the table's or figure's name in the file (``table3``); filled in from the file.
        title: what it shows, without dataset, scale and seeds.
        datasets: all columns or panels, in the paper's order.
        available: the datasets that this run has; ``None`` means all. The others are shown as
            not run.
        methods: in the paper's order.
        variants: in the paper's order.
        bits: code lengths.
        seeds: seeds of each cell; filled in from the scale.
        not_run: method -> why it has no cells in this run; filled in from its settings.
    """

    one_seed: ClassVar[bool] = False
    shows_scores: ClassVar[bool] = True
    shows_images: ClassVar[bool] = False

    kind: str
    paper: str = ""
    name: str = ""
    title: str
    datasets: tuple[Name, ...] = Field(min_length=1)
    available: tuple[Name, ...] | None = None
    methods: tuple[Name, ...] = Field(min_length=1)
    variants: tuple[Name, ...] = Field(min_length=1)
    bits: tuple[Count, ...] = Field(min_length=1)
    seeds: tuple[NaturalNumber, ...] = Field((0,), min_length=1)
    not_run: dict[Name, str] = Field(default_factory=dict, exclude_if=lambda value: not value)

    @field_validator("*")
    @classmethod
    def _no_repeats(cls, values: Any) -> Any:
        return without_repeats(values) if isinstance(values, tuple) else values

    @property
    def key(self) -> str:
        """``ach/table3``: its name on command lines and as the key of its step."""
        return f"{self.paper}/{self.name}"

    @property
    def label(self) -> str:
        """``ach_table3``: its name where a slash cannot stand, in LaTeX and HTML."""
        return f"{self.paper}_{self.name}"

    @property
    def module(self) -> str:
        """The file of the kind, as an import names it."""
        return type(self).__module__

    @property
    def source(self) -> Source:
        """The file of each cell that it is made from."""
        return "record"

    @property
    def printed_as(self) -> str:
        """The table in whose printed counterpart its numbers stand."""
        return self.name

    @property
    def available_datasets(self) -> tuple[str, ...]:
        """The datasets of this run, in the order of :attr:`datasets`."""
        if self.available is None:
            return self.datasets
        return tuple(dataset for dataset in self.datasets if dataset in self.available)

    @property
    def trained_variants(self) -> tuple[str, ...]:
        """The variants whose cells are needed."""
        return self.variants

    @property
    def measured(self) -> tuple[str, ...]:
        """The measures that claims about it may be about: those of its file."""
        return tuple(name for name, each in MEASURES.items() if each.source == self.source)

    @property
    def starts(self) -> tuple[str, ...]:
        """The origins of the columns; empty text but in a transfer."""
        return ("",)

    @property
    def starts_of_run(self) -> tuple[str, ...]:
        """Those of them that this run has."""
        return self.starts

    @property
    def start_without_transfer(self) -> str:
        """The origin of the cells without transfer, where there are columns with one."""
        return ""

    @property
    def points_of_panels(self) -> dict[str, tuple[str, ...]]:
        """Panel -> the variants that it compares; empty but for figures of settings."""
        return {}

    def lengths_of(self, method: str) -> tuple[int, ...]:
        """The code lengths of a method's cells."""
        return self.bits

    def cell(
        self, dataset: str, method: str, variant: str, bits: int, seed: int, origin: str = ""
    ) -> Cell:
        """A cell of its paper."""
        return Cell(self.paper, dataset, method, variant, bits, seed, origin)

    def cells(self, seeds: tuple[int, ...] | None = None) -> list[Cell]:
        """The cells that it is made of, in the order in which it prints them.

        Args:
            seeds: instead of :attr:`seeds`.
        """
        own = self.seeds[:1] if self.one_seed else self.seeds
        return [
            self.cell(dataset, method, variant, bits, seed)
            for dataset, method in product(self.available_datasets, self.methods)
            if method not in self.not_run
            for variant in self.trained_variants
            for bits in self.lengths_of(method)
            for seed in (own if seeds is None else seeds)
        ]

    def numbers(self, layout: Layout) -> list[Path]:
        """The file of each of its cells that holds the numbers, there or not."""
        file: Callable[[Cell], Path] = getattr(layout, self.source)
        return [file(cell) for cell in self.cells()]

    def inputs(self, files: Configuration) -> list[Path]:
        """All files that it is made from, there or not."""
        return self.numbers(files.layout)

    def row_title(self, paper: Paper, method: str, variant: str, origin: str = "") -> str:
        """A row's name as printed: ``HashNet+ACH``."""
        return paper.method_title(method, variant)

    def details(self, facts: Sequence[Any], context: Context) -> str:
        """Data, scale, seeds, evaluated epoch and protocol of what it shows."""
        return context.details(self, facts)

    def restricted(self, run: Restriction, changes: dict[str, Any]) -> dict[str, Any]:
        """What else a run makes of it, beside datasets, methods, variants, bits and seeds.

        Args:
            run: what the run chooses.
            changes: what it already made of these.

        Returns:
            Further changes; those of ``changes`` may be among them.
        """
        return {}

    def check(self, where: str) -> None:
        """Check what needs more than its own file; done before anything expensive starts.

        Args:
            where: file and name, for messages.

        Raises:
            MedhashError: something that it names is not there.
        """

    def merged(self, merge: Callable[[str], str]) -> Self:
        """The same with one variant for all that come to the same settings."""
        return self


class TableSpec(ArtefactSpec):
    """A table of a paper.

    Attributes:
        titles: variant -> what this table appends to a method's title instead of the paper's.
    """

    titles: dict[Name, str] = Field(default_factory=dict)

    def row_title(self, paper: Paper, method: str, variant: str, origin: str = "") -> str:
        """A row's name as printed in this table."""
        if variant in self.titles:
            return paper.method_title(method) + self.titles[variant]
        return paper.method_title(method, variant)

    def made(self, facts: Sequence[Any], context: Context) -> Made:
        """Make the table.

        Args:
            facts: the files of its cells that are there, read and checked, in their order.
            context: names, scale, protocol and reported numbers.
        """
        raise NotImplementedError


class PairedSpec(TableSpec):
    """A table that compares pairs of variants, named by another key than ``variants``."""

    variants: tuple[Name, ...] = ()

    @field_validator("variants")
    @classmethod
    def _has_pairs_instead(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if values:
            raise ValueError("does not belong here; this kind takes pairs of variants")
        return values


class FigureSpec(ArtefactSpec):
    """A figure of a paper.

    Attributes:
        axes: the columns of its CSV that are plotted against each other, where two are.
    """

    axes: ClassVar[tuple[str, str] | None] = None

    def drawn(self, facts: Sequence[Any], context: Context, files: Configuration) -> Drawn:
        """Make the figure.

        Args:
            facts: the files of its cells that are there, read and checked, in their order.
            context: names, scale and protocol.
            files: where further files lie.
        """
        points = self.points(facts, context)
        titles = (context.heading(self), self.details(facts, context))
        return points, lambda: self.draw(points, context, titles)

    def points(self, facts: Any, context: Context) -> pd.DataFrame:
        """What is drawn, as numbers; what did not run has a row that says so."""
        raise NotImplementedError

    def draw(self, points: pd.DataFrame, context: Context, titles: Sequence[str]) -> Figure:
        """The figure.

        Args:
            points: from :meth:`points`.
            context: names.
            titles: lines above the panels; long ones are wrapped.
        """
        raise NotImplementedError


def without_repeats(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """``values`` unchanged.

    Raises:
        ValueError: a value occurs twice.
    """
    for number, value in enumerate(values or ()):
        if value in (values or ())[:number]:
            raise ValueError(f"{value} is listed twice")
    return values
