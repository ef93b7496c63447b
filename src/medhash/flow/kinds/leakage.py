"""What is on both sides of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import view_files
from medhash.flow.kind import Files, Parts, Resources, StepKind, Values, with_suffixes
from medhash.flow.kinds import split

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(split.Kind):
    """List images and patients that are in the query set and in the database.

    Writes results/<run>/<paper>/leakage/<dataset>/<seed>.csv, .md and .json.
    """

    order = 30
    runs_in = "medhash.data.leakage"
    resources = Resources(memory_mb=4000, minutes=30, local=True)
    facts = ""
    target = "all_leakage"

    def asked(self, configuration: Configuration) -> list[Values]:
        """That of each paper's datasets."""
        return [self.complete(configuration, *view) for view in configuration.views]

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The pairs, a table for reading, and a summary."""
        return with_suffixes(layout.leakage(*values), "csv", "md", "json")

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The split, and what is known of each image."""
        inputs = view_files(steps.configuration, *values[:2], "index", "description")
        return Parts(inputs, {}, (self.runs_in,))

    def group(self, *values: str) -> Values:
        """With the tables."""
        return StepKind.group(self, *values)
