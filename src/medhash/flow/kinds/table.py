"""Tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import named
from medhash.flow.kind import (
    PAPER,
    Files,
    Parts,
    Resources,
    StepKind,
    Values,
    Wildcard,
    with_suffixes,
)

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps
    from medhash.papers.specs import ArtefactSpec


class Kind(StepKind):
    """Make a table from the records (for speed: the measurements) that are there.

    Writes results/<run>/<paper>/tables/<name>.csv, .md and .tex.
    """

    order = 100
    wildcards = (PAPER, Wildcard("name", "[a-z0-9]+"))
    form = "PAPER/TABLE"
    help = "Such as ach/table3."
    runs_in = "medhash.analysis.artefacts"
    resources = Resources(memory_mb=2000, minutes=10, local=True)
    made_again = "always"
    target = "all_tables"

    def asked(self, configuration: Configuration) -> list[Values]:
        """All that have a cell in this run."""
        return [(spec.paper, spec.name) for spec in configuration.tables.values()]

    def complete(self, configuration: Configuration, *given: str) -> Values:
        """The configuration must have it, with a cell."""
        from medhash.schema.validation import check_name

        check_name("/".join(given), configuration.tables, "table", "medhash table")
        return given

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Numbers, and the table as text and for LaTeX."""
        return with_suffixes(layout.table(*values), "csv", "md", "tex")

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The cells' numbers; it prints the reported ones beside them."""
        from medhash.configuration import dependencies
        from medhash.papers.reported import find_reported

        configuration = steps.configuration
        spec = configuration.tables["/".join(values)]
        settings = artefact_settings(configuration, spec)
        settings |= dependencies.reported(spec, find_reported(spec.paper))
        inputs = named(configuration.layout, spec.inputs(configuration))
        return Parts(inputs, settings, (spec.module, "medhash.analysis.tables.make"))


def artefact_settings(configuration: Configuration, spec: ArtefactSpec) -> dict[str, object]:
    """What a table or figure depends on beside its files."""
    from medhash.configuration import dependencies

    protocol = configuration.settings[spec.paper].shared.evaluation.protocol
    named_run = {"run": configuration.run} if configuration.is_named else {}
    return dependencies.artefact(spec, configuration.papers[spec.paper], protocol) | named_run
