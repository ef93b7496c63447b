"""The name of the device that a cell would be trained on, as records say it, without torch."""

from __future__ import annotations

import platform
import re
from pathlib import Path

_GPUS = Path("/proc/driver/nvidia/gpus")
_PROCESSOR = Path("/proc/cpuinfo")


def device_here(name: str = "auto") -> str:
    """The model of the GPU or processor that ``auto``, ``cpu`` or ``cuda:1`` stands for here."""
    gpus = [] if name == "cpu" else _gpus()
    if not gpus:
        return _model(_PROCESSOR, "model name") or platform.processor() or platform.machine()
    number = re.search(r":(\d+)$", name)
    return gpus[min(int(number[1]), len(gpus) - 1) if number else 0]


def _gpus() -> list[str]:
    """Models of the NVIDIA GPUs of this machine; Linux says them in files."""
    files = sorted(_GPUS.glob("*/information")) if _GPUS.is_dir() else []
    models = [_model(file, "Model") for file in files]
    return [model for model in models if model]


def _model(file: Path, key: str) -> str:
    if not file.is_file():
        return ""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines)
    return next((text.strip() for name, _, text in pairs if name.strip() == key), "")
