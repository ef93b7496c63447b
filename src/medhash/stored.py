"""Our own files read back through one door: it names the file, what is wrong and what to do.

What a parser raises at damaged bytes is its own affair; whatever it is, it becomes one sentence.
Nothing that is read can execute.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from medhash.errors import MedhashError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MAKE_AGAIN = "get it back, or let the workflow make it again"


class Part(BaseModel):
    """A part of a file; keys that nothing reads are free to grow."""

    model_config = ConfigDict(extra="ignore", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


@contextmanager
def reading(path: Path, remedy: str = MAKE_AGAIN, what: str = "file") -> Iterator[None]:
    """Read a file inside of this.

    Args:
        path: the file.
        remedy: what to do about one that is damaged or not here.
        what: what it is called (``record``).

    Raises:
        MedhashError: whatever went wrong, in one sentence that names the file.
    """
    try:
        yield
    except MedhashError:
        raise
    except FileNotFoundError:
        raise MedhashError(f"{path}: no such file; {remedy}") from None
    except ValidationError as error:
        raise MedhashError(
            f"{path}: not a whole {what}: {first_problem(error)}; {remedy}"
        ) from error
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise MedhashError(
            f"{path}: the {what} cannot be read ({reason.splitlines()[0]}); {remedy}"
        ) from error


def read_text(path: Path, remedy: str = MAKE_AGAIN) -> str:
    """Text in UTF-8."""
    with reading(path, remedy):
        return path.read_text(encoding="utf-8")


def read_model(
    path: Path, model: type[Model], remedy: str = MAKE_AGAIN, what: str = "file"
) -> Model:
    """JSON that is of a model."""
    with reading(path, remedy, what):
        return model.model_validate_json(path.read_bytes())


def read_tree(
    path: Path, model: type[BaseModel], remedy: str = MAKE_AGAIN, what: str = "file"
) -> dict[str, Any]:
    """The keys and values of JSON that is of a model, as they stand there."""
    with reading(path, remedy, what):
        content = path.read_bytes()
        model.model_validate_json(content)
        tree: dict[str, Any] = json.loads(content)
        return tree


def read_csv(
    path: Path, columns: Sequence[str] = (), remedy: str = MAKE_AGAIN, dtype: Any = str
) -> pd.DataFrame:
    """A CSV file with some columns at least; fields are text if nothing else is said."""
    import pandas as pd

    with reading(path, remedy):
        table = pd.read_csv(path, dtype=dtype, keep_default_na=False)
        missing = [name for name in columns if name not in table]
        if missing:
            raise ValueError(f"it has no column '{missing[0]}'")
    return table


def read_array(
    path: Path,
    dtype: type[np.generic],
    shape: tuple[int | None, ...],
    remedy: str = MAKE_AGAIN,
    *,
    mapped: bool = False,
) -> NDArray[Any]:
    """The array of a ``.npy`` file.

    Args:
        path: the file.
        dtype: that it must have.
        shape: that it must have; None: any number.
        remedy: what to do about a file of another kind.
        mapped: whether it stays on disk, memory-mapped.
    """
    import numpy as np

    with reading(path, remedy):
        if mapped:
            array: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
        else:
            with path.open("rb") as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            sides = ", ".join("any" if side is None else str(side) for side in shape)
            raise ValueError(
                f"it holds {array.dtype} {array.shape}, not {np.dtype(dtype)} ({sides})"
            )
    return array


def read_facts(path: Path, remedy: str = MAKE_AGAIN) -> dict[str, Any]:
    """What a safetensors file tells beside its tensors, of which none is read."""
    from safetensors import safe_open

    with reading(path, remedy), safe_open(path, framework="numpy") as stream:
        return facts_in(stream)


def facts_in(stream: Any) -> dict[str, Any]:
    """The facts of an open safetensors file; a ValueError says that there are none of ours."""
    facts = json.loads((stream.metadata() or {}).get("medhash", "null"))
    if not isinstance(facts, dict):
        raise ValueError("it is no checkpoint of medhash")
    return facts


def first_problem(error: ValidationError) -> str:
    """The first of what a model refuses, with its key, and how many more there are."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    text = problem["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"
