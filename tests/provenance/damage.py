"""Ways in which a file of a run can be damaged; each gives other bytes, chosen by a seed."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

Damage = Callable[[bytes, Random], bytes]

OTHER_VALUES = [None, True, -7, 1e300, "text", [], {}, [[]], {"a": [1]}]


def cut(content: bytes, random: Random) -> bytes:
    """The file ends too early."""
    return content[: random.randrange(1, len(content))]


def flipped(content: bytes, random: Random) -> bytes:
    """One bit is another."""
    place = random.randrange(len(content))
    return b"%b%c%b" % (
        content[:place],
        content[place] ^ 1 << random.randrange(8),
        content[place + 1 :],
    )


def emptied(content: bytes, random: Random) -> bytes:
    """No byte is left."""
    return b""


def not_utf8(content: bytes, random: Random) -> bytes:
    """A byte of a text that no text in UTF-8 has."""
    place = random.randrange(len(content))
    return content[:place] + b"\xff\xfe" + content[place:]


def other_root(content: bytes, random: Random) -> bytes:
    """JSON, but no keys and values."""
    return json.dumps(random.choice([None, 3, "text", [], [1], [{}], {}])).encode()


def other_type(content: bytes, random: Random) -> bytes:
    """One value in the tree is of another type."""
    tree = json.loads(content)
    places = list(_places(tree))
    node, key = random.choice(places)
    node[key] = random.choice([v for v in OTHER_VALUES if type(v) is not type(node[key])])
    return json.dumps(tree, indent=1, sort_keys=True).encode()


def without_key(content: bytes, random: Random) -> bytes:
    """One key is gone."""
    tree = json.loads(content)
    node, key = random.choice([(n, k) for n, k in _places(tree) if isinstance(n, dict)])
    del node[key]
    return json.dumps(tree, indent=1, sort_keys=True).encode()


def without_column(content: bytes, random: Random) -> bytes:
    """A table of one column less."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    column = random.randrange(len(rows[0]))
    return _as_csv([row[:column] + row[column + 1 :] for row in rows])


def other_value(content: bytes, random: Random) -> bytes:
    """A field of a table holds what it cannot hold."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))
    row = random.randrange(1, len(rows)) if len(rows) > 1 else 0
    rows[row][random.randrange(len(rows[row]))] = "9e9x"
    return _as_csv(rows)


def without_line(content: bytes, random: Random) -> bytes:
    """A text of one line less."""
    lines = content.splitlines(keepends=True)
    del lines[random.randrange(len(lines))]
    return b"".join(lines)


def other_shape(content: bytes, random: Random) -> bytes:
    """An array with fewer rows or another number of axes."""
    return _npy(_reshaped(_array(content), random))


def other_dtype(content: bytes, random: Random) -> bytes:
    """An array of other numbers, or of Python objects."""
    return _npy(_retyped(_array(content), random))


def other_shape_inside(content: bytes, random: Random) -> bytes:
    """One array of several has another shape."""
    return _with_other_array(content, lambda array: _reshaped(array, random), random)


def other_dtype_inside(content: bytes, random: Random) -> bytes:
    """One array of several holds other numbers."""
    return _with_other_array(content, lambda array: _retyped(array, random), random)


def without_array(content: bytes, random: Random) -> bytes:
    """One array of several is gone."""
    arrays = _arrays(content)
    del arrays[random.choice(sorted(arrays))]
    return _npz(arrays)


def other_shape_of_tensor(content: bytes, random: Random) -> bytes:
    """One tensor has another shape."""
    tensors, facts = _tensors(content)
    name = random.choice(sorted(tensors))
    tensors[name] = _reshaped(tensors[name], random)
    return save(tensors, facts)


def without_tensor(content: bytes, random: Random) -> bytes:
    """One tensor is gone."""
    tensors, facts = _tensors(content)
    del tensors[random.choice(sorted(tensors))]
    return save(tensors, facts)


def without_facts(content: bytes, random: Random) -> bytes:
    """Tensors of which nothing is told."""
    return save(_tensors(content)[0], {"medhash": random.choice(["", "[]", "{}", "7"])})


ANY: tuple[Damage, ...] = (cut, flipped, emptied)
TEXT: tuple[Damage, ...] = (not_utf8, without_line)
BY_SUFFIX: Mapping[str, tuple[Damage, ...]] = {
    ".json": (*TEXT, other_root, other_type, other_type, other_type, without_key, without_key),
    ".csv": (*TEXT, without_column, other_value),
    ".md": TEXT,
    ".tex": TEXT,
    ".html": TEXT,
    ".yaml": TEXT,
    ".npy": (other_shape, other_dtype),
    ".npz": (other_shape_inside, other_dtype_inside, without_array),
    ".safetensors": (other_shape_of_tensor, without_tensor, without_facts),
}


def damages_of(path: Path) -> tuple[Damage, ...]:
    """All ways that a file of this kind can be damaged in."""
    return (*ANY, *BY_SUFFIX.get(path.suffix, ()))


def _places(tree: Any) -> Any:
    """Every value of a tree, as the node that holds it and its key."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(pairs):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _as_csv(rows: list[list[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()


def _reshaped(array: np.ndarray, random: Random) -> np.ndarray:
    if array.ndim and len(array) > 1 and random.random() < 0.5:
        return array[:-1].copy()
    return array[None].copy()


def _retyped(array: np.ndarray, random: Random) -> np.ndarray:
    kinds = [k for k in (np.float32, np.int64, np.complex64, "U4", object) if k != array.dtype]
    return array.astype(random.choice(kinds))


def _array(content: bytes) -> np.ndarray:
    return np.lib.format.read_array(io.BytesIO(content))


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def _arrays(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _npz(arrays: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in arrays.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _with_other_array(content: bytes, change: Any, random: Random) -> bytes:
    arrays = _arrays(content)
    name = random.choice(sorted(arrays))
    return _npz(arrays | {name: _npy(change(_array(arrays[name])))})


def _tensors(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        Path(file.name).write_bytes(content)
        with safe_open(file.name, framework="numpy") as stream:
            return {n: stream.get_tensor(n) for n in stream.keys()}, dict(stream.metadata())  # noqa: SIM118
