"""The work of a toy step. Copied to ``src/medhash/data/brightness.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared import PreparedDataset
from medhash.files import write_text

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.flow.running import Job
    from medhash.flow.steps import Step


def run(configuration: Configuration, step: Step, job: Job) -> None:
    """Write the mean of each image's pixels, 0 to 255."""
    dataset = PreparedDataset(step.inputs["images"].parent)
    means = dataset.images.mean(axis=(1, 2, 3))
    lines = [f"{name},{mean:.4f}" for name, mean in zip(dataset.ids, means, strict=True)]
    write_text(step.outputs["brightness"], "\n".join(["image_id,brightness", *lines]) + "\n")
