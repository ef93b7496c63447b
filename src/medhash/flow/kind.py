"""What all steps of one rule have in common: the one description that everything is made from.

Snakemake's rules, the commands, ``medhash restore``, ``status``, the audit and DVC's stages ask
these descriptions. Each is a file in :mod:`medhash.flow.kinds`; how its steps run stands in the
module that does the work, as ``run(configuration, step, job)``. ``medhash --help`` asks them, too:
they import what is heavy where they use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from medhash.errors import MedhashError
from medhash.schema.cell import Cell

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps

Files = dict[str, Path]
Values = tuple[str, ...]

ONLY = "all"
"""The key of the one step of a rule without wildcards."""


@dataclass(frozen=True)
class Wildcard:
    """A part of a step's key.

    Attributes:
        name: as Snakemake's rules have it, ``dataset``.
        pattern: regular expression of its values.
        given: how it is typed; ``option`` as ``--stage``, ``no`` where the configuration says it.
        help: what to type for an option.
    """

    name: str
    pattern: str
    given: Literal["argument", "option", "no"] = "argument"
    help: str = ""

    def __str__(self) -> str:
        return f"{{{self.name}}}"


@dataclass(frozen=True)
class Resources:
    """What a job of Snakemake may use.

    Attributes:
        memory_mb: megabytes in the first attempt, twice as much in the second, ….
        minutes: of its first attempt, likewise.
        gpu: how many.
        alone: whether it takes all cores, so that no job runs beside it.
        local: whether it stays on the machine that submits to a cluster.
    """

    memory_mb: int
    minutes: int
    gpu: int = 0
    alone: bool = False
    local: bool = False


@dataclass(frozen=True)
class Parts:
    """What one step is made from.

    Attributes:
        inputs: name -> file that it reads.
        settings: those that it depends on.
        modules: the modules that its code starts from.
        further: name -> file that it writes and others of its kind do not.
    """

    inputs: Files
    settings: dict[str, Any]
    modules: Values
    further: Files = field(default_factory=dict)


class StepKind:
    """A rule; the docstring of a description is the help of its command.

    Attributes:
        order: place of the command among the others.
        command: of ``medhash``, where several rules share one; empty: the rule's name.
        panel: heading of the command's help.
        wildcards: the parts of a key.
        form: of the argument, for help and messages.
        help: what to type for it.
        runs_in: the module that does the work.
        on_device: whether its command has the option ``--device``.
        resources: of its jobs.
        cores: threads of its jobs that do not run alone and whose settings name none.
        timed: the names of outputs that tell how long something took: never the same bytes twice.
        made_again: whether an audit makes the files again to compare them: always, in a deep
            audit, or never, because it would take too long.
        gathers: whether it reads those of its inputs that are there, and asks for none to be made.
        partial: whether what it writes says itself which of its inputs are not here.
        trains: whether it runs in epochs: it can be stopped after each and goes on from there.
        facts: the output that says device and archives, if there is one.
        target: Snakemake's name for all the files of the rule that a run asks for.
    """

    order: ClassVar[int]
    command: ClassVar[str] = ""
    panel: ClassVar[str] = "Steps, in their order"
    wildcards: ClassVar[tuple[Wildcard, ...]] = ()
    form: ClassVar[str] = ""
    help: ClassVar[str] = ""
    runs_in: ClassVar[str]
    on_device: ClassVar[bool] = False
    resources: ClassVar[Resources]
    cores: ClassVar[int] = 1
    timed: ClassVar[Values] = ()
    made_again: ClassVar[Literal["always", "deep", "never"]] = "never"
    gathers: ClassVar[bool] = False
    partial: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    facts: ClassVar[str] = ""
    target: ClassVar[str] = ""

    @cached_property
    def rule(self) -> str:
        """Its name is that of its file."""
        return type(self).__module__.rpartition(".")[2]

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Name -> file that a step writes; the values may be wildcards in braces."""
        raise NotImplementedError

    def further(self, layout: Layout, *values: str) -> Files:
        """All files that only some steps write, those whose parts say so."""
        return {}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """What a step reads and depends on."""
        raise NotImplementedError

    def filled(self, configuration: Configuration, given: str) -> str:
        """What is typed, with the parts that may be left out."""
        return given

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """All parts of a key from those that are typed.

        Raises:
            MedhashError: the configuration knows nothing of one.
        """
        return given

    def asked(self, configuration: Configuration) -> list[Values]:
        """The keys of the steps that a whole run asks for; what those need follows."""
        return []

    def number_of_threads(self, configuration: Configuration, *values: str) -> int:
        """How many threads a step runs in."""
        return self.cores

    def epochs(self, settings: dict[str, Any], *values: str) -> int:
        """How many epochs a step with these settings has; 0 without training."""
        return 0

    def state(self, outputs: Files) -> Path | None:
        """Where training keeps its state after each epoch."""
        return None

    def cell(self, *values: str) -> Cell | None:
        """The cell that a step is about, if it is about one."""
        return None

    def group(self, *values: str) -> Values:
        """The name of DVC's stage that a step belongs to."""
        return ("results",)

    def key(self, *values: str) -> str:
        """A step's key from its parts."""
        return "/".join(values) or ONLY

    def values(self, key: str) -> Values | None:
        """The parts of a key; None if it is none of this rule's."""
        if not self.wildcards:
            return () if key == ONLY else None
        return _match(self.wildcards, key)

    def typed(self, *values: str) -> Iterator[tuple[Wildcard, str]]:
        """The parts that are typed."""
        pairs = zip(self.wildcards, values, strict=True)
        return ((wildcard, value) for wildcard, value in pairs if wildcard.given != "no")

    def arguments(self, *values: str) -> str:
        """A step as it is typed; also in wildcards: ``split {paper}/{dataset}``."""
        return " ".join(self.words(*values))

    def words(self, *values: str) -> list[str]:
        """The words of :meth:`arguments`."""
        parts = list(self.typed(*values))
        argument = "/".join(value for wildcard, value in parts if wildcard.given == "argument")
        options = [(f"--{each.name}", value) for each, value in parts if each.given == "option"]
        return [self.command or self.rule, *filter(None, [argument]), *chain(*options)]

    def find(self, configuration: Configuration, given: str) -> Values | None:
        """All parts of a key from those that are typed, joined by ``/``; None if of another form.

        Raises:
            MedhashError: the configuration knows nothing of one.
        """
        wildcards = tuple(each for each in self.wildcards if each.given != "no")
        parts = _match(wildcards, self.filled(configuration, given)) if wildcards else ()
        return None if parts is None else self.complete(configuration, *parts)

    def refusal(self, given: str) -> MedhashError:
        """What to say of an argument of another form."""
        return MedhashError(f"{self.rule} {given!r}: expected {self.form}. {self.help}")

    @cached_property
    def _cached_patterns(self) -> dict[Path, list[tuple[str, re.Pattern[str]]]]:
        return {}

    def making(self, layout: Layout, path: str) -> Iterator[Values]:
        """The parts of keys of steps that may write a file."""
        for start, pattern in self._patterns(layout):
            found = pattern.fullmatch(path) if path.startswith(start) else None
            if found is not None:
                yield tuple(found[wildcard.name] for wildcard in self.wildcards)

    def _patterns(self, layout: Layout) -> list[tuple[str, re.Pattern[str]]]:
        """Of each file: its text up to the first wildcard, and a regular expression."""
        known = self._cached_patterns
        if layout.root not in known:
            names = tuple(map(str, self.wildcards))
            files = [*(self.outputs(layout, *names) | self.further(layout, *names)).values()]
            files.append(layout.receipt(self.rule, self.key(*names)))
            texts = [file.as_posix() for file in files]
            known[layout.root] = [(text.partition("{")[0], self._pattern(text)) for text in texts]
        return known[layout.root]

    def _pattern(self, text: str) -> re.Pattern[str]:
        escaped = re.escape(text)
        for wildcard in self.wildcards:
            name = re.escape(str(wildcard))
            escaped = escaped.replace(name, f"(?P<{wildcard.name}>{wildcard.pattern})", 1)
            escaped = escaped.replace(name, f"(?P={wildcard.name})")
        return re.compile(escaped)


