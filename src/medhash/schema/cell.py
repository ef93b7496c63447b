"""A cell, the unit of training: paper x dataset x method x variant x bits x seed (x origin)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medhash.errors import MedhashError

ORIGIN_SEPARATOR = "@"
SCRATCH = "scratch"
"""The origin of a cell whose network is not pretrained at all."""


@dataclass(frozen=True, order=True)
class Cell:
    """One trained model's coordinates.

    Its text names it everywhere: on command lines, as the key of its steps. The paper comes first,
    because settings, image size and split are the paper's.

    A cell usually starts from the backbone that is pretrained on its own dataset. One with an
    ``origin`` starts elsewhere (transfer learning, ACH Table VI), and its dataset is written
    ``brain_tumor_mri@covid_ct``.

    Attributes:
        paper: name of a file in ``config/papers``.
        dataset: name in ``config/datasets.yaml``.
        method: name of a file in ``medhash/methods``.
        variant: name in :data:`medhash.schema.variants.VARIANTS`, or an ablation of one.
        bits: code length q.
        seed: seed of initial weights and batches (the split has its own).
        origin: the dataset whose cell of the same other coordinates is fine-tuned, ``scratch``
            for random weights, or empty.
    """

    paper: str
    dataset: str
    method: str
    variant: str
    bits: int
    seed: int
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.paper}/{self.coordinates}"

    @property
    def coordinates(self) -> str:
        """The text without the paper: the cell's folder below ``<paper>/cells/``."""
        dataset = f"{self.dataset}{ORIGIN_SEPARATOR}{self.origin}" if self.origin else self.dataset
        return f"{dataset}/{self.method}/{self.variant}/{self.bits}/{self.seed}"

    @property
    def source(self) -> Cell | None:
        """The cell that this one is fine-tuned from, if there is one."""
        if self.origin in ("", SCRATCH):
            return None
        return replace(self, dataset=self.origin, origin="")

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Read ``ach/covid_ct/hashnet/ach/8/0`` or ``ach/brain_tumor_mri@covid_ct/dsh/none/8/0``.

        Raises:
            MedhashError: ``text`` is not of that form; names are not looked up here.
        """
        parts = text.strip("/").split("/")
        numbers = parts[4:]
        if len(parts) != 6 or not all(parts) or not all(_is_plain_number(n) for n in numbers):
            raise MedhashError(
                f"cell {text!r}: expected paper/dataset/method/variant/bits/seed, "
                "for example ach/covid_ct/hashnet/ach/8/0"
            )
        (paper, place, method, variant), (bits, seed) = parts[:4], map(int, numbers)
        dataset, separator, origin = place.partition(ORIGIN_SEPARATOR)
        if bits < 1:
            raise MedhashError(f"cell {text!r}: a code has at least 1 bit")
        is_origin = dataset and origin and origin != dataset and ORIGIN_SEPARATOR not in origin
        if separator and not is_origin:
            raise MedhashError(
                f"cell {text!r}: expected dataset{ORIGIN_SEPARATOR}origin with the origin another "
                f"dataset or {SCRATCH}, for example brain_tumor_mri{ORIGIN_SEPARATOR}covid_ct"
            )
        return cls(paper, dataset, method, variant, bits, seed, origin)


def _is_plain_number(text: str) -> bool:
    """Digits without sign or leading zero, so that one cell has one folder."""
    return text.isascii() and text.isdigit() and str(int(text)) == text
