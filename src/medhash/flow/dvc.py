"""The stages of DVC: which of a run's files it keeps, and what decides them.

Git keeps what is light (records, codes, tables, receipts), DVC what is heavy or not ours to
publish: prepared images, weights, checkpoints, explanations, pictures of real images. A stage is a
group of steps; its command is Snakemake, asked for the stage's files. Beside its files a stage
depends on the versions of its steps (code and settings, see :mod:`medhash.flow.steps`), which
a stage of their own writes to ``versions.json`` first: so ``dvc repro`` runs again what Snakemake
would.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from medhash.configuration.loading import Configuration
from medhash.configuration.paths import Layout
from medhash.errors import AbsentError
from medhash.files import sha256_of_value, write_json, write_text
from medhash.flow.steps import Step, Steps
from medhash.schema.base import Score
from medhash.stored import Part, read_model

HEAVY = (".npy", ".npz", ".safetensors", ".html")
PICTURES = (".pdf", ".png")
HEADING = """\
# Written by `medhash dvc --scale {scale}`; do not edit. What it is for: docs/versioning.md.
"""

Stage = dict[str, Any]


def kept_by_dvc(path: Path, layout: Layout, *, shows_images: bool = False) -> bool:
    """Whether DVC keeps a file; git keeps the others.

    Args:
        path: below the layout's root.
        layout: where the run's files lie.
        shows_images: whether it is a figure that shows images of a dataset.
    """
    if path.is_relative_to(layout.root) and "figures" in path.relative_to(layout.root).parts[:2]:
        return shows_images and path.suffix in PICTURES
    return path.suffix in HEAVY and path.name != "codes.npz"


def write_stages(configuration: Configuration, path: Path) -> Path:
    """Write ``dvc.yaml`` for the whole run of a scale; the same configuration, the same bytes."""
    stages = Stages(configuration)
    text = yaml.safe_dump(stages.tree(), sort_keys=False, width=1000, allow_unicode=True)
    write_text(path, HEADING.format(scale=configuration.scale) + text)
    return path


def write_versions(configuration: Configuration) -> Path:
    """Write ``versions.json``: stage -> one hash of the versions of its steps."""
    path = versions_file(configuration.layout)
    write_json(path, Stages(configuration).versions())
    return path


def write_metrics(configuration: Configuration) -> Path:
    """Write ``metrics.json`` from the records that are there, for ``dvc metrics``.

    Paper -> dataset (and origin) -> method -> variant -> ``<bits> bits`` -> seed -> mAP, its range
    over the order of ties, and P@10, as fractions.

    Raises:
        AbsentError: there is no record.
    """
    tree: dict[str, Any] = {}
    for cell in configuration.cells:
        record = configuration.layout.record(cell)
        if record.is_file():
            place = tree
            for name in str(cell).split("/")[:4]:
                place = place.setdefault(name, {})
            seeds = place.setdefault(f"{cell.bits} bits", {})
            seeds[f"seed {cell.seed}"] = _metrics(
                read_model(record, _Record, what="record").metrics
            )
    if not tree:
        raise AbsentError(
            f"medhash metrics: no record of the run '{configuration.run}' is here, so that there "
            "is no number to write"
        )
    path = metrics_file(configuration.layout)
    write_json(path, tree)
    return path


def versions_file(layout: Layout) -> Path:
    """What the stages depend on beside files."""
    return layout.root / "versions.json"


def metrics_file(layout: Layout) -> Path:
    """The numbers that ``dvc metrics`` shows."""
    return layout.root / "metrics.json"


class Stages:
    """The steps of a run in groups that DVC keeps track of.

    Args:
        configuration: of the run.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._layout = configuration.layout
        self._steps = Steps(configuration)
        self._groups: dict[str, list[Step]] = {}
        for step in self._steps.all():
            self._groups.setdefault(_stage_of(step), []).append(step)

    def versions(self) -> dict[str, str]:
        """Stage -> a hash that changes when the code or settings of one of its steps do."""
        return {
            name: sha256_of_value(sorted((str(step), step.version) for step in steps))[:16]
            for name, steps in self._groups.items()
        }

    def tree(self) -> dict[str, Any]:
        """The content of ``dvc.yaml``."""
        scale = self._configuration.scale
        # Code and settings are no files of DVC's: it has to ask each time.
        first: Stage = {"cmd": f"medhash versions --scale {scale}", "always_changed": True}
        first["outs"] = [_in_git(versions_file(self._layout))]
        stages = {"versions": first}
        stages |= {name: self._stage(name, steps) for name, steps in self._groups.items()}
        return {"stages": stages, "plots": self._plots()}

    def _stage(self, name: str, steps: list[Step]) -> Stage:
        made = {path for step in steps for path in step.files}
        deps = {
            path.as_posix(): None
            for step in steps
            for path in step.inputs.values()
            if path not in made and not self._tells_time(path)
        }
        stage: Stage = {"cmd": self._command(name, steps)}
        stage |= {"deps": sorted(deps)} if deps else {}
        stage["params"] = [{versions_file(self._layout).as_posix(): [name]}]
        outs = [out for step in steps for out in self._outs(step)]
        stage |= {"outs": outs} if outs else {}
        if name == "results":
            stage["metrics"] = [_in_git(metrics_file(self._layout))]
        return stage

    def _outs(self, step: Step) -> list[Any]:
        """What DVC keeps, and what git keeps and another stage reads, so that DVC knows the order.

        They stay while the command runs: Snakemake decides what is made again.
        """
        outs: list[Any] = []
        for path in step.outputs.values():
            if self._is_kept(path):
                outs.append({path.as_posix(): {"persist": True}})
            elif path in self._read and not self._tells_time(path):
                outs.append(_in_git(path))
        return outs

    @cached_property
    def _read(self) -> set[Path]:
        """Every file that a step reads which another stage made."""
        return {
            path
            for name, steps in self._groups.items()
            for step in steps
            for path in step.inputs.values()
            if (maker := self._steps.making(path)) and _stage_of(maker) != name
        }

    def _command(self, name: str, steps: list[Step]) -> str | list[str]:
        scale = self._configuration.scale
        run = f"snakemake --profile default --config scale={scale} --"
        if name != "results":
            return f"{run} {' '.join(sorted(_targets(steps)))}"
        return [f"{run} all", f"medhash metrics --scale {scale}"]

    def _is_kept(self, path: Path) -> bool:
        pictures = [spec for spec in self._configuration.figures.values() if spec.shows_images]
        stems = {self._layout.figure(spec.paper, spec.name) for spec in pictures}
        return kept_by_dvc(path, self._layout, shows_images=path.with_suffix("") in stems)

    def _tells_time(self, path: Path) -> bool:
        """Such a file is other bytes each time; what it was made from is a dependency itself."""
        maker = self._steps.making(path)
        return maker is not None and path in maker.timed

    def _plots(self) -> list[dict[str, Any]]:
        plots = []
        for key, spec in self._configuration.figures.items():
            if spec.axes is not None:
                x, y = spec.axes
                points = self._layout.figure(spec.paper, spec.name).with_suffix(".csv")
                plot = {"x": x, "y": {points.as_posix(): y}, "title": spec.title}
                plots.append({key: plot})
        return plots


