"""The measures: every number of a cell that tables, figures and claims can show.

A measure is one entry of :data:`MEASURES`. It names the file of a cell that holds the number and
where it stands there; nothing else has to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from medhash.schema.validation import nearest

Source = Literal["record", "speed", "lesions", "segmentation", "pointing"]
"""The file of a cell that holds a number."""


@dataclass(frozen=True)
class Measure:
    """A number that a cell has.

    Attributes:
        title: as printed; ``{k}`` stands for the cutoff.
        path: where it stands in its file, keys joined by dots; at a cutoff a mapping K -> number.
        source: the file.
        unit: of the printed number; ``%`` for a fraction that is printed in percent.
        factor: what makes the number of the file the printed unit.
        decimals: of the printed number.
        higher_is_better: whether the greatest is the best.
        of_queries: where the values of each query stand in the file; empty where there are none.
        seeded: whether chance in training moves it; sizes of sets and the speed of a network do not
            depend on it.
    """

    title: str
    path: str
    source: Source = "record"
    unit: str = "%"
    factor: int = 100
    decimals: int = 2
    higher_is_better: bool = True
    of_queries: str = ""
    seeded: bool = True

    @property
    def at_cutoff(self) -> bool:
        """Whether there is one number for each K."""
        return "{k}" in self.title

    @property
    def difference_unit(self) -> str:
        """What a difference of two is counted in: scores in percent differ by points."""
        return "points" if self.unit == "%" and self.higher_is_better else self.unit

    def of(self, facts: Any, cutoff: int | None = None) -> float | None:
        """The number of a cell, as its file has it; None where the file has none.

        Args:
            facts: the cell's file, read by the model of its source.
            cutoff: the K.
        """
        return self._at(facts, self.path, cutoff)

    def chance(self, record: Any, answer: str, cutoff: int | None = None) -> float | None:
        """What an answer scores that looks at no image, or None where the record has none.

        Args:
            record: of any cell of the same split, or its file of scores of pixels.
            answer: ``random``, ``majority`` or ``ideal``, see :mod:`medhash.retrieval.chance`; of
                pixels ``background``, see :mod:`medhash.records.segmentation`.
            cutoff: the K.
        """
        _, within, key = self.path.partition("metrics.")
        own = record.chance.get(answer) if within else None
        return None if own is None else self._at(own, key, cutoff)

    def by_query(self, facts: Any, cutoff: int | None = None) -> tuple[float, ...] | None:
        """The values of each query of a cell, of which its number is the mean; None without."""
        values: Any = self._at(facts, self.of_queries, cutoff) if self.of_queries else None
        return values

    def printed(self, value: float) -> Decimal:
        """The number in its unit, with the digits that are printed."""
        return Decimal(f"{self.factor * value:.{self.decimals}f}")

    @staticmethod
    def _at(facts: Any, path: str, cutoff: int | None) -> float | None:
        for name in path.split("."):
            named = isinstance(facts, Mapping)
            facts = facts.get(name) if named else getattr(facts, name, None)
        value: float | None = facts if cutoff is None else (facts or {}).get(cutoff)
        return value


def _latency(title: str, path: str) -> Measure:
    return Measure(title, path, "speed", "ms", 1000, higher_is_better=False, seeded=False)


def _step(title: str, step: str, factor: int, decimals: int) -> Measure:
    unit = "s" if factor == 1 else "ms"
    path = f"steps.{step}_seconds"
    return Measure(title, path, "speed", unit, factor, decimals, higher_is_better=False)


def _iou(mask_class: str) -> Measure:
    return Measure(f"IoU of {mask_class}", f"metrics.iou.{mask_class}", "segmentation")


def _gap(title: str, path: str) -> Measure:
    return Measure(title, path, unit="", factor=1, decimals=4, higher_is_better=False)


MEASURES: dict[str, Measure] = {
    "map": Measure("mAP", "metrics.map", of_queries="per_query_ap"),
    "map_weighted": Measure(
        "weighted mAP", "metrics.map_weighted", of_queries="per_query.map_weighted"
    ),
    "map_at": Measure("mAP@{k}", "metrics.map_at", of_queries="per_query.map_at"),
    "precision_at": Measure("P@{k}", "metrics.precision_at"),
    "recall_at": Measure("R@{k}", "metrics.recall_at"),
    "ndcg_at": Measure("NDCG@{k}", "metrics.ndcg_at", of_queries="per_query.ndcg_at"),
    "acg_at": Measure(
        "ACG@{k}", "metrics.acg_at", unit="", factor=1, decimals=4, of_queries="per_query.acg_at"
    ),
    "disease_precision_at": Measure("P@{k} by disease", "metrics.disease_precision_at"),
    "disease_map_at": Measure("mAP@{k} by disease", "metrics.disease_map_at"),
    "fine_disease_precision_at": Measure(
        "P@{k} by kind of disease", "metrics.fine_disease_precision_at"
    ),
    "fine_disease_map_at": Measure("mAP@{k} by kind of disease", "metrics.fine_disease_map_at"),
    "cdr_gap": _gap("CDR gap@{k}", "metrics.cdr_gap"),
    "cdr_gap_glaucoma": _gap("CDR gap@{k}, glaucoma", "metrics.cdr_gap_glaucoma"),
    "hit_ratio_at": Measure("hit ratio@{k}", "metrics.hit_ratio_at"),
    "mrr_at": Measure("mRR@{k}", "metrics.mrr_at"),
    "precision_recall_area": Measure("area under precision-recall", "metrics.pr_curve.area"),
    "queries": Measure(
        "queries", "metrics.queries", unit="images", factor=1, decimals=0, seeded=False
    ),
    "database": Measure(
        "database", "metrics.database", unit="images", factor=1, decimals=0, seeded=False
    ),
    "training_seconds": Measure(
        "training", "training.seconds", unit="s", factor=1, higher_is_better=False
    ),
    "fps": Measure("FPS, one image at a time", "single.fps", "speed", "FPS", 1, seeded=False),
    "latency_median": _latency("median latency (ms)", "single.median_seconds"),
    "latency_p95": _latency("95th percentile (ms)", "single.p95_seconds"),
    "batched_images_per_second": Measure(
        "images per second in batches",
        "batched.images_per_second",
        "speed",
        "images/s",
        1,
        seeded=False,
    ),
    "encode_seconds": _step("encoding the database (s)", "encode", 1, 2),
    "index_seconds": _step("making its index (s)", "index", 1, 4),
    "query_milliseconds": _step("answering all queries (ms)", "query", 1000, 2),
    "pixel_accuracy": Measure("pixel accuracy", "metrics.accuracy", "segmentation"),
    "mean_iou": Measure("mIoU", "metrics.mean_iou", "segmentation"),
    "background_iou": _iou("background"),
    "disc_iou": _iou("disc"),
    "cup_iou": _iou("cup"),
    "lung_iou": _iou("lung"),
    "lesion_precision": Measure("P@10, patches", "precision_at_10.patches", "lesions"),
    "lesion_image_precision": Measure("P@10, images", "precision_at_10.images", "lesions"),
    "lesion_runtime": Measure(
        "runtime", "runtime.change", "lesions", higher_is_better=False, seeded=False
    ),
}


class MeasureAt(NamedTuple):
    """A measure, at one K where it has several: ``map``, ``ndcg_at@100``.

    Attributes:
        name: a key of :data:`MEASURES`.
        cutoff: the K.
        unit: ``percent`` or ``fraction``, instead of the measure's own.
        decimals: of the printed number, instead of the measure's own.
    """

    name: str
    cutoff: int | None = None
    unit: Literal["percent", "fraction"] | None = None
    decimals: int | None = None

    def __str__(self) -> str:
        """As configuration files write it."""
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"

    @classmethod
    def parse(cls, text: str) -> MeasureAt:
        """Read ``ndcg_at@100``.

        Raises:
            ValueError: no such measure, or a K that is missing, no number or out of place.
        """
        name, separator, cutoff = text.partition("@")
        if name not in MEASURES:
            known = ", ".join(MEASURES)
            raise ValueError(f"unknown measure '{name}'{nearest(name, MEASURES)} (known: {known})")
        if MEASURES[name].at_cutoff != bool(separator):
            form = f"{name}@10" if MEASURES[name].at_cutoff else name
            raise ValueError(f"measure '{text}' must have the form '{form}'")
        if separator and not (cutoff.isascii() and cutoff.isdigit() and int(cutoff) > 0):
            raise ValueError(f"measure '{text}': the cutoff must be a whole number from 1")
        return cls(name, int(cutoff) if separator else None)

    @property
    def measure(self) -> Measure:
        """Its entry, printed as asked for."""
        measure = MEASURES[self.name]
        if self.unit is not None:
            unit, factor, decimals = ("%", 100, 2) if self.unit == "percent" else ("", 1, 4)
            measure = replace(measure, unit=unit, factor=factor, decimals=decimals)
        return measure if self.decimals is None else replace(measure, decimals=self.decimals)

    @property
    def title(self) -> str:
        """Its name as printed: ``NDCG@100``."""
        return self.measure.title.format(k=self.cutoff)

    def of(self, facts: Any) -> float | None:
        """The number of a cell; see :meth:`Measure.of`."""
        return self.measure.of(facts, self.cutoff)
