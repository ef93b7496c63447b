"""Prepared datasets of real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medhash.data.prepared_files import MASKS
from medhash.flow.files import DATA, data_files
from medhash.flow.kind import DATASET, Files, Parts, Resources, StepKind, Values, Wildcard

if TYPE_CHECKING:
    from medhash.configuration.loading import Configuration
    from medhash.configuration.paths import Layout
    from medhash.flow.steps import Steps


SIZE = Wildcard("size", "[0-9]+")


class Kind(StepKind):
    """Read a dataset's archives (download them if need be), or generate a phantom.

    Writes results/<run>/data/<dataset>/<size>/.
    """

    order = 10
    wildcards = (Wildcard(DATASET.name, "(?!phantom_)[^/]+"), SIZE)
    form = "DATASET[/SIZE]"
    help = "Such as covid_ct/64; the size may be left out where the run has only one."
    runs_in = "medhash.data.preparation"
    resources = Resources(memory_mb=4000, minutes=120, local=True)
    cores = 4
    made_again = "deep"
    facts = "description"

    def filled(self, configuration: Configuration, given: str) -> str:
        """With the size, where the run has one."""
        from medhash.configuration.known_cells import known_size

        return "/".join(map(str, known_size(configuration, given)))

    def outputs(self, layout: Layout, *values: str) -> Files:
        """Images, labels, index and description."""
        return data_files(layout.data(*values), *DATA)

    def further(self, layout: Layout, *values: str) -> Files:
        """Masks, of a dataset whose card names classes of pixels."""
        return {"masks": layout.data(*values) / MASKS}

    def parts(self, steps: Steps, *values: str) -> Parts:
        """The card, and the size of images."""
        from medhash.configuration import dependencies

        configuration, (dataset, size) = steps.configuration, values
        card = configuration.card(dataset)
        settings = dependencies.preparation(card, int(size))
        modules = self.runs_in, f"medhash.data.readers.{card.reader}"
        masks = self.further(configuration.layout, *values) if card.mask_classes else {}
        return Parts({}, settings, modules, masks)

    def group(self, *values: str) -> Values:
        """One stage a dataset."""
        return ("data", *values)
