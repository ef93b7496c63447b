"""What the receipt of an earlier step says, for steps that read its files.

Nothing of how steps are described is reached from here, or every step would depend on all of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medhash.errors import MedhashError
from medhash.files import sha256_of_file


def described(receipt: Path, *outputs: str) -> dict[str, Any]:
    """A receipt, whose outputs must be the files that are here; one that is elsewhere is left out.

    Args:
        receipt: its path; the paths in it are as those of the process.
        outputs: names of those that are looked at.

    Raises:
        MedhashError: there is no such receipt, or a file is not what it says.
    """
    try:
        account: dict[str, Any] = json.loads(receipt.read_text(encoding="utf-8"))
        files = [(name, account["outputs"][name]) for name in outputs]
    except FileNotFoundError:
        raise MedhashError(f"{receipt}: no such file; run the steps before this one") from None
    except (ValueError, KeyError, TypeError) as error:
        raise MedhashError(f"{receipt}: is damaged ({error}); run its step again") from None
    for name, file in files:
        require_same(Path(file["path"]), file["sha256"], name, receipt)
    return account


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
