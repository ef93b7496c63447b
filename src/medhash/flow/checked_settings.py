"""Hyperparameters that were valid before: torch is not imported to check them again."""

from __future__ import annotations

from medhash.configuration.loading import Configuration, check_method_settings
from medhash.flow.code_memory import remembered_fingerprint
from medhash.flow.memory import Memory

_MEMORY = Memory("settings")


def check_new_method_settings(configuration: Configuration) -> None:
    """Validate the hyperparameters that settings give to methods, unless these were valid before.

    Raises:
        MedhashError: see :func:`medhash.configuration.loading.check_method_settings`.
    """
    given = {paper: settings.methods for paper, settings in configuration.settings.items()}
    modules = sorted({f"medhash.methods.{name}" for values in given.values() for name in values})
    code = remembered_fingerprint(*modules)["fingerprint"]
    if _MEMORY.recall(given, code) is None:
        check_method_settings(configuration)
        _MEMORY.remember(given, code, "valid")
