"""Which cells of a run decide the papers' claims, and what else the verdicts depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medhash.configuration.loading import Configuration
from medhash.files import sha256_of_value
from medhash.papers.claim_rules import Claim, PaperClaims
from medhash.papers.claims import artefact_of, load_claims, load_printed
from medhash.papers.paper import Paper
from medhash.papers.specs import OWN_SETTINGS, ArtefactSpec
from medhash.schema.cell import Cell


@dataclass(frozen=True)
class Claimed:
    """A paper's claims beside a run.

    Attributes:
        configuration: the run.
        printed: the paper's whole grid.
        claims: what the paper claims.
    """

    configuration: Configuration
    printed: Paper
    claims: PaperClaims

    @property
    def phantoms(self) -> bool:
        """Whether the run is on phantoms, which decide nothing."""
        return self.configuration.phantoms is not None

    @cached_property
    def specs(self) -> dict[str, ArtefactSpec]:
        """The tables and figures of the claims, whole, with the seeds of the run."""
        claims = self.claims.claims.values()
        further = [claim.model_copy(update={"table": claim.also}) for claim in claims if claim.also]
        return {claim.artefact: self._spec(claim) for claim in (*claims, *further)}

    def files(self, name: str) -> list[Path]:
        """The files of a table's or figure's cells that are part of this run, there or not."""
        return [path for path in self._inputs(name).values() if path in self._run_files]

    @cached_property
    def outside(self) -> dict[str, frozenset[Cell]]:
        """Table or figure -> those of its cells that are not part of this run."""
        return {name: frozenset(self._outside(name)) for name in self.specs}

    def seeds(self, name: str) -> tuple[int, ...]:
        """The seeds of the cells of a table or figure."""
        return tuple(dict.fromkeys(cell.seed for cell in self.specs[name].cells()))

    @cached_property
    def merges(self) -> dict[str, str]:
        """Variant -> the variant with the same settings that this run trains instead."""
        merged = self.printed.merge_ablations(self._settings)
        return {
            variant: stands_in
            for name, figure in self.printed.figures.items()
            for panel, points in figure.points_of_panels.items()
            for variant, stands_in in zip(
                points, merged.figures[name].points_of_panels[panel], strict=True
            )
        }

    @property
    def other_settings(self) -> tuple[str, ...]:
        """The keys of the settings that the paper prints and that this run changes."""
        return tuple(_changed(self.printed.settings, self._settings.model_dump(mode="json")))

    @property
    def as_printed(self) -> bool:
        """Whether the run is what the paper describes: its scale, and none of its settings changed.

        Only then a claim can be reproduced, or not.
        """
        return self.configuration.scale == OWN_SETTINGS and not self.other_settings

    @property
    def protocol(self) -> str:
        """How the run scores codes."""
        return self._settings.evaluation.protocol

    @property
    def dependencies(self) -> dict[str, Any]:
        """What the verdicts depend on beside the files; long parts as their SHA-256."""
        undecided = [each.model_dump(mode="json") for each in self.claims.undecided]
        own = {"claims": _hashes(self.claims.claims), "undecided": sha256_of_value(undecided)}
        if self.phantoms:
            return own | {"phantoms": True}
        names = self.printed.model_dump(mode="json", include={"datasets", "methods", "variants"})
        outside = {name: sorted(map(str, cells)) for name, cells in self.outside.items()}
        return own | {
            "grid": _hashes(self.specs),
            "names": sha256_of_value(names),
            "merges": self.merges,
            "as_printed": self.as_printed,
            "other_settings": list(self.other_settings),
            "outside": sha256_of_value(outside),
            "protocol": self.protocol,
        }

    @property
    def _settings(self) -> Any:
        return self.configuration.settings[self.printed.paper].shared

    @cached_property
    def _run_files(self) -> frozenset[Path]:
        artefacts = self.configuration.artefacts.values()
        return frozenset(p for spec in artefacts for p in spec.numbers(self.configuration.layout))

    def _inputs(self, name: str) -> dict[Cell, Path]:
        spec = self.specs[name]
        return dict(zip(spec.cells(), spec.numbers(self.configuration.layout), strict=True))

    def _outside(self, name: str) -> list[Cell]:
        inputs = self._inputs(name).items()
        return [cell for cell, path in inputs if path not in self._run_files]

    def _spec(self, claim: Claim) -> ArtefactSpec:
        run = self.configuration.papers[self.printed.paper]
        own: Mapping[str, ArtefactSpec] = run.tables if claim.table else run.figures
        seeds = own[claim.artefact].seeds
        return artefact_of(claim, self.printed).model_copy(update={"seeds": seeds})


def claimed_by(configuration: Configuration) -> list[Claimed]:
    """The claims of each paper of a run that has a file of them.

    Raises:
        MedhashError: a file of claims is refused.
    """
    printed = map(load_printed, configuration.papers)
    pairs = ((paper, load_claims(paper)) for paper in printed)
    return [Claimed(configuration, paper, claims) for paper, claims in pairs if claims]


def claim_inputs(configuration: Configuration) -> list[Path]:
    """The records and measurements of a run that decide claims, there or not.

    A run on phantoms has none: a paper's grid is of real datasets.

    Raises:
        MedhashError: a file of claims is refused.
    """
    papers = claimed_by(configuration)
    return list(
        dict.fromkeys(p for each in papers for name in each.specs for p in each.files(name))
    )


def _hashes(models: Mapping[str, BaseModel]) -> dict[str, str]:
    return {name: sha256_of_value(model.model_dump(mode="json")) for name, model in models.items()}


def _changed(printed: Any, used: Any, key: str = "") -> Iterator[str]:
    """The keys of the printed settings that have another value in the used ones."""
    if isinstance(printed, Mapping):
        for name, value in printed.items():
            inner = used.get(name) if isinstance(used, Mapping) else None
            yield from _changed(value, inner, f"{key}.{name}" if key else str(name))
    elif printed != used:
        yield key
