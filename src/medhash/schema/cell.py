"""A cell, the unit of training: dataset x method x variant x bits x seed (x origin)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from medhash.errors import MedhashError

ORIGIN_SEPARATOR = "@"
SCRATCH = "scratch"
"""The origin of a cell whose network is not pretrained at all."""


@dataclass(frozen=True, order=True)
class Cell:
    """One trained model's coordinates; its text is also its folder below ``cells/``.

    A cell usually starts from the backbone that is pretrained on its own dataset. One with an
    ``origin`` starts elsewhere (transfer learning, ACH Table VI), and its dataset is written
    ``brain_tumor_mri@covid_ct``.

    Attributes:
        dataset: name in ``config/datasets.yaml``.
        method: name of a file in ``medhash/methods``.
        variant: name in :data:`medhash.schema.variants.VARIANTS`, or an ablation of one.
        bits: code length q.
        seed: seed of initial weights and batches (the split has its own).
        origin: the dataset whose cell of the same other coordinates is fine-tuned, ``scratch``
            for random weights, or empty.
    """

    dataset: str
    method: str
    variant: str
    bits: int
    seed: int
    origin: str = ""

    def __str__(self) -> str:
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
        """Read ``covid_ct/hashnet/ach/8/0`` or ``brain_tumor_mri@covid_ct/hashnet/ach/8/0``.

        Raises:
            MedhashError: ``text`` is not of that form; names are not looked up here.
        """
        parts = text.strip("/").split("/")
        numbers = parts[3:]
        if len(parts) != 5 or not all(parts) or not all(_is_plain_number(n) for n in numbers):
            raise MedhashError(
                f"cell {text!r}: expected dataset/method/variant/bits/seed, "
                "for example covid_ct/hashnet/ach/8/0"
            )
        (place, method, variant), (bits, seed) = parts[:3], map(int, numbers)
        dataset, separator, origin = place.partition(ORIGIN_SEPARATOR)
        if bits < 1:
            raise MedhashError(f"cell {text!r}: a code has at least 1 bit")
        is_origin = dataset and origin and origin != dataset and ORIGIN_SEPARATOR not in origin
        if separator and not is_origin:
            raise MedhashError(
                f"cell {text!r}: expected dataset{ORIGIN_SEPARATOR}origin with the origin another "
                f"dataset or {SCRATCH}, for example brain_tumor_mri{ORIGIN_SEPARATOR}covid_ct"
            )
        return cls(dataset, method, variant, bits, seed, origin)


def _is_plain_number(text: str) -> bool:
    """Digits without sign or leading zero, so that one cell has one folder."""
    return text.isascii() and text.isdigit() and str(int(text)) == text
