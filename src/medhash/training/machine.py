"""Seeds, and what the processor is called: what needs no torch of where and how a cell is made."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path


def seed_for(*parts: object) -> int:
    """A seed of 63 bits from any values: the same values, the same seed, on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def processor_name() -> str:
    """The CPU's model; Linux alone says it in a file."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
