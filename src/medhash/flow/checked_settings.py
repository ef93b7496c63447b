"""Settings of methods and backbones that were valid before: they are checked without torch."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from medhash.configuration.loading import Configuration, check_method_settings
from medhash.errors import MedhashError
from medhash.files import sha256_of_value, write_text
from medhash.flow.code_memory import remembered_fingerprint

MEMORY = Path(".cache/medhash/settings")
"""Relative to the project's folder; may be deleted at any time."""


def check_new_method_settings(configuration: Configuration) -> None:
    """Validate what settings give to methods and backbones, unless it was valid before.

    Raises:
        MedhashError: see :func:`medhash.configuration.loading.check_method_settings`.
    """
    every = configuration.every_settings()
    given = [[each.methods, each.network.model_dump(mode="json")] for _, each in every]
    modules = {f"medhash.methods.{name}" for _, each in every for name in each.methods}
    modules |= {f"medhash.models.backbones.{each.network.kind}" for _, each in every}
    code = remembered_fingerprint(*sorted(modules))["fingerprint"]
    entry = MEMORY / sha256_of_value([given, code])[:32]
    if entry.is_file():
        return
    check_method_settings(configuration)
    with suppress(OSError, MedhashError):
        write_text(entry, "valid\n")
