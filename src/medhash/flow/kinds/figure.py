"""Figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import named
from medhash.flow.kind import Files, Parts, Values, Wildcard, with_suffixes
from medhash.flow.kinds import table

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(table.Kind):
    """Draw a figure from the records that are there.

    Writes results/<scale>/figures/<name>.pdf, .png and .csv (the points).
    """

    order = 110
    wildcards = (Wildcard("stem", "[a-z0-9]+_[a-z0-9]+", help="Such as ach_fig7."),)
    example = "ach_fig7"
    target = "all_figures"

    def asked(self, configuration: Configuration) -> list[Values]:
        """All that have a cell in this run."""
        return [(stem,) for stem in configuration.figures]

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The configuration must have it, with a cell."""
        from medhash.schema.validation import check_name

        check_name(given[0], configuration.figures, "figure", "medhash figure")
        return given

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The picture, and its points."""
        return with_suffixes(layout.root / "figures" / values[0], "pdf", "png", "csv")

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The cells' numbers and, for pictures, what they look at."""
        configuration = steps.configuration
        spec = configuration.figures[values[0]]
        inputs = named(configuration.layout, configuration.layout.figure_inputs(spec))
        module = "pictures" if spec.is_picture else "make"
        settings = table.artefact_settings(configuration, values[0])
        return Parts(inputs, settings, (f"medhash.analysis.figures.{module}",))
