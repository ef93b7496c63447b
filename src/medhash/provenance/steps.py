"""What each step of the flow depends on, as a short text that changes when the step must run again.

Snakemake keeps these texts as parameters of its jobs. They cover code and settings; the contents
of input files are Snakemake's to compare.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from medhash.configuration import dependencies, relevant_settings
from medhash.configuration.grid import Cell
from medhash.configuration.loading import Configuration
from medhash.configuration.reported import find_reported
from medhash.files import sha256_of_value
from medhash.provenance.code import fingerprint

_DIGITS = 16


class StepVersions:
    """The versions of all steps of one configuration.

    Args:
        configuration: what is run.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def prepare(self, dataset: str) -> str:
        """Version of the step that reads archives."""
        settings = dependencies.preparation(self._card(dataset), self._image_size(dataset))
        return _version(settings, "medhash.data.preparation")

    def phantom(self, dataset: str) -> str:
        """Version of the step that generates a phantom."""
        size = self._image_size(dataset)
        phantoms = self._configuration.required_phantoms()
        settings = dependencies.phantom(self._card(dataset), size, phantoms)
        return _version(settings, "medhash.data.phantoms")

    def split(self, dataset: str) -> str:
        """Version of the step that draws the split."""
        seed = self._configuration.split_seed(dataset)
        settings = dependencies.split(self._card(dataset), seed)
        return _version(settings, "medhash.data.splits")

    def leakage(self) -> str:
        """Version of the step that looks for leaks between query and database."""
        return _version({}, "medhash.data.leakage")

    def pretrain(self, dataset: str, stage: str) -> str:
        """Version of a pretraining stage."""
        settings = relevant_settings.pretraining(self._configuration.settings_for(dataset), stage)
        return _version(settings, "medhash.training.pretraining")

    def train(self, cell: Cell) -> str:
        """Version of the training of a cell: of other methods' files it knows nothing."""
        settings = relevant_settings.training(self._configuration.settings_of(cell), cell)
        return _version(settings, "medhash.training.cells", f"medhash.methods.{cell.method}")

    def explain(self, cell: Cell) -> str:
        """Version of the explanation of a cell; its training is an input."""
        settings = self._configuration.settings_of(cell).lcr.model_dump(mode="json")
        chosen = self._configuration.explanation.model_dump(mode="json")
        modules = "medhash.training.explanation", f"medhash.methods.{cell.method}"
        return _version({"lcr": settings, "images": chosen}, *modules)

    def record(self, cell: Cell) -> str:
        """Version of the scoring of a cell."""
        settings = relevant_settings.recording(self._configuration.settings_for(cell.dataset))
        return _version(settings, "medhash.provenance.records")

    def speed(self, cell: Cell) -> str:
        """Version of the measurement of a cell's speed."""
        settings = relevant_settings.training(self._configuration.settings_for(cell.dataset), cell)
        return _version(settings, "medhash.training.speed", f"medhash.methods.{cell.method}")

    def table(self, stem: str) -> str:
        """Version of a table; it prints the reported numbers beside its own."""
        spec = self._configuration.artefacts[stem]
        reported = dependencies.reported(spec, find_reported(spec.paper))
        return _version(self._artefact(stem) | reported, "medhash.analysis.tables")

    def figure(self, stem: str) -> str:
        """Version of a figure."""
        picture = self._configuration.figures[stem].is_picture
        return _version(
            self._artefact(stem), f"medhash.analysis.{'pictures' if picture else 'figures'}"
        )

    def _artefact(self, stem: str) -> dict[str, Any]:
        spec = self._configuration.artefacts[stem]
        paper = self._configuration.papers[spec.paper]
        protocol = self._configuration.settings[spec.paper].evaluation.protocol
        return dependencies.artefact(spec, paper, protocol)

    def _card(self, dataset: str) -> Any:
        return self._configuration.card(dataset)

    def _image_size(self, dataset: str) -> int:
        return self._configuration.settings_for(dataset).network.image_size


@cache
def _code(*modules: str) -> str:
    text: str = fingerprint(*modules)["fingerprint"]
    return text


def _version(settings: dict[str, Any], *modules: str) -> str:
    return f"code {_code(*modules)[:_DIGITS]}, settings {sha256_of_value(settings)[:_DIGITS]}"
