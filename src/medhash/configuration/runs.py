"""What a named run is: kept beside its results, so that its name alone says it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from medhash.configuration.loading import CONFIG_PATH, RESULTS, Configuration, load
from medhash.errors import MedhashError
from medhash.files import write_text
from medhash.schema.validation import check_name, read_yaml

HEADING = "# What this run is; written by medhash, and read where the run is named.\n"


def remember(configuration: Configuration) -> None:
    """Write down what a named run is; a scale's own run is what its files say.

    Raises:
        MedhashError: another scale has a run of this name. Scales never mix.
    """
    if not configuration.is_named:
        return
    before = remembered(configuration.run)
    if before.get("scale", configuration.scale) != configuration.scale:
        raise MedhashError(
            f"{configuration.layout.root}: is a run of the scale '{before['scale']}', not of "
            f"'{configuration.scale}'; choose another name"
        )
    told = {"scale": configuration.scale, "papers": list(configuration.papers)}
    if before != told | configuration.chosen:
        text = yaml.safe_dump(told | configuration.chosen, sort_keys=False, allow_unicode=True)
        write_text(configuration.layout.root / "run.yaml", HEADING + text)


def is_scale(name: str) -> bool:
    """Whether a run of this name is a scale's own."""
    return (CONFIG_PATH.parent / "scales" / f"{name}.yaml").is_file()


def configuration_of_run(name: str) -> Configuration:
    """A run that there is, by its name alone: a scale's own, or a named one.

    Raises:
        MedhashError: there is none of that name; names the nearest.
    """
    if is_scale(name):
        return load(overrides={"scale": name})
    named = sorted(path.parent.name for path in RESULTS.glob("*/run.yaml"))
    scales = sorted(path.stem for path in (CONFIG_PATH.parent / "scales").glob("*.yaml"))
    check_name(name, [*scales, *named], "run", RESULTS.as_posix())
    return load(overrides=with_remembered({"run": name}))


def with_remembered(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What a command line sets; where that is a run's name alone, with what the run was.

    Args:
        overrides: keys of ``config.yaml``; the scale may stand beside the name.
    """
    is_name_alone = "run" in overrides and set(overrides) <= {"run", "scale"}
    return (remembered(str(overrides["run"])) if is_name_alone else {}) | dict(overrides)


def remembered(run: str) -> dict[str, Any]:
    """What a named run was when it last ran, as keys of ``config.yaml``; empty if it never did.

    Raises:
        MedhashError: the file cannot be read.
    """
    path = RESULTS / run / "run.yaml"
    return read_yaml(path) if path.is_file() else {}
