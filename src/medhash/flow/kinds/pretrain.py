"""Pretrained backbones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medhash.flow.files import view_files
from medhash.flow.kind import DATASET, PAPER, Files, Parts, Resources, Values, ViewKind, Wildcard

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps

_STAGE = Wildcard(
    "stage",
    "[^/]+",
    given="option",
    help="mae, then classification; or a network that methods share.",
)
_MAE, _CLASSIFICATION = "mae", "classification"


class Kind(ViewKind):
    """Pretrain the backbone on a dataset's training images.

    Writes results/<run>/<paper>/pretrain/<dataset>/<stage>.safetensors, .csv and .json.
    """

    order = 40
    wildcards = (PAPER, DATASET, _STAGE)
    runs_in = "medhash.training.pretraining"
    on_device = True
    resources = Resources(memory_mb=8000, minutes=720, gpu=1)
    timed = ("facts",)
    trains = True
    facts = "facts"

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """Paper and dataset must be of the configuration, and the stage be one."""
        from medhash.models import backbones
        from medhash.schema.validation import check_name

        stages = [_MAE, _CLASSIFICATION, *backbones.kinds()]
        check_name(given[-1], stages, "stage", "--stage")
        return super().complete(configuration, *given)

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Weights, losses, and with what they were trained."""
        weights = layout.pretrained(*values)
        suffixes = {"losses": ".csv", "facts": ".json"}
        return {"weights": weights} | {n: weights.with_suffix(s) for n, s in suffixes.items()}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The training images, and the stage before, or weights from elsewhere."""
        from medhash.configuration import relevant_settings

        configuration, (paper, dataset, stage) = steps.configuration, values
        inputs = view_files(configuration, paper, dataset, "images", "labels")
        if stage == _CLASSIFICATION:
            inputs["previous"] = configuration.layout.pretrained(paper, dataset, _MAE)
        chosen = configuration.stage_settings(*values)
        if stage != _CLASSIFICATION and chosen.network.kind in configuration.weights:
            inputs["previous"] = configuration.layout.weights(paper, chosen.network.kind)
        modules = self.runs_in, relevant_settings.backbone(chosen)
        return Parts(inputs, relevant_settings.pretraining(chosen, stage), modules)

    def number_of_threads(self, configuration: Configuration, *values: str) -> int:
        """Those of the paper's settings."""
        return configuration.settings[values[0]].shared.threads

    def epochs(self, settings: dict[str, Any], *values: str) -> int:
        """Those of the stage; a network that methods share is a classifier."""
        own = _MAE if values[-1] == _MAE else _CLASSIFICATION
        epochs: int = settings[own]["epochs"]
        return epochs

    def state(self, outputs: Files) -> Path:
        """Beside the weights."""
        weights = outputs["weights"]
        return weights.with_name(f".{weights.stem}.resume.safetensors")

    def group(self, *values: str) -> Values:
        """One stage a dataset."""
        return ("pretrain", *values[:2])
