"""Splits of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import data_files
from medhash.flow.kind import DATASET, PAPER, SEED, Files, Parts, Resources, Values, ViewKind

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(ViewKind):
    """Draw which images are query, database and training images.

    Writes results/<run>/<paper>/splits/<dataset>/<seed>.csv and .json.
    """

    order = 20
    wildcards = (PAPER, DATASET, SEED)
    runs_in = "medhash.data.splits.making"
    resources = Resources(memory_mb=2000, minutes=10, local=True)
    made_again = "always"
    facts = "facts"

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The seed is the one that the split's rule fixes."""
        view = super().complete(configuration, *given)
        return (*view, str(configuration.split_seed(*view)))

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The manifest, and its sizes."""
        manifest = layout.split(*values)
        return {"manifest": manifest, "facts": manifest.with_suffix(".json")}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The images' ids and labels, and the rule."""
        from medhash.configuration import dependencies

        configuration, (*view, seed) = steps.configuration, values
        inputs = data_files(configuration.data_for(*view), "labels", "index", "description")
        inputs |= dict(zip(["listed"], configuration.listed_split(*view), strict=False))
        settings = dependencies.split(configuration.card_for(*view), int(seed))
        return Parts(inputs, settings, (self.runs_in,))

    def group(self, *values: str) -> Values:
        """One stage a split."""
        return ("split", *values)
