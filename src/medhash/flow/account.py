"""What the receipt of an earlier step says, for steps that read its files.

Nothing of how steps are described is reached from here, or every step would depend on all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.stored import Part, read_tree


class _Part(Part):
    model_config = ConfigDict(strict=True)


class FileAccount(_Part):
    """A file that went in or came out."""

    path: str
    sha256: str


class Code(_Part):
    """The code that ran: module -> hash, and one hash of them all."""

    fingerprint: str
    modules: dict[str, str]


class Commit(_Part):
    """The state of git."""

    commit: str | None = None
    dirty: bool | None = None


class Proof(_Part):
    """A step that was run again, and how far."""

    step: str
    extent: str


class Change(_Part):
    """A version that was accepted later."""

    before: str = Field(alias="from")
    to: str
    proof: list[Proof]
    seal: str
    at: str


class ArchiveAccount(_Part):
    """What data were prepared from."""

    file: str
    sha256: str
    source: str


class Named(_Part):
    """What receipts of every schema say."""

    schema_version: int = Field(alias="schema")
    rule: str
    key: str


class Receipt(Named):
    """What every receipt of today's schema says; :mod:`medhash.flow.receipts` writes it."""

    version: str
    settings: dict[str, Any]
    code: Code
    inputs: dict[str, FileAccount]
    outputs: dict[str, FileAccount]
    upstream: dict[str, str]
    device: dict[str, Any] | None = None
    archives: list[ArchiveAccount] = Field(default_factory=list)
    environment: dict[str, str | None]
    git: Commit | None = None
    slurm: dict[str, Any] | None = None
    started: str
    seconds: float
    accepted: list[Change] = Field(default_factory=list)


def described(receipt: Path, outputs: Mapping[str, Path]) -> dict[str, Any]:
    """A receipt whose outputs must be these files; one that is not here is left out.

    Args:
        receipt: its path.
        outputs: the receipt's name of each file that is looked at, and where it lies.

    Raises:
        MedhashError: there is no such receipt, or a file is not what it says.
    """
    account = read_tree(receipt, Receipt, "run its step again", "receipt")
    for name, path in outputs.items():
        said = account["outputs"].get(name)
        if said is None:
            raise MedhashError(f"{receipt}: says nothing of '{name}'; run its step again")
        require_same(path, said["sha256"], name, receipt)
    return account


def require_trained_together(receipt: Path, folder: Path) -> Path:
    """Refuse a checkpoint and codes of different trainings: their distances mean nothing.

    Returns:
        The file of the codes or descriptors.

    Raises:
        MedhashError: one of them is not the file that the receipt of the training describes.
    """
    account = described(receipt, {"checkpoint": folder / "checkpoint.safetensors"})
    said = account["outputs"].get("codes", {"path": "codes.npz"})
    codes = folder / Path(said["path"]).name
    described(receipt, {"codes": codes})
    return codes


def require_same(path: Path, sha256: str, name: str, receipt: Path) -> None:
    """Refuse a file that is here and is not the one of a receipt.

    Raises:
        MedhashError: names file, receipt and hash.
    """
    if path.is_file() and sha256_of_file(path) != sha256:
        raise MedhashError(
            f"{path}: is not the file that {receipt} describes as '{name}' (SHA-256 {sha256}); "
            "run its step again"
        )
