"""Settings of methods that were valid before: they are checked without torch."""

from __future__ import annotations

from medhash import methods
from medhash.configuration.loading import Configuration, check_method_settings
from medhash.flow.code_memory import remembered_fingerprint
from medhash.memory import Memory

_MEMORY = Memory("settings")


def check_new_method_settings(configuration: Configuration) -> None:
    """Validate what settings give to methods, unless it was valid before.

    Raises:
        MedhashError: see :func:`medhash.configuration.loading.check_method_settings`.
    """
    of_methods = configuration.method_settings()
    modules = {f"medhash.methods.{name}" for _, name, _ in of_methods if name in methods.names()}
    code = remembered_fingerprint(*sorted(modules))["fingerprint"]
    if _MEMORY.recall(of_methods, code) is None:
        check_method_settings(configuration)
        _MEMORY.remember(of_methods, code, "valid")
