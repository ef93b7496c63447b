"""How strongly a confounder goes with the class, and for whom.

Without confounding, every confounder's value is drawn evenly and independently of the class. With
it, one confounder has a preferred value for each class: with probability ``strength`` an image
gets that value, otherwise an even draw. Images of the query role can be drawn differently, which
makes the shift that ACH Section I fears: what went with the class in the database no longer does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from medhash.errors import MedhashError
from medhash.schema.base import Fraction, StrictModel


class Confounding(StrictModel):
    """One confounder correlated with the class.

    Attributes:
        confounder: its name, one of the modality's.
        strength: 0 (independent of the class) to 1 (the class decides the value).
        shifted: whether queries are drawn otherwise than the database.
        shift: how: ``reversed`` gives a query, at the same strength, the value that goes with
            another class in the database; ``independent`` draws it evenly.
    """

    confounder: str
    strength: Fraction
    shifted: bool = True
    shift: Literal["reversed", "independent"] = "reversed"

    def check(self, confounders: Mapping[str, Sequence[str]], dataset: str) -> None:
        """Refuse a confounder that the dataset does not have.

        Raises:
            MedhashError: it is unknown; the message lists those that there are.
        """
        if self.confounder not in confounders:
            raise MedhashError(
                f"confounding.confounder = '{self.confounder}': {dataset} has no such confounder; "
                f"it has {', '.join(confounders)}"
            )


def draw_confounders(
    confounders: Mapping[str, Sequence[str]],
    class_number: int,
    classes: int,
    role: str,
    confounding: Confounding | None,
    rng: np.random.Generator,
) -> dict[str, str]:
    """Values of all confounders of one image.

    The same random numbers are used whatever ``confounding`` is: an image differs between two
    strengths only where the confounder's value does.

    Args:
        confounders: name -> values.
        class_number: 0-based place of the image's class among ``classes`` classes.
        classes: number of classes.
        role: ``query`` or ``database``.
        confounding: the correlation, or None for independence.
        rng: the image's own generator; two numbers are drawn for each confounder.

    Returns:
        Name -> value.
    """
    drawn = {}
    for name, values in confounders.items():
        even, biased = rng.uniform(size=2)
        value = values[int(even * len(values))]
        if confounding is not None and confounding.confounder == name:
            preferred = _preferred(values, class_number, classes, role, confounding)
            if preferred is not None and biased < confounding.strength:
                value = preferred
        drawn[name] = value
    return drawn


def _preferred(
    values: Sequence[str], class_number: int, classes: int, role: str, confounding: Confounding
) -> str | None:
    """The value that goes with a class in a role, or None where none does."""
    used = min(len(values), classes)
    if role == "query" and confounding.shifted:
        if confounding.shift == "independent":
            return None
        class_number += 1
    return values[class_number % used]
