"""Settings of methods that were valid before: they are checked without torch."""

from __future__ import annotations

from medhash.configuration.loading import Configuration, check_method_settings
from medhash.flow.code_memory import remembered_fingerprint
from medhash.memory import Memory

_MEMORY = Memory("settings")


def check_new_method_settings(configuration: Configuration) -> None:
    """Validate what settings give to methods, unless it was valid before.

    Raises:
        MedhashError: see :func:`medhash.configuration.loading.check_method_settings`.
    """
    every = configuration.every_settings()
    given = [each.methods for _, each in every]
    modules = {f"medhash.methods.{name}" for _, each in every for name in each.methods}
    code = remembered_fingerprint(*sorted(modules))["fingerprint"]
    if _MEMORY.recall(given, code) is None:
        check_method_settings(configuration)
        _MEMORY.remember(given, code, "valid")
