"""What a paper derives from its own numbers, as data: one model a rule.

The rules themselves are functions of :mod:`medhash.verdicts.reported_rules`. A row is named by a
template such as ``"{method}+ACH"``, which stands for the row of each of :attr:`methods`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medhash.schema.base import Count, StrictModel

NumberText = Annotated[str, Field(strict=True, pattern=r"^-?\d+(\.\d+)?$")]
"""A number as printed, quoted in the file: its digits say how far it was rounded."""

Pair = tuple[str, str]
"""The templates of a row and of the row that it is compared with."""


class Derived(StrictModel):
    """A number or statement of a paper that other printed numbers decide.

    Attributes:
        rule: which function recomputes it.
        place: where it stands (``Section V-C``).
        says: what it says, in a few words.
        reading: how it is read where it can be read in several ways.
    """

    rule: str
    place: str
    says: str
    reading: str = ""


class FromTable(Derived):
    """Derived from one table, of which ``datasets`` to ``cutoffs`` restrict the columns."""

    table: str
    datasets: tuple[str, ...] | None = None
    bits: tuple[Count, ...] | None = None
    measures: tuple[str, ...] | None = None
    cutoffs: tuple[Count, ...] | None = None


class FromRows(FromTable):
    """Derived from the rows of some methods."""

    methods: tuple[str, ...] = Field(min_length=1)


class Arrows(FromTable):
    """Every printed arrow is the difference to the row without ``+MODULE``."""

    rule: Literal["arrows"]


class Proportions(FromTable):
    """Every printed ``(7/8)`` counts the columns that beat the row without ``+MODULE``."""

    rule: Literal["proportions"]


class SignificanceCounts(FromTable):
    """Every W/T/L cell counts the p-values of its column.

    Attributes:
        level: p-values up to this one are significant.
        directions_from: the table that says which of the two rows is better. With it, a
            significant comparison is won or lost and the others are ties; without it, a
            significant one is won and the others are lost.
    """

    rule: Literal["significance_counts"]
    level: NumberText
    directions_from: str | None = None


class PairCounts(FromRows):
    """Every W/T/L cell counts the pairs of rows by their values."""

    rule: Literal["pair_counts"]
    pairs: tuple[Pair, ...] = Field(min_length=1)


class Comparison(FromRows):
    """The first row of each pair is higher than the second.

    Attributes:
        pairs: what is compared.
        other: the table of the second row, if it is another one.
        holds: in every column, in most (more than half) of them, or in each method's average.
    """

    rule: Literal["comparison"]
    pairs: tuple[Pair, ...] = Field(min_length=1)
    other: str = ""
    holds: Literal["every", "most", "average"] = "every"


class GainComparison(FromRows):
    """The gain of one pair is greater than the gain of another, in every column."""

    rule: Literal["gain_comparison"]
    gain: Pair
    than: Pair


class AverageImprovements(FromTable):
    """Average difference of a pair over the columns.

    Attributes:
        pair: what is compared.
        printed: method -> the printed average.
    """

    rule: Literal["average_improvements"]
    pair: Pair
    printed: dict[str, NumberText]


class ImprovementRange(FromRows):
    """Least and greatest difference of a pair over methods and columns."""

    rule: Literal["improvement_range"]
    pair: Pair
    printed: tuple[NumberText, NumberText]


class DerivedBound(FromRows):
    """All values of the rows stand in a relation to a number."""

    rule: Literal["bound"]
    rows: tuple[str, ...] = Field(min_length=1)
    relation: Literal["=", ">", "<="]
    value: NumberText


class RepeatedValues(FromRows):
    """Rows that another table prints too have the same values where columns are the same."""

    rule: Literal["repeated_values"]
    rows: Pair = Field(description="the row in `table` and the row in `other`")
    other: str


class RelativeGain(FromTable):
    """How much more a row has than another, in percent of the other's, on average over columns.

    Attributes:
        row: the row.
        over: the other one; empty for the best of all others in its column.
        columns: the column (``Fundus/top-10``) of the row's value and that of the other's.
        printed: the percentage.
    """

    rule: Literal["relative_gain"]
    row: str
    over: str = ""
    columns: tuple[tuple[str, str], ...] = Field(min_length=1)
    printed: NumberText


class Trend(FromRows):
    """The values of a row rise, or fall, from each column of a dataset to the next."""

    rule: Literal["trend"]
    direction: Literal["rises", "falls"]


class Highest(FromTable):
    """In every column one of these rows is the highest.

    Attributes:
        rows: these.
        leaving_out: rows that do not count.
    """

    rule: Literal["highest"]
    rows: tuple[str, ...] = Field(min_length=1)
    leaving_out: tuple[str, ...] = ()


class SameForDatasets(FromRows):
    """Rows whose values do not depend on the dataset of the column."""

    rule: Literal["same_for_datasets"]
    rows: tuple[str, ...] = Field(min_length=1)


class Sum(Derived):
    """Parts that make a whole."""

    rule: Literal["sum"]
    parts: tuple[Count, ...] = Field(min_length=2)
    printed: Count


class Ratio(Derived):
    """Two parts that are to each other as is printed, but for the rounding of images."""

    rule: Literal["ratio"]
    parts: tuple[Count, Count]
    printed: tuple[Count, Count]


class Equal(Derived):
    """Numbers of the text, or of columns that are left out, that are said to be the same.

    Attributes:
        values: what has it -> the number.
        printed: the number.
    """

    rule: Literal["equal"]
    values: dict[str, NumberText] = Field(min_length=1)
    printed: NumberText


class Undecidable(Derived):
    """A statement that no printed number decides, and why."""

    rule: Literal["undecidable"]
    why: str


class AttainablePrecision(Derived):
    """A mean P@K over few queries can only be a multiple of 1 / (queries * K).

    A mean AP@K (the sum of precisions at the relevant of K places, over K) can only be one of
    1 / (queries * K * m), with m the least common multiple of 1 to K.

    Attributes:
        queries: number of queries.
        cutoff: K.
        of: which of the two.
        printed: percentages, or differences of two of them.
    """

    rule: Literal["attainable_precision"]
    queries: Count
    cutoff: Count
    of: Literal["precision", "average precision"] = "precision"
    printed: tuple[NumberText, ...] = Field(min_length=1)


Derivation = Annotated[
    Arrows
    | Proportions
    | SignificanceCounts
    | PairCounts
    | Comparison
    | GainComparison
    | AverageImprovements
    | ImprovementRange
    | DerivedBound
    | RepeatedValues
    | RelativeGain
    | Trend
    | Highest
    | SameForDatasets
    | Sum
    | Ratio
    | Equal
    | Undecidable
    | AttainablePrecision,
    Field(discriminator="rule"),
]
