"""How often C2F-LP points at a known lesion, epoch by epoch: the numbers of table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from medhash.analysis.numbers.confounding import ConfoundedGrid
from medhash.analysis.numbers.context import Context, Place, seeds_of
from medhash.analysis.numbers.gains import interval_columns, seed_columns
from medhash.analysis.numbers.statistics import mean_and_half_width
from medhash.records.pointing import Epoch, Pointing
from medhash.schema.measures import Source

if TYPE_CHECKING:
    import pandas as pd

CSV_COLUMNS = (
    *("row", "dataset", "method", "variant", "bits", "epoch", "status", "hit_percent"),
    *("interval_least_percent", "interval_greatest_percent", "window_percent", "chance_percent"),
    *("images", "n_seeds", "seeds", "scale", "protocol", "synthetic", "note"),
)


class PointingSpec(ConfoundedGrid):
    """A table or figure of the pointing game: a hit is a key point in a patch with lesion."""

    @property
    def source(self) -> Source:
        """The file of each cell that it is made from."""
        return "pointing"

    def points(self, facts: Sequence[Pointing], context: Context) -> pd.DataFrame:
        """One row a place and epoch, with the columns :data:`CSV_COLUMNS`; means over seeds."""
        import pandas as pd

        rows: list[dict[str, object]] = []
        for dataset, method, variant in product(self.datasets, self.methods, self.variants):
            place = Place(dataset, method, variant, self.bits[0])
            own = [each for each in facts if Place.of(each.cell) == place]
            row = context.place_row(self, place, bool(own))
            if own:
                row |= seed_columns(seeds_of(own)) | {"images": own[0].images}
            by_epoch = zip(*(each.epochs for each in own), strict=True)
            rows += [row | _numbers(epochs) for epochs in by_epoch] or [row]
        frame = pd.DataFrame(rows, columns=list(CSV_COLUMNS))
        return frame.astype(dict.fromkeys(("epoch", "images", "n_seeds"), "Int64"))


def _numbers(epochs: Sequence[Epoch]) -> dict[str, object]:
    """Of one epoch, over seeds."""
    hits = mean_and_half_width([100 * each.hit for each in epochs])
    return {
        "epoch": epochs[0].epoch,
        **interval_columns("hit_percent", "interval_{}_percent", *hits),
        "window_percent": 100 * float(np.mean([each.window for each in epochs])),
        "chance_percent": 100 * float(np.mean([each.chance for each in epochs])),
    }
