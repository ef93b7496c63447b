"""Records of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.flow.files import cell_files, data_files
from medhash.flow.kind import CellKind, Files, Parts, Resources

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


class Kind(CellKind):
    """Score a cell's codes and write its record: all its numbers.

    Writes results/<run>/<paper>/cells/<cell>/record.json.
    """

    order = 60
    runs_in = "medhash.records.scoring"
    resources = Resources(memory_mb=2000, minutes=10, local=True)

    def outputs(self, layout: Layout, *values: str) -> Files:
        """The record."""
        return {"record": layout.record("/".join(values))}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The codes, how they are scored, and what else of their images decides a score."""
        from medhash.configuration import relevant_settings

        configuration, cell = steps.configuration, self.cell(*values)
        inputs = cell_files(configuration.layout, cell, "codes", "facts")
        chosen = configuration.settings_of(cell)
        read = ["description", "index"] if chosen.evaluation.attributes else ["description"]
        inputs |= data_files(configuration.data_of(cell), *read)
        settings = relevant_settings.recording(chosen)
        title = configuration.papers[cell.paper].method_title(cell.method)
        return Parts(inputs, settings | {"method_title": title}, (self.runs_in,))

    def number_of_threads(self, configuration: Configuration, *values: str) -> int:
        """It counts; that needs one."""
        return self.cores
