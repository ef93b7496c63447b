"""What files of measurements share: latencies, the machine, how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medhash.errors import MedhashError
from medhash.schema.cell import Cell

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Part(BaseModel):
    """The part of a file that is printed; further keys are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


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

    def machine_columns(self) -> dict[str, str]:
        """The machine as columns of a CSV, :data:`MACHINE_COLUMNS`."""
        return {
            "device": self.device.name,
            "threads": str(self.threads),
            "cores": str(self.cores),
            "load_average": f"{self.load_average:.2f}",
            "precision": self.precision,
            "torch": self.environment.torch,
            "platform": self.environment.platform,
            "measured": self.measured,
        }


MACHINE_COLUMNS = (
    "device",
    "threads",
    "cores",
    "load_average",
    "precision",
    "torch",
    "platform",
    "measured",
)

Model = TypeVar("Model", bound=BaseModel)


def read_measured(path: Path, model: type[Model]) -> Model:
    """Read one file.

    Raises:
        MedhashError: it is no whole measurement; the message names the file and the key.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"]))
        raise MedhashError(
            f"{path}: not a whole measurement: {key}: {problem['msg']}. Delete the file "
            "and let the workflow measure again."
        ) from error


def check_scale(cell: Cell, what: str, scale: str, asked: str) -> None:
    """Raise a MedhashError if a measurement is of another scale than the table."""
    if scale != asked:
        raise MedhashError(
            f"{what} of cell {cell}: its scale is {scale!r}, but {asked!r} is asked for; "
            "scales never mix."
        )


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
