"""Safetensors with facts, of torch or of NumPy; this module imports neither."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from medhash.errors import MedhashError
from medhash.files import written_whole
from medhash.stored import MAKE_AGAIN, facts_in, reading


def save(
    path: Path, tensors: dict[str, Any], facts: dict[str, Any], save_file: Callable[..., None]
) -> None:
    """Write tensors and JSON-able facts, whole or not at all, the same bytes for the same input.

    Args:
        path: the file.
        tensors: name -> tensor or array.
        facts: what is told of them.
        save_file: that of ``safetensors.torch`` or of ``safetensors.numpy``.

    Raises:
        MedhashError: the file could not be written, for want of room mostly.
    """
    try:
        with written_whole(path) as temporary:
            save_file(tensors, temporary, {"medhash": json.dumps(facts)})
    except SafetensorError as error:
        raise MedhashError(
            f"{path}: could not be written ({error}); make room and start again, finished epochs "
            "are kept"
        ) from error


def load(path: Path, framework: Literal["pt", "np"]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what :func:`save` wrote.

    Raises:
        MedhashError: the file is damaged or is not one of ours.
    """
    with (
        reading(path, MAKE_AGAIN, "checkpoint"),
        safe_open(path, framework=framework) as stream,
    ):
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        return tensors, facts_in(stream)
