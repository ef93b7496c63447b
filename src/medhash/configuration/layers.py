"""Configuration trees laid over each other, remembering which file set which key."""

from __future__ import annotations

from typing import Any

from medhash.schema.validation import KeyPath

Layer = tuple[dict[str, Any], str]


class Layers:
    """A tree merged from several; mappings merge key by key, everything else replaces.

    Attributes:
        tree: the merged plain values.

    Args:
        layers: trees and the names of the files (or the command line) that they are from; a later
            one overrides an earlier one.
    """

    def __init__(self, *layers: Layer) -> None:
        self.tree: dict[str, Any] = {}
        self._layers = layers
        self._sources: dict[KeyPath, str] = {}
        for tree, source in layers:
            self._merge(self.tree, tree, (), source)

    def origin(self, key: KeyPath) -> str:
        """The source that set ``key`` or, where none did, its nearest parent or all sources."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._sources:
                return self._sources[key[:length]]
        return " + ".join(dict.fromkeys(source for tree, source in self._layers if tree))

    def below(self, key: str) -> list[Layer]:
        """The layers of the subtree ``key``."""
        return [(tree[key], source) for tree, source in self._layers if tree.get(key)]

    def _merge(
        self, below: dict[str, Any], above: dict[str, Any], at: KeyPath, source: str
    ) -> None:
        for key, value in above.items():
            self._sources[(*at, key)] = source
            if isinstance(value, dict):
                if not isinstance(below.get(key), dict):
                    below[key] = {}
                self._merge(below[key], value, (*at, key), source)
            else:
                below[key] = value
