"""Figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import named
from medhash.flow.kind import Files, Parts, Values, with_suffixes
from medhash.flow.kinds import table

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(table.Kind):
    """Draw a figure from the records that are there.

    Writes results/<run>/<paper>/figures/<name>.pdf, .png and .csv (the points).
    """

    order = 110
    form = "PAPER/FIGURE"
    help = "Such as ach/fig7."
    target = "all_figures"

    def asked(self, configuration: Configuration) -> list[Values]:
        """All that have a cell in this run."""
        return [(spec.paper, spec.name) for spec in configuration.figures.values()]

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The configuration must have it, with a cell."""
        from medhash.schema.validation import check_name

        check_name("/".join(given), configuration.figures, "figure", "medhash figure")
        return given

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The picture, and its points."""
        return with_suffixes(layout.figure(*values), "pdf", "png", "csv")

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The cells' numbers and, for pictures, what they look at; some draw reported ones."""
        from medhash.configuration import dependencies
        from medhash.papers.reported import find_reported

        configuration = steps.configuration
        spec = configuration.figures["/".join(values)]
        inputs = named(configuration.layout, spec.inputs(configuration))
        settings = table.artefact_settings(configuration, spec)
        settings |= dependencies.reported(spec, find_reported(spec.paper))
        return Parts(inputs, settings, (spec.module, "medhash.analysis.figures.make"))
