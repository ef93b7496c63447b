"""How a cell's files of numbers are read: by a model, with one error that names file and key."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from medhash.errors import MedhashError


class Part(BaseModel):
    """A part of a file; keys that nothing reads are free to grow."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Model = TypeVar("Model", bound=Part)


def read_part(path: Path, model: type[Model], what: str, remedy: str) -> Model:
    """Read a file.

    Args:
        path: the file.
        model: what it must hold.
        what: what it is called (``measurement``).
        remedy: what the workflow does again (``measure``).

    Raises:
        MedhashError: it cannot be read, or is not whole; the message names the file and the key.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MedhashError(f"{path}: the {what} cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise MedhashError(
            f"{path}: not a whole {what}: {_first_problem(error)}. "
            f"Delete the file and let the workflow {remedy} again."
        ) from error


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"
