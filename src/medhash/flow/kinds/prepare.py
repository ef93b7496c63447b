"""Prepared datasets of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import DATA, data_files
from medhash.flow.kind import DATASET, Files, Parts, Resources, StepKind, Values, Wildcard

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(StepKind):
    """Read a dataset's archives (download them if need be), or generate a phantom.

    Writes results/<scale>/data/<dataset>/.
    """

    order = 10
    wildcards = (Wildcard(DATASET.name, "(?!phantom_)[^/]+", help=DATASET.help),)
    example = "covid_ct"
    runs_in = "medhash.data.preparation"
    resources = Resources(memory_mb=4000, minutes=120, local=True)
    cores = 4
    made_again = "deep"
    facts = "description"

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The dataset must have a card."""
        configuration.card(*given)
        return given

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Images, labels, index and description."""
        return data_files(layout.data(*values), *DATA)

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The card, and the size of images."""
        from medhash.configuration import dependencies

        configuration, (dataset,) = steps.configuration, values
        size = configuration.settings_for(dataset).network.image_size
        settings = dependencies.preparation(configuration.card(dataset), size)
        return Parts({}, settings, (self.runs_in,))

    def group(self, *values: str) -> Values:
        """One stage a dataset."""
        return ("data", values[0])
