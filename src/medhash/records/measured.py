"""What files of measurements share: latencies and the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

from pydantic import Field

from medhash.schema.cell import Cell
from medhash.stored import Part

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Single(Part):
    """One query at a time; latencies in seconds."""

    queries: int
    median_seconds: Positive
    p95_seconds: Positive
    fps: Positive


class Machine(Part):
    """Where the network ran."""

    type: str
    name: str


class Software(Part):
    """What it ran with."""

    torch: str
    platform: str


class Measured(Part):
    """A cell that something was measured of, and on what."""

    scale: str
    cell: Cell
    device: Machine
    threads: int
    cores: int
    load_average: float
    precision: str
    environment: Software
    measured: str

    @property
    def machine(self) -> str:
        """``AMD EPYC 7B13 (1 thread, float32)``."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}, "
        return (
            f"{self.device.name} ({threads if self.device.type == 'cpu' else ''}{self.precision})"
        )


def machine_columns(measured: Measured | None) -> dict[str, str]:
    """The machine as columns of a CSV; empty where nothing was measured."""
    return {name: of(measured) if measured else "" for name, of in _MACHINE.items()}


_MACHINE: dict[str, Callable[[Measured], str]] = {
    "device": lambda measured: measured.device.name,
    "threads": lambda measured: str(measured.threads),
    "cores": lambda measured: str(measured.cores),
    "load_average": lambda measured: f"{measured.load_average:.2f}",
    "precision": lambda measured: measured.precision,
    "torch": lambda measured: measured.environment.torch,
    "platform": lambda measured: measured.environment.platform,
    "measured": lambda measured: measured.measured,
}


def machine_notes(ran: Sequence[Measured]) -> Iterable[str]:
    """On which machines was measured, and whether one of them had other work."""
    machines = sorted({measured.machine for measured in ran})
    yield f"Measured on {'; '.join(machines)}."
    busiest = max(ran, key=lambda measured: measured.load_average / measured.cores)
    if busiest.load_average > 1.5 * busiest.cores:
        yield (
            f"Other work ran on the machine (load average up to {busiest.load_average:.1f} on "
            f"{busiest.cores} cores): the latencies are too long, and what is compared with each "
            "other may differ for this reason alone."
        )
