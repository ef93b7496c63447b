"""What the receipt of an earlier step says, for steps that read its files.

Nothing of how steps are described is reached from here, or every step would depend on all of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError
from medhash.files import sha256_of_file


def described(receipt: Path, outputs: Mapping[str, Path]) -> dict[str, Any]:
    """A receipt whose outputs must be these files; one that is not here is left out.

    Args:
        receipt: its path.
        outputs: the receipt's name of each file that is looked at, and where it lies.

    Raises:
        MedhashError: there is no such receipt, or a file is not what it says.
    """
    try:
        account: dict[str, Any] = json.loads(receipt.read_text(encoding="utf-8"))
        hashes = {name: account["outputs"][name]["sha256"] for name in outputs}
    except FileNotFoundError:
        raise MedhashError(f"{receipt}: no such file; run the steps before this one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise MedhashError(f"{receipt}: is damaged ({error}); run its step again") from None
    for name, path in outputs.items():
        require_same(path, hashes[name], name, receipt)
    return account


def require_trained_together(receipt: Path, folder: Path) -> Path:
    """Refuse a checkpoint and codes of different trainings: their distances mean nothing.

    Returns:
        The file of the codes or descriptors.

    Raises:
        MedhashError: one of them is not the file that the receipt of the training describes.
    """
    account = described(receipt, {"checkpoint": folder / "checkpoint.safetensors"})
    codes = folder / Path(account["outputs"]["codes"]["path"]).name
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
