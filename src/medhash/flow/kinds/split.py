"""Splits of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import data_files
from medhash.flow.kind import DATASET, SEED, Files, Parts, Resources, StepKind, Values

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(StepKind):
    """Draw which images are query, database and training images.

    Writes results/<scale>/splits/<dataset>/<seed>.csv and .json.
    """

    order = 20
    wildcards = (DATASET, SEED)
    example = "covid_ct"
    runs_in = "medhash.data.splits"
    resources = Resources(memory_mb=2000, minutes=10, local=True)
    made_again = "always"
    facts = "facts"

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The seed is the card's."""
        return (*given, str(configuration.split_seed(*given)))

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The manifest, and its sizes."""
        manifest = layout.split(*values)
        return {"manifest": manifest, "facts": manifest.with_suffix(".json")}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The images' ids and labels, and the rule."""
        from medhash.configuration import dependencies

        configuration, (dataset, seed) = steps.configuration, values
        folder = configuration.layout.data(dataset)
        inputs = data_files(folder, "labels", "index", "description")
        inputs |= dict(zip(["listed"], configuration.listed_split(dataset), strict=False))
        settings = dependencies.split(configuration.card(dataset), int(seed))
        return Parts(inputs, settings, (self.runs_in,))

    def group(self, *values: str) -> Values:
        """With the dataset."""
        return ("data", values[0])
