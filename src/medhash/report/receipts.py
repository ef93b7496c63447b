"""What the receipts of a run say, read once for the whole page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow import receipts
from medhash.flow.receipts import Receipt
from medhash.flow.steps import Step, Steps


class Told:
    """The steps of a run with their receipts.

    Args:
        configuration: the run.
        steps: of the configuration.
    """

    def __init__(self, configuration: Configuration, steps: Steps) -> None:
        self.configuration = configuration
        self.steps = steps

    @cached_property
    def receipts(self) -> Mapping[Step, Receipt | None]:
        """Every step but the report, in the order in which they run; None without a receipt."""
        return {step: _read(step) for step in self.steps.all() if step.rule != "report"}

    def receipt(self, step: Step) -> Receipt | None:
        """A step's receipt; None if there is none that can be read."""
        return self.receipts[step] if step in self.receipts else _read(step)

    def sha256(self, path: Path) -> str | None:
        """What its own step's receipt says of a file; None if nothing does."""
        maker = self.steps.making(path)
        receipt = self.receipt(maker) if maker else None
        if maker is None or receipt is None:
            return None
        return receipts.sha256_of_output(receipt, maker, path)

    def changed(self, paths: Iterable[Path]) -> tuple[str, ...]:
        """Those of some files that are here and are not what their receipts say."""
        found = []
        for path in paths:
            said = self.sha256(path)
            if path.is_file() and said != sha256_of_file(path):
                why = "has no receipt" if said is None else "is not what its receipt says"
                found.append(f"{path.as_posix()} {why}")
        return tuple(found)


def _read(step: Step) -> Receipt | None:
    try:
        return receipts.read(step)
    except (OSError, MedhashError):
        return None
