"""The claims of a paper as data: one model a rule that can decide one.

A claim names the table or figure whose cells it is about. Their datasets, methods and code
lengths are those of the paper's whole grid, also where a scale runs a part of it; a claim may
narrow them. A row is named by its variant, as in ``ach``; a method before it (``csq/ach``)
stands for that method in every comparison, and ``best/ach`` for whichever of the claim's
``best_of`` is the best in a column. In a table of transfer learning a row is fine-tuned from the
column's dataset, and ``none@no-transfer`` is the one that is not. Behind the @ may also stand
another column than the one that is looked at: ``none@k=10``, ``none@bits=64``,
``none@dataset=jsrt``.

The rules themselves are functions of :mod:`medhash.verdicts.rules`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from medhash.papers.derivations import NumberText
from medhash.papers.specs import FileName, Name
from medhash.schema.base import Count, StrictModel
from medhash.schema.measures import MEASURES
from medhash.schema.validation import nearest

NO_TRANSFER = "no-transfer"
BEST = "best"
_ELSEWHERE = rf"@({NO_TRANSFER}|k=[1-9][0-9]*|bits=[1-9][0-9]*|dataset=[^/@\s]+)"

RowName = Annotated[
    str, Field(pattern=rf"^([^/@\s]+/)?[^/@\s]+({_ELSEWHERE})?$", description="a row")
]
RowPair = tuple[RowName, RowName]
"""A row and the row that it is compared with."""

ClaimId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

Holds = Literal["all", "most", "not all"] | Count
"""In how many cases a claim must hold: all, more than half, not all, or at least so many."""


class Row(NamedTuple):
    """A row's name, taken apart.

    ``method`` is empty where every method is meant; ``k``, ``bits`` and ``dataset`` where it is
    looked at in the column of the case.
    """

    method: str
    variant: str
    transfers: bool
    k: int | None = None
    bits: int | None = None
    dataset: str = ""

    @classmethod
    def parse(cls, name: str) -> Row:
        """Read ``csq/none@no-transfer``."""
        place, _, elsewhere = name.partition("@")
        method, _, variant = place.rpartition("/")
        axis, is_axis, value = elsewhere.partition("=")
        at: dict[str, Any] = {axis: value if axis == "dataset" else int(value)} if is_axis else {}
        return cls(method, variant, elsewhere != NO_TRANSFER, **at)


class ClaimRule(StrictModel):
    """A sentence of a paper that regenerated numbers can decide.

    Attributes:
        place: where it stands (``Section V-C``).
        says: what it says, in our own words.
        reading: how it is read where it can be read in several ways.
        rule: what decides it.
        measure: what is compared.
        table: the table whose cells it is about; or
        figure: the figure.
        also: a further table whose variants rows may name, at the lengths of the first.
        datasets: instead of all of them.
        origins: where cells are transferred from, instead of all of them.
        methods: instead of all of them.
        bits: instead of all of them.
        cutoffs: the K of a measure that has several.
        best_of: the methods of which rows ``best/…`` are the best.
    """

    place: str
    says: str
    reading: str = ""
    rule: str
    measure: str = "map"
    table: FileName | None = None
    figure: FileName | None = None
    also: FileName | None = None
    datasets: tuple[Name, ...] | None = Field(None, min_length=1)
    origins: tuple[Name, ...] | None = Field(None, min_length=1)
    methods: tuple[Name, ...] | None = Field(None, min_length=1)
    bits: tuple[Count, ...] | None = Field(None, min_length=1)
    cutoffs: tuple[Count, ...] = ()
    best_of: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _says_what_the_best_is_of(self) -> Self:
        if bool(self.best_of) != any(Row.parse(name).method == BEST for name in self.row_names):
            raise ValueError(f"'best_of' belongs to rows '{BEST}/…', and these need it")
        return self

    @model_validator(mode="after")
    def _is_about_one_grid(self) -> Self:
        if (self.table is None) == (self.figure is None):
            raise ValueError("name either a 'table' or a 'figure'")
        if self.measure not in MEASURES:
            known, hint = ", ".join(MEASURES), nearest(self.measure, MEASURES)
            raise ValueError(f"'measure': unknown measure '{self.measure}'{hint} (known: {known})")
        if bool(self.cutoffs) != MEASURES[self.measure].at_cutoff:
            at = ", ".join(name for name, measure in MEASURES.items() if measure.at_cutoff)
            raise ValueError(f"'cutoffs' belongs to the measures at a cutoff ({at}), to no other")
        return self

    @property
    def unit(self) -> str:
        """What differences of the measure are counted in."""
        return MEASURES[self.measure].difference_unit

    @property
    def artefact(self) -> str:
        """The name of the table or figure."""
        return str(self.table or self.figure)

    @property
    def row_names(self) -> tuple[str, ...]:
        """Every row that the rule names."""
        named = [getattr(self, key, ()) for key in ("pairs", "gain", "than", "rows", "gains")]
        texts = (each if isinstance(each, tuple) else (each,) for own in named for each in own)
        return tuple(name for each in texts for name in each)

    @property
    def tolerance_text(self) -> str:
        """The tolerance in words, with its unit."""
        raise NotImplementedError


class Tolerant(ClaimRule):
    """A rule with a tolerance in the measure's unit.

    Attributes:
        tolerance: how far numbers may differ from what is claimed, or from each other to count
            as equal.
    """

    tolerance: NumberText

    @property
    def tolerance_text(self) -> str:
        """``±0.5 points``."""
        return f"±{self.tolerance} {self.unit}"


class Counted(ClaimRule):
    """A rule that looks at cases.

    Attributes:
        holds: in how many of them; of a spread a case is a panel.
    """

    holds: Holds = "all"


class Better(Tolerant, Counted):
    """The first row of each pair is higher than the second by more than the tolerance.

    Attributes:
        pairs: what is compared.
        per: a case is a column, or a method by its average over the columns.
    """

    rule: Literal["better"]
    pairs: tuple[RowPair, ...] = Field(min_length=1)
    per: Literal["column", "method"] = "column"


class GreaterGain(Tolerant, Counted):
    """The gain of one pair is greater than the gains of others, column by column.

    Attributes:
        gain: a row and its baseline.
        than: the other pairs.
    """

    rule: Literal["greater_gain"]
    gain: RowPair
    than: tuple[RowPair, ...] = Field(min_length=1)


class OfRowsOrGains(Tolerant):
    """A rule about the values of rows, or about the gains of pairs.

    Attributes:
        rows: whose values.
        gains: a row and its baseline, whose difference.
        relative: whether gains are in percent of the baseline.
    """

    rows: tuple[RowName, ...] = ()
    gains: tuple[RowPair, ...] = ()
    relative: bool = False

    @model_validator(mode="after")
    def _has_rows_or_gains(self) -> Self:
        if bool(self.rows) == bool(self.gains):
            raise ValueError("name either 'rows' or 'gains'")
        if self.relative and not self.gains:
            raise ValueError("'relative' belongs to 'gains'")
        return self

    @property
    def unit(self) -> str:
        """That of the measure's differences, or percent of the baseline."""
        return "%" if self.relative else super().unit


