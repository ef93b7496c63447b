"""Y-Net without its FPN branch, for datasets without masks."""

from __future__ import annotations

from typing import ClassVar, Literal

from medhash.methods import ynet
from medhash.methods.families.descriptor import DescriptorMethod


class YnetNoFpnSettings(ynet.YnetSettings):
    """Those of Y-Net, but for what needs masks."""

    segmentation: Literal[False] = False


class Method(ynet.Method, DescriptorMethod[ynet.YnetSettings]):
    """Y-Net without its FPN branch."""

    title: ClassVar[str] = "Y-Net w/o FPN branch"
    Settings: ClassVar[type[ynet.YnetSettings]] = YnetNoFpnSettings
    needs: ClassVar[frozenset[str]] = frozenset()
