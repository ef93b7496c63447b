"""Features of prepared images, which fitted methods stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared_files import GIST
from medhash.flow.files import data_files
from medhash.flow.kind import DATASET, Files, Parts, Resources
from medhash.flow.kinds import prepare

if TYPE_CHECKING:
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(prepare.Kind):
    """Describe a prepared dataset's images by GIST, once for all fitted cells.

    Writes results/<run>/data/<dataset>/<size>/gist.npy.
    """

    order = 20
    wildcards = (DATASET, prepare.SIZE)
    runs_in = "medhash.data.gist"
    resources = Resources(memory_mb=2000, minutes=60, local=True)
    facts = ""

    def outputs(self, layout: Layout, *values: str) -> Files:
        """One vector an image."""
        return {"gist": layout.data(*values) / GIST}

    def further(self, layout: Layout, *values: str) -> Files:
        """Nothing."""
        return {}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The images; GIST has no settings."""
        folder = steps.configuration.layout.data(*values)
        return Parts(data_files(folder, "images"), {}, (self.runs_in,))