class Bound(OfRowsOrGains, Counted):
    """All values, or gains, stand in a relation to a number, up to the tolerance.

    Attributes:
        relation: between the regenerated number and :attr:`value`.
        value: the number.
    """

    rule: Literal["bound"]
    relation: Literal["=", ">", ">=", "<", "<="]
    value: NumberText


class Number(OfRowsOrGains):
    """A printed number that is the mean, the least or the greatest of values or gains.

    Attributes:
        of: what is taken of them.
        printed: the number.
    """

    rule: Literal["number"]
    of: Literal["mean", "least", "greatest"] = "mean"
    printed: NumberText


class Significant(Counted):
    """The rows of each pair differ by a two-sided Wilcoxon signed-rank test over the queries.

    What is compared is the measure's value of each query: AP for ``map``.

    Attributes:
        pairs: what is compared.
        level: p-values up to this one are significant.
        direction: the first row has to be the better one, or any significant difference counts.
    """

    rule: Literal["significant"]
    pairs: tuple[RowPair, ...] = Field(min_length=1)
    level: NumberText
    direction: Literal["better", "any"] = "better"

    @model_validator(mode="after")
    def _is_about_queries(self) -> Self:
        if self.best_of:
            raise ValueError("'best_of': this rule compares queries, of which it has none")
        if not MEASURES[self.measure].of_queries:
            known = ", ".join(name for name, each in MEASURES.items() if each.of_queries)
            raise ValueError(f"'measure': this rule compares values of each query ({known})")
        return self

    @property
    def tolerance_text(self) -> str:
        """``p <= 0.05``."""
        return f"p <= {self.level}"


class Spread(Counted):
    """Within each panel of a figure the values differ by no more than so much.

    Attributes:
        at_most: greatest minus least value, in the measure's unit.
    """

    rule: Literal["spread"]
    at_most: NumberText

    @property
    def tolerance_text(self) -> str:
        """``at most 2 points``."""
        return f"at most {self.at_most} {self.unit}"


Claim = Annotated[
    Better | GreaterGain | Bound | Number | Significant | Spread, Field(discriminator="rule")
]

RULE_NAMES = ("better", "greater_gain", "bound", "number", "significant", "spread")


class Undecided(StrictModel):
    """A sentence that no regenerated number decides, and why.

    Attributes:
        place: where it stands.
        says: what it says, in our own words.
        why: why numbers do not decide it, and what shows it instead.
    """

    place: str
    says: str
    why: str


class PaperClaims(StrictModel):
    """What a paper claims.

    Attributes:
        paper: the file's name without suffix.
        claims: name -> claim, in the paper's order.
        undecided: what is left to the reader's eye.
    """

    paper: FileName
    claims: dict[ClaimId, Claim] = Field(min_length=1)
    undecided: tuple[Undecided, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _rules_are_known(cls, tree: Any) -> Any:
        claims = tree.get("claims") if isinstance(tree, dict) else None
        for name, claim in (claims or {}).items() if isinstance(claims, dict) else ():
            rule = claim.get("rule") if isinstance(claim, dict) else None
            if rule not in RULE_NAMES:
                known = ", ".join(RULE_NAMES)
                raise ValueError(f"claims.{name}: unknown rule {rule!r} (known: {known})")
        return tree
