"""Backbones, one file each; a file's name is the kind that settings name (``network.kind``).

To add one, add a file here with a class ``Backbone`` that derives from
:class:`medhash.models.backbone.ImageBackbone`. Nothing has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medhash.models.backbone import ImageBackbone
    from medhash.schema.settings import NetworkSettings


def kinds() -> list[str]:
    """All kinds, sorted; found by file name, so that torch need not be imported."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def backbone_class(kind: str) -> type[ImageBackbone]:
    """The class of a kind; ``KeyError`` if there is no such file."""
    if kind not in kinds():
        raise KeyError(kind)
    loaded: type[ImageBackbone] = importlib.import_module(f"{__name__}.{kind}").Backbone
    return loaded


def build(settings: NetworkSettings) -> ImageBackbone:
    """The backbone of the settings, with random weights from torch's generator.

    Raises:
        pydantic.ValidationError: a key or value that this kind does not have.
    """
    kind = backbone_class(settings.kind)
    return kind(kind.Settings.model_validate(settings.model_dump()))


def pooled_width(settings: NetworkSettings) -> int:
    """D of the pooled features of :func:`build`'s backbone, without making one."""
    kind = backbone_class(settings.kind)
    return kind.pooled_width(kind.Settings.model_validate(settings.model_dump()))
