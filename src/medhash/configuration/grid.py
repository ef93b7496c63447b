"""A cell, the unit of training: dataset x method x variant x bits x seed."""

from __future__ import annotations

from dataclasses import dataclass

from medhash.errors import MedhashError


@dataclass(frozen=True, order=True)
class Cell:
    """One trained model's coordinates; its text is also its folder below ``cells/``.

    Attributes:
        dataset: name in ``config/datasets.yaml``.
        method: name of a file in ``medhash/methods``.
        variant: name in :data:`medhash.causal.variants.VARIANTS`.
        bits: code length q.
        seed: seed of initial weights and batches (the split has its own).
    """

    dataset: str
    method: str
    variant: str
    bits: int
    seed: int

    def __str__(self) -> str:
        return f"{self.dataset}/{self.method}/{self.variant}/{self.bits}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Read ``covid_ct/hashnet/ach/8/0``.

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
        dataset, method, variant = parts[:3]
        bits, seed = (int(number) for number in numbers)
        if bits < 1:
            raise MedhashError(f"cell {text!r}: a code has at least 1 bit")
        return cls(dataset, method, variant, bits, seed)


def _is_plain_number(text: str) -> bool:
    """Digits without sign or leading zero, so that one cell has one folder."""
    return text.isascii() and text.isdigit() and str(int(text)) == text
