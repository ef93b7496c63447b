"""Features of the query set in two dimensions (ACH Fig. 11b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from medhash.analysis.figures.drawing import titled_figure
from medhash.analysis.figures.explained import Explanations, PictureSpec, names_of
from medhash.analysis.numbers.context import Context, GridColumn

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Spec(PictureSpec):
    """t-SNE of the features of cells."""

    kind: Literal["tsne"]

    def points(self, facts: Explanations, context: Context) -> pd.DataFrame:
        """Two coordinates of every query image, one embedding a cell (t-SNE, seeded)."""
        import pandas as pd

        frames = []
        for cell, found in facts.items():
            if found is None:
                continue
            rows = found.arrays["feature_rows"]
            places = _tsne(found.arrays["features"])
            frame = pd.DataFrame({"x": places[:, 0], "y": places[:, 1], "row": rows})
            frame["class"] = [found.class_name(int(row)) for row in rows]
            names = names_of(cell, context)
            frames.append(frame.assign(**names)[[*names, "row", "class", "x", "y"]])
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def picture(
        self, explained: Explanations, points: pd.DataFrame, context: Context, titles: Sequence[str]
    ) -> Figure:
        """One panel a cell, the baseline on the left; colour and marker are the class."""
        import seaborn as sns

        columns = len(self.methods) * len(self.variants)
        rows = max(1, -(-len(explained) // columns))
        figure = titled_figure(3.1 * columns + 1.4, 2.9 * rows, titles)
        panels = figure.subplots(rows, columns, squeeze=False)
        classes = sorted(set(points["class"])) if len(points) else []
        colours = sns.color_palette("colorblind", len(classes))
        handles: dict[str, Any] = {}
        for (cell, found), axes in zip(explained.items(), panels.flat, strict=False):
            names = names_of(cell, context)
            column = context.column_label(GridColumn(cell.dataset, cell.bits))
            axes.set_title(f"{names['method_title']}\n{column}")
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            if found is None:
                self.refuse(axes, cell.dataset, context)
                continue
            own = points[points["cell"] == str(cell)]
            for name, colour, marker in zip(classes, colours, "os^DvPX*<>" * 4, strict=False):
                part = own[own["class"] == name]
                style = {"color": colour, "marker": marker, "s": 12, "linewidths": 0, "alpha": 0.85}
                handles[name] = axes.scatter(part["x"], part["y"], **style)
        figure.legend(handles.values(), handles.keys(), loc="outside right center", title="class")
        return figure


def _tsne(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """t-SNE to two dimensions; one thread and a fixed seed, so that a machine repeats itself."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    perplexity = min(30.0, (len(features) - 1) / 3)
    with threadpool_limits(1):
        reduction = TSNE(perplexity=perplexity, init="pca", random_state=0)
        places: NDArray[np.float32] = reduction.fit_transform(features)
    return places
