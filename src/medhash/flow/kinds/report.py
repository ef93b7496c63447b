"""The page about everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import named
from medhash.flow.kind import Files, Parts, Resources, StepKind, Values

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps

_ON_THE_PAGE = (".csv", ".md", ".png")


class Kind(StepKind):
    """Write results/<run>/report.html: claims, tables, figures and where each number comes from.

    One file that opens offline. What is not made yet is said to be missing.
    """

    order = 130
    panel = "About the papers"
    runs_in = "medhash.report.page"
    resources = Resources(memory_mb=4000, minutes=10)
    made_again = "always"
    gathers = True
    partial = True
    target = "report"

    def asked(self, configuration: Configuration) -> list[Values]:
        """Always."""
        return [()]

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The page."""
        return {"page": layout.root / "report.html"}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """What it shows; of what tables and figures read, it says the hashes."""
        from medhash.configuration import dependencies

        configuration, shown = steps.configuration, steps.asked(before=self)
        files = [p for step in shown for p in step.outputs.values() if p.suffix in _ON_THE_PAGE]
        files += [p for step in shown for p in step.inputs.values() if p.suffix == ".json"]
        inputs = named(configuration.layout, dict.fromkeys(files))
        inputs |= {"fidelity": dependencies.FIDELITY} if dependencies.FIDELITY.is_file() else {}
        return Parts(inputs, dependencies.report(configuration), (self.runs_in,))
