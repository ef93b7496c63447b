"""Where a file that is not here, or not as it was, can be had from: DVC or git."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import Field

from medhash.stored import Part, reading


@dataclass(frozen=True)
class Tracked:
    """A version control system that has a file.

    Attributes:
        system: ``dvc`` or ``git``.
        text: what it knows of the file.
        command: how to get the file.
    """

    system: str
    text: str
    command: str


class TrackedFiles:
    """What DVC's files and git's index in a project say.

    Args:
        project: the project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._project = project

    def where(self, path: Path) -> Tracked | None:
        """Who has a file; None if neither DVC nor git does."""
        name = path.as_posix()
        for tracked, source, md5 in self._dvc:
            if name == tracked or name.startswith(f"{tracked}/"):
                text = f"DVC has it ({source}, md5 {md5})"
                return Tracked("dvc", text, f"dvc pull {name}")
        if name in self._git:
            return Tracked("git", "git has it", f"git restore {name}")
        return None

    def md5(self, path: Path) -> str:
        """What DVC says of a file itself; empty where it says nothing."""
        name = path.as_posix()
        return next((md5 for tracked, _, md5 in self._dvc if name == tracked), "")

    @cached_property
    def _dvc(self) -> list[tuple[str, str, str]]:
        """Path, the file that names it, MD5: longest paths first, so that the nearest wins."""
        return sorted(self._outputs(), key=lambda output: -len(output[0]))

    def _outputs(self) -> Iterator[tuple[str, str, str]]:
        lock = _read(self._project / "dvc.lock", _Lock)
        for stage, content in lock.stages.items():
            for out in content.outs:
                yield out.path, f"stage {stage} in dvc.lock", out.md5
        for folder in ("results", "data"):
            for file in sorted((self._project / folder).rglob("*.dvc")):
                inside = file.relative_to(self._project)
                for out in _read(file, _Outs).outs:
                    yield (inside.parent / out.path).as_posix(), inside.as_posix(), out.md5

    @cached_property
    def _git(self) -> frozenset[str]:
        command = ["git", "-C", str(self._project), "ls-files", "-z", "--", "results"]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return frozenset()
        return frozenset(filter(None, result.stdout.split("\0")))


class _Out(Part):
    path: str
    md5: str = ""


class _Outs(Part):
    outs: tuple[_Out, ...] = ()


class _Lock(Part):
    stages: dict[str, _Outs] = Field(default_factory=dict)


Model = TypeVar("Model", _Lock, _Outs)


def _read(path: Path, model: type[Model]) -> Model:
    """A file of DVC's; an empty one where there is none."""
    if not path.is_file():
        return model()
    with reading(path, "get it back from git"):
        return model.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
