"""Devices and numerical modes."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medhash.errors import MedhashError
from medhash.training.machine import processor_name


@dataclass(frozen=True)
class Device:
    """Where tensors live and in which precision networks run."""

    torch_device: torch.device
    precision: str
    compile: bool

    def autocast(self) -> AbstractContextManager[Any]:
        """A context in which matrix products run in the chosen precision."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16)

    def tensor(self, array: NDArray[Any]) -> torch.Tensor:
        """An array, which may be read-only, as a tensor there."""
        return torch.from_numpy(np.require(array, requirements="W")).to(self.torch_device)

    def machine(self) -> dict[str, Any]:
        """Device, threads and precision, for a measurement."""
        return {
            "device": self.describe(),
            "threads": torch.get_num_threads(),
            "precision": self.precision,
        }

    def describe(self) -> dict[str, object]:
        """Name and driver, for the record."""
        if self.torch_device.type == "cuda":
            properties = torch.cuda.get_device_properties(self.torch_device)
            return {
                "type": "cuda",
                "name": properties.name,
                "memory_bytes": properties.total_memory,
                "cuda": torch.version.cuda,
                "driver": _driver_version(),
            }
        return {
            "type": "cpu",
            "name": processor_name(),
            "threads": torch.get_num_threads(),
        }


def choose_device(name: str, *, precision: str, threads: int, compile: bool = False) -> Device:  # noqa: A002
    """Prepare the device ``name`` ("auto", "cpu", "cuda", "cuda:1").

    The number of CPU threads is fixed, because it decides the order in which sums are formed
    and so the last bits of every result.

    Raises:
        MedhashError: the device is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise MedhashError(f"device {name!r} was asked for, but torch sees no GPU; use cpu or auto")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    return Device(torch.device(name), precision, compile)


def _driver_version() -> str | None:
    """The version of NVIDIA's kernel driver; Linux says it in a file."""
    information = Path("/proc/driver/nvidia/version")
    if not information.exists():
        return None
    found = re.search(r"\d+\.\d+(\.\d+)?", information.read_text())
    return found[0] if found else None
