"""What a run has that can decide a paper's claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medhash.analysis.claim_grid import ClaimGrid
from medhash.analysis.claim_numbers import RunNumbers
from medhash.analysis.context import Context, select
from medhash.analysis.records import Record, load_records
from medhash.analysis.speed_table import Measurement, load_measurements
from medhash.configuration.claim_rules import Claim, PaperClaims
from medhash.configuration.claims import artefact_of, load_claims, load_printed
from medhash.configuration.grid import Cell
from medhash.configuration.loading import Configuration
from medhash.configuration.papers import ArtefactSpec, Paper, TableSpec
from medhash.configuration.settings import Settings
from medhash.errors import MedhashError


@dataclass(frozen=True)
class ClaimRun:
    """A paper's claims beside the numbers of one run.

    Attributes:
        context: the scale's name, and the paper with its whole grid, as printed.
        claims: what the paper claims.
        phantoms: whether the scale runs on phantoms, which decide nothing.
        seeds: table or figure -> the seeds of its cells.
        outside: table or figure -> those of its cells that are not part of this run.
        merges: variant -> the variant that stands for it in this run.
        other_settings: the settings that the paper prints and that this run changes.
        records: cell -> record, of the run's cells that have one.
        speeds: cell -> measurement of its speed.
    """

    context: Context
    claims: PaperClaims
    phantoms: bool
    seeds: Mapping[str, tuple[int, ...]]
    outside: Mapping[str, frozenset[Cell]]
    merges: Mapping[str, str]
    other_settings: tuple[str, ...]
    records: Mapping[Cell, Record]
    speeds: Mapping[Cell, Measurement]

    def grid(self, claim: Claim) -> ClaimGrid:
        """The rows and columns of a claim."""
        return ClaimGrid(claim, self.context, self.merges)

    def numbers(self, claim: Claim) -> RunNumbers:
        """The numbers of a claim's cells."""
        return RunNumbers(self.seeds[claim.artefact], self.records, self.speeds)


def load_runs(configuration: Configuration) -> list[ClaimRun]:
    """The claims of each paper of a run that has a file of them, with the numbers that are there.

    Raises:
        MedhashError: a file of claims, a record or a measurement is refused.
    """
    return [
        _Loader(configuration, printed, claims).run for printed, claims in _claiming(configuration)
    ]


def claim_inputs(configuration: Configuration) -> list[Path]:
    """The records and measurements of a run that decide claims, there or not; none of phantoms.

    Raises:
        MedhashError: a file of claims is refused.
    """
    if configuration.phantoms is not None:
        return []
    loaders = [_Loader(configuration, *claiming) for claiming in _claiming(configuration)]
    paths = (path for loader in loaders for name in loader.specs for path in loader.files(name))
    return list(dict.fromkeys(paths))


def _claiming(configuration: Configuration) -> Iterator[tuple[Paper, PaperClaims]]:
    for name in configuration.papers:
        printed = load_printed(name)
        claims = load_claims(printed)
        if claims is not None:
            yield printed, claims


class _Loader:
    """Reads what decides one paper's claims.

    Args:
        configuration: the run.
        printed: the paper's whole grid.
        claims: what it claims.
    """

    def __init__(self, configuration: Configuration, printed: Paper, claims: PaperClaims) -> None:
        self._configuration = configuration
        self._printed, self._claims = printed, claims
        self._settings = configuration.settings[printed.paper]
        protocol = self._settings.evaluation.protocol
        self._context = Context(printed, configuration.scale, protocol)
        artefacts = configuration.artefacts.values()
        self._run_files = {path for spec in artefacts for path in configuration.inputs_of(spec)}
        self.specs = {claim.artefact: self._spec(claim) for claim in claims.claims.values()}

    @property
    def run(self) -> ClaimRun:
        """Everything, read and checked."""
        phantoms = self._configuration.phantoms is not None
        specs = {} if phantoms else self.specs
        return ClaimRun(
            context=self._context,
            claims=self._claims,
            phantoms=phantoms,
            seeds={name: _seeds(spec) for name, spec in self.specs.items()},
            outside={name: self._outside(spec) for name, spec in self.specs.items()},
            merges=_merges(self._printed, self._settings),
            other_settings=tuple(
                _changed(self._printed.settings, self._settings.model_dump(mode="json"))
            ),
            records=_by_cell(self._records(name) for name in specs if not self._is_fps(name)),
            speeds=_by_cell(self._speeds(name) for name in specs if self._is_fps(name)),
        )

    def files(self, name: str) -> list[Path]:
        """What this run makes of the files of a table or figure, there or not."""
        inputs = self._configuration.inputs_of(self.specs[name])
        return [path for path in inputs if path in self._run_files]

    def _spec(self, claim: Claim) -> ArtefactSpec:
        """A claim's table or figure, whole, with the seeds of the run."""
        run = self._configuration.papers[self._printed.paper]
        own: Mapping[str, ArtefactSpec] = run.tables if claim.table else run.figures
        seeds = own[claim.artefact].seeds
        return artefact_of(claim, self._printed).model_copy(update={"seeds": seeds})

    def _outside(self, spec: ArtefactSpec) -> frozenset[Cell]:
        files = zip(spec.cells(), self._configuration.inputs_of(spec), strict=True)
        return frozenset(cell for cell, path in files if path not in self._run_files)

    def _is_fps(self, name: str) -> bool:
        spec = self.specs[name]
        return isinstance(spec, TableSpec) and spec.kind == "fps"

    def _records(self, name: str) -> list[Record]:
        records = load_records(path for path in self.files(name) if path.is_file())
        return select(self.specs[name], records, self._context)

    def _speeds(self, name: str) -> list[Measurement]:
        measurements = load_measurements(self.files(name))
        for each in measurements:
            if each.scale != self._context.scale:
                raise MedhashError(
                    f"speed of cell {each.cell}: its scale is {each.scale!r}, but "
                    f"{self._context.scale!r} is asked for; scales never mix."
                )
        return measurements


def _seeds(spec: ArtefactSpec) -> tuple[int, ...]:
    return tuple(dict.fromkeys(cell.seed for cell in spec.cells()))


def _by_cell(lists: Iterable[Sequence[Any]]) -> dict[Cell, Any]:
    return {each.cell: each for items in lists for each in items}


def _merges(printed: Paper, settings: Settings) -> dict[str, str]:
    """Variant -> the variant with the same settings that this run trains instead."""
    merged = printed.merge_ablations(settings)
    return {
        variant: stands_in
        for name, figure in printed.figures.items()
        for panel, other in zip(figure.panels, merged.figures[name].panels, strict=True)
        for variant, stands_in in zip(panel.points.values(), other.points.values(), strict=True)
    }


def _changed(printed: Any, used: Any, key: str = "") -> Iterator[str]:
    """The keys of the printed settings that have another value in the used ones."""
    if isinstance(printed, Mapping):
        for name, value in printed.items():
            inner = used.get(name) if isinstance(used, Mapping) else None
            yield from _changed(value, inner, f"{key}.{name}" if key else str(name))
    elif printed != used:
        yield key
