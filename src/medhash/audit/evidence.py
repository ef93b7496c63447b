"""What all checks of one audit share: files are hashed once, receipts are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from medhash.audit.repository import Repository
from medhash.configuration.loading import Configuration
from medhash.data.prepared import PreparedDataset
from medhash.data.splits.manifest import read_split
from medhash.errors import MedhashError
from medhash.files import usable_cores
from medhash.flow import environment, receipts
from medhash.flow.code import fingerprint
from medhash.flow.hashes import FileHashes
from medhash.flow.receipts import Receipt
from medhash.flow.steps import Step, Steps
from medhash.flow.tracked import TrackedFiles
from medhash.retrieval.representation import Representation
from medhash.schema.cell import Cell
from medhash.stored import Part, read_tree

NO_SUCH_FILE = "no such file"

Encode = Callable[[Cell], Representation]
"""Encodes the images of a cell again, with its checkpoint."""


@dataclass(frozen=True)
class Retrained:
    """What came of training a step again.

    Attributes:
        extent: whole, or how many of its epochs.
        difference: the first one from what was kept; empty if there is none.
        device: where it ran.
    """

    extent: str
    difference: str
    device: dict[str, object]


Retrain = Callable[[Step], Retrained]


class Evidence:
    """The files of one scale, as an audit sees them.

    Every byte is read again: nothing that another process remembers is believed.

    Args:
        configuration: what should have been run.
        encode: given for a deep audit, which also encodes images and prepares data again. It
            comes from outside so that this package needs no torch.
        retrain: given for an audit that trains again, likewise.
    """

    def __init__(
        self,
        configuration: Configuration,
        encode: Encode | None = None,
        retrain: Retrain | None = None,
    ) -> None:
        self.configuration = configuration
        self.encode = encode
        self.retrain = retrain
        self.layout = configuration.layout
        self.steps = Steps(configuration)
        self.tracked = TrackedFiles(Path())
        self.repository = Repository(Path())
        self._hashes: dict[Path, str | None] = {}
        self._receipts: dict[Step, Receipt | str] = {}

    def sha256(self, path: Path) -> str | None:
        """SHA-256 of a file, None if it is not here."""
        if path not in self._hashes:
            self._hashes[path] = FileHashes(remembers=False).of(path)
        return self._hashes[path]

    def hash_all(self, paths: Iterable[Path]) -> None:
        """Hash many files at once; the lock of the interpreter is free meanwhile."""
        new = [path for path in dict.fromkeys(paths) if path not in self._hashes]
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(self.sha256, new))

    def receipt(self, step: Step) -> Receipt | None:
        """A step's receipt; None if there is none, or if it cannot be read."""
        receipt = self._read_receipt(step)
        return None if isinstance(receipt, str) else receipt

    def why_no_receipt(self, step: Step) -> str:
        """Why :meth:`receipt` is None; empty if it is not."""
        receipt = self._read_receipt(step)
        return receipt if isinstance(receipt, str) else ""

    def receipted(self, path: Path) -> str | None:
        """The SHA-256 that the receipt of its own step gives a file; None if nothing does."""
        maker = self.steps.making(path)
        receipt = self.receipt(maker) if maker else None
        if maker is None or receipt is None:
            return None
        return receipts.sha256_of_output(receipt, maker, path)

    def json(self, path: Path) -> dict[str, Any] | None:
        """The keys and values of a JSON file; None if it is not here or holds none."""
        with suppress(MedhashError):
            return read_tree(path, Part)
        return None

    @cached_property
    def image_names(self) -> ImageNames:
        """Ids of images, for messages."""
        return ImageNames(self)

    @cached_property
    def cells_by_codes(self) -> dict[str, list[str]]:
        """SHA-256 of codes -> the cells of the run whose receipts say so."""
        cells: dict[str, list[str]] = {}
        for step in self.steps.all():
            if step.rule == "train" and (said := self.receipted(step.outputs["codes"])):
                cells.setdefault(said, []).append(step.key)
        return cells

    def has_other_libraries(self, step: Step) -> bool:
        """Whether a step ran with other versions of what decides its numbers."""
        before = (self.receipt(step) or {}).get("environment") or {}
        now = environment.describe()
        return any(before.get(name) != now[name] for name in environment.LIBRARIES)

    def is_elsewhere(self, step: Step) -> bool:
        """Whether a step ran in another environment than this: last bits may differ."""
        receipt = self.receipt(step) or {}
        return bool(receipt.get("environment") != environment.describe())

    def again(self, step: Step) -> str:
        """The command that makes a step's files again."""
        return f"medhash {step.arguments} {self.configuration.option}"

    def restore(self, path: Path, step: Step) -> str:
        """What to do about a file that is not the one that was made."""
        known = self.tracked.where(path)
        back = f"get it back ({known.command}), or " if known else ""
        return f"{back}make it again: {self.again(step)}"

    def _read_receipt(self, step: Step) -> Receipt | str:
        if step not in self._receipts:
            try:
                self._receipts[step] = receipts.read(step)
            except FileNotFoundError:
                self._receipts[step] = NO_SUCH_FILE
            except MedhashError as error:
                self._receipts[step] = str(error)
        return self._receipts[step]


class ImageNames:
    """Row of ``index.csv`` -> image id, from the index or, where that is not here, from a split."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._names: dict[tuple[str, str], dict[int, str]] = {}

    def of(self, cell: Cell, row: int) -> str:
        """The id of an image of a cell's dataset; ``row 17`` if nothing here knows it."""
        view = cell.paper, cell.dataset
        if view not in self._names:
            self._names[view] = self._read(*view)
        return self._names[view].get(row, f"row {row}")

    def _read(self, paper: str, dataset: str) -> dict[int, str]:
        configuration = self._evidence.configuration
        folder = configuration.data_for(paper, dataset)
        try:
            if (folder / "index.csv").is_file():
                ids = PreparedDataset(folder).index["image_id"]
            else:
                ids = read_split(configuration.split_for(paper, dataset))["image_id"]
        except MedhashError:
            return {}
        return dict(enumerate(map(str, ids)))


@cache
def modules_now(*modules: str) -> dict[str, str]:
    """Module -> hash of its code, of all that some modules reach."""
    now: dict[str, str] = fingerprint(*modules)["modules"]
    return now
