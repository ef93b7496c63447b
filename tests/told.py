"""What files of a run say at the least, for tests that write some by hand."""

from __future__ import annotations

from typing import Any


def description(**facts: Any) -> dict[str, Any]:
    """A ``dataset.json``."""
    lists = {"counts": {}, "card_counts": {}, "differences": [], "archives": []}
    own = {"dataset": "tiny", "title": "Tiny", "classes": ["x", "y"], "synthetic": False}
    return lists | own | facts


def receipt(rule: str, key: str, **facts: Any) -> dict[str, Any]:
    """A receipt."""
    said = {"schema": 1, "rule": rule, "key": key, "version": "1", "settings": {}, "inputs": {}}
    said |= {"outputs": {}, "upstream": {}, "code": {"fingerprint": "0", "modules": {}}}
    return (
        said | {"environment": {}, "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0} | facts
    )
