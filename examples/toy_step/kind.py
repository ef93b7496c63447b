"""The description of a toy step. Copied to ``src/medhash/flow/kinds/brightness.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import data_files
from medhash.flow.kind import DATASET, Files, Parts, Resources
from medhash.flow.kinds import gist, prepare

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(gist.Kind):
    """Measure how bright each image of a prepared dataset is.

    Writes results/<run>/data/<dataset>/<size>/brightness.csv.
    """

    order = 21
    wildcards = (DATASET, prepare.SIZE)
    runs_in = "medhash.data.brightness"
    resources = Resources(memory_mb=1000, minutes=5, local=True)
    made_again = "always"

    def outputs(self, layout: Layout, *values: str) -> Files:
        """One line an image."""
        return {"brightness": layout.data(*values) / "brightness.csv"}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The images."""
        folder = steps.configuration.layout.data(*values)
        return Parts(data_files(folder, "images", "index"), {}, (self.runs_in,))
