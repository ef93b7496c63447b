"""What git has of a run: receipts as they were committed, and the code of each commit."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path

from medhash.flow.code import PACKAGE, hash_of_source

_RESULTS = "results"
_SOURCES = "src"


class Repository:
    """The repository of a project; one without git tracks nothing.

    Args:
        project: the project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._hashes: dict[str, str] = {}
        self._sources: dict[str, dict[str, str]] = {}

    @cached_property
    def commit(self) -> str:
        """The commit that is checked out, empty without one."""
        return self._git("rev-parse", "HEAD").strip()

    def has(self, path: Path) -> bool:
        """Whether the commit has a file of the run."""
        return path.as_posix() in self._committed

    def differs(self, path: Path) -> bool:
        """Whether a file of the run is another than in the commit."""
        return path.as_posix() in self._changed

    def content(self, path: Path) -> str:
        """A file of the commit."""
        return self._git("show", f"HEAD:./{path.as_posix()}")

    def code_at(self, commit: str, module: str) -> str | None:
        """The hash of a module's code at a commit, as :mod:`medhash.flow.code` forms it.

        Returns:
            The hash; empty where the commit has no such module or no Python in it; None where the
            repository does not have the commit.
        """
        if commit not in self._sources:
            self._sources[commit] = self._blobs(commit)
        blobs = self._sources[commit]
        if not blobs:
            return None
        stem = "/".join((_SOURCES, *module.split(".")))
        blob = blobs.get(f"{stem}.py") or blobs.get(f"{stem}/__init__.py")
        return self._hash_of(blob) if blob else ""

    def _hash_of(self, blob: str) -> str:
        if blob not in self._hashes:
            try:
                self._hashes[blob] = hash_of_source(self._git("cat-file", "blob", blob))
            except (SyntaxError, ValueError):
                self._hashes[blob] = ""
        return self._hashes[blob]

    def _blobs(self, commit: str) -> dict[str, str]:
        """Path -> blob of the package's files at a commit."""
        listed = self._git("ls-tree", "-r", commit, "--", f"{_SOURCES}/{PACKAGE}")
        lines = (line.partition("\t") for line in listed.splitlines())
        return {path: mode_and_blob.split()[2] for mode_and_blob, _, path in lines}

    @cached_property
    def _committed(self) -> frozenset[str]:
        return self._names("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", _RESULTS)

    @cached_property
    def _changed(self) -> frozenset[str]:
        return self._names("diff", "-z", "--name-only", "--relative", "HEAD", "--", _RESULTS)

    def _names(self, *arguments: str) -> frozenset[str]:
        return frozenset(filter(None, self._git(*arguments).split("\0")))

    def _git(self, *arguments: str) -> str:
        """What git prints; nothing where it fails."""
        command = ["git", "-C", str(self._project), *arguments]
        try:
            result = subprocess.run(command, capture_output=True, check=True, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return ""
        return result.stdout.decode("utf-8", errors="replace")
