"""What every method says of itself, whatever its family. Nothing here imports torch."""

from __future__ import annotations

from typing import ClassVar, Literal

from medhash.schema.base import StrictModel
from medhash.schema.settings import Start

Family = Literal["hashing", "descriptor", "fitted"]
Distance = Literal["hamming", "euclidean", "cosine"]


class MethodDeclaration:
    """The class attributes that every method has.

    Attributes:
        title: its name as printed, unless a paper prints another.
        family: decides how it is trained; what comes after training does not look at it.
        Settings: its own hyperparameters.
        distance: how what it gives two images is compared.
        backbone: the only file of :mod:`medhash.models.backbones` that it can stand on; empty
            for a method that stands on any, which the settings then name.
        needs: what it is trained with beside images and labels: ``masks``, ``gist``.
        plugs: what can be plugged into it: ``dbw``, ``lcr``, ``lfr``.
        start: where its weights come from, unless the settings say it.
        awaits: a hyperparameter of its own without which it is not run -> why it waits for it.
    """

    title: ClassVar[str]
    family: ClassVar[Family]
    Settings: ClassVar[type[StrictModel]]
    distance: ClassVar[Distance]
    backbone: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    plugs: ClassVar[frozenset[str]] = frozenset()
    start: ClassVar[Start] = "pretrained"
    awaits: ClassVar[dict[str, str]] = {}