PAPER = Wildcard("paper", "[a-z0-9]+")
DATASET = Wildcard("dataset", "[^/]+")
SEED = Wildcard("seed", "[0-9]+", given="no")
CELL = Wildcard("cell", "[^/]+/[^/]+/[^/]+/[0-9]+/[0-9]+")


class ViewKind(StepKind):
    """Steps of one dataset as a paper sees it."""

    form = "[PAPER/]DATASET"
    help = "Such as ach/covid_ct; the paper may be left out where the run has only one."

    def filled(self, configuration: Configuration, given: str) -> str:
        """With the paper, where the run has one."""
        from medhash.configuration.known_cells import known_view

        if given.count("/") + 1 >= sum(each.given != "no" for each in self.wildcards):
            return given
        dataset, *rest = given.split("/")
        return "/".join([*known_view(configuration, dataset), *rest])

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """Paper and dataset must be of the configuration."""
        from medhash.configuration.known_cells import known_view

        known_view(configuration, "/".join(given[:2]))
        return given


class CellKind(StepKind):
    """Steps of one cell."""

    wildcards = (PAPER, CELL)
    form = "CELL"
    help = "paper/dataset/method/variant/bits/seed, such as ach/covid_ct/csq/ach/8/0"

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The cell must be one that the configuration can have."""
        from medhash.configuration.known_cells import known_cell

        cell = known_cell(configuration, "/".join(given))
        return cell.paper, cell.coordinates

    def number_of_threads(self, configuration: Configuration, *values: str) -> int:
        """Those of the cell's settings."""
        return configuration.settings_of(self.cell(*values)).threads

    def cell(self, *values: str) -> Cell:
        """The cell."""
        return Cell.parse("/".join(values))

    def group(self, *values: str) -> Values:
        """One stage a dataset and method."""
        cell = self.cell(*values)
        return ("cells", cell.paper, cell.dataset, cell.method)

    def refusal(self, given: str) -> MedhashError:
        """What :meth:`Cell.parse` says."""
        try:
            self.cell(given)
        except MedhashError as error:
            return error
        return super().refusal(given)


def _match(wildcards: tuple[Wildcard, ...], text: str) -> Values | None:
    pattern = "/".join(f"({wildcard.pattern})" for wildcard in wildcards)
    found = re.fullmatch(pattern, text)
    return found.groups() if found else None


def with_suffixes(stem: Path, *suffixes: str) -> Files:
    """Files of one stem, named by their suffixes."""
    return {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in suffixes}
