"""What a training step leaves behind beside its weights: what went in, with what, for how long."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medhash.flow import environment
from medhash.schema.settings import Settings


class Stopwatch:
    """When a step began and how long it has been running."""

    def __init__(self) -> None:
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Wall time since the start."""
        return round(time.monotonic() - self._start, 3)


def training_facts(
    settings: Settings,
    inputs: dict[str, Path],
    hashes: dict[str, str],
    device: dict[str, Any],
    watch: Stopwatch,
    code: dict[str, Any],
) -> dict[str, Any]:
    """The part of ``training.json`` that every training step has."""
    return {
        "settings": settings.model_dump(mode="json"),
        "inputs": {
            name: {"path": path.as_posix(), "sha256": hashes[name]} for name, path in inputs.items()
        },
        "code": code,
        "environment": environment.describe(),
        "git": environment.git_state(),
        "device": device,
        "slurm": environment.slurm_job(),
        "started": watch.started,
        "seconds": watch.seconds(),
    }
