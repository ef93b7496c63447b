"""Hyperparameters that were valid before: torch is not imported to check them again."""

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
    """Validate the hyperparameters that settings give to methods, unless these were valid before.

    Raises:
        MedhashError: see :func:`medhash.configuration.loading.check_method_settings`.
    """
    given = {paper: settings.methods for paper, settings in configuration.settings.items()}
    modules = sorted({f"medhash.methods.{name}" for values in given.values() for name in values})
    code = remembered_fingerprint(*modules)["fingerprint"]
    entry = MEMORY / sha256_of_value([given, code])[:32]
    if entry.is_file():
        return
    check_method_settings(configuration)
    with suppress(OSError, MedhashError):
        write_text(entry, "valid\n")
