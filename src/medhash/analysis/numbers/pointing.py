"""How often C2F-LP points at a known lesion, epoch by epoch: the numbers of table and figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from medhash.analysis.numbers.confounding import ConfoundedGrid
from medhash.analysis.numbers.context import Context
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
            wanted = (dataset, method, variant)
            own = [e for e in facts if (e.cell.dataset, e.cell.method, e.cell.variant) == wanted]
            place = {
                "row": context.paper.method_title(method, variant),
                **dict(zip(("dataset", "method", "variant"), wanted, strict=True)),
                "bits": self.bits[0],
                **context.place_columns(self, dataset, bool(own)),
            }
            if own:
                place |= seed_columns([each.cell.seed for each in own])
                place["images"] = own[0].images
            by_epoch = zip(*(each.epochs for each in own), strict=True)
            rows += [place | _numbers(epochs) for epochs in by_epoch] or [place]
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
