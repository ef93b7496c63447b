"""Verdicts on the papers' claims."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import named
from medhash.flow.kind import Files, Parts, Resources, StepKind, Values, with_suffixes

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(StepKind):
    """Give each claim of the papers a verdict, where the seeds decide one."""

    order = 120
    panel = "About the papers"
    runs_in = "medhash.verdicts.texts"
    resources = Resources(memory_mb=4000, minutes=10)
    made_again = "always"
    gathers = True
    target = "claims"

    def asked(self, configuration: Configuration) -> list[Values]:
        """Where a paper of the run has a file of claims."""
        from medhash.configuration.claimed import claimed_by

        return [()] if claimed_by(configuration) else []

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The verdicts, as data and for reading."""
        return with_suffixes(layout.root / "claims", "csv", "md")

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The records and measurements that decide claims, as far as this run has them."""
        from medhash.configuration.claimed import claim_inputs, claimed_by

        configuration = steps.configuration
        inputs = named(configuration.layout, claim_inputs(configuration))
        settings = {each.printed.paper: each.dependencies for each in claimed_by(configuration)}
        return Parts(inputs, settings, (self.runs_in,))