def _stage_of(step: Step) -> str:
    """``data_covid_ct_64``, ``pretrain_ach_covid_ct``, ``cells_ach_covid_ct_csq``, ``results``."""
    # DVC's names know letters, digits, `_` and `-`.
    text = "_".join(step.kind.group(*step.values))
    return "".join(c if c.isalnum() or c in "_-" else "-" for c in text)


def _targets(steps: Iterable[Step]) -> set[str]:
    """One file of each step that no other step of the group reads."""
    steps = list(steps)
    read = {path for step in steps for path in step.inputs.values()}
    last = [step for step in steps if read.isdisjoint(step.outputs.values())]
    return {step.receipt.as_posix() for step in last}


def _in_git(path: Path) -> dict[str, Any]:
    return {path.as_posix(): {"cache": False, "persist": True}}


class _Metrics(Part):
    map: Score
    tie_range: tuple[Score, Score] | None
    precision_at: dict[int, Score]


class _Record(Part):
    metrics: _Metrics


def _metrics(metrics: _Metrics) -> dict[str, float]:
    least, greatest = metrics.tie_range or (metrics.map, metrics.map)
    numbers = {"map": metrics.map, "map_least": least, "map_greatest": greatest}
    if 10 in metrics.precision_at:
        numbers["precision_at_10"] = metrics.precision_at[10]
    return numbers
