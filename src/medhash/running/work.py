"""What running a step needs to know of it beside its files."""

from __future__ import annotations

from pathlib import Path

from medhash.flow.steps import Step
from medhash.schema.cell import Cell

TRAINING = ("pretrain", "train")
"""The rules whose steps have epochs and can be paused after each."""


def epochs_of(step: Step) -> int:
    """How many epochs a step has; 0 if it does not train."""
    if step.rule not in TRAINING:
        return 0
    name = step.key.rpartition("/")[2]
    stage = "hashing" if step.rule == "train" else "mae" if name == "mae" else "classification"
    epochs: int = step.settings.get(stage, {}).get("epochs", 0)
    return epochs


def steps_to_a_record(step: Step) -> int:
    """How far a step is from a finished cell: 0 for a record, 1 for a training, and so on."""
    kind = step.key.rpartition("/")[2] if step.rule == "pretrain" else step.rule
    return _FROM_THE_END.index(kind) if kind in _FROM_THE_END else len(_FROM_THE_END)


def resume_file(step: Step) -> Path | None:
    """Where training keeps its state after each epoch; None for steps that do not train."""
    if step.rule == "train":
        return step.outputs["checkpoint"].with_name(".resume.safetensors")
    if step.rule == "pretrain":
        weights = step.outputs["weights"]
        return weights.with_name(f".{weights.stem}.resume.safetensors")
    return None


def has_state(step: Step) -> bool:
    """Whether an earlier start left epochs to go on from."""
    file = resume_file(step)
    return file is not None and file.is_file()


def view_of(step: Step) -> tuple[str, str]:
    """The paper and the dataset that a pretraining or a step of a cell works on."""
    if step.rule in CELLS:
        cell = Cell.parse(step.key)
        return cell.paper, cell.dataset
    paper, dataset, _ = step.key.split("/")
    return paper, dataset


def log_of(scale: str, rule: str, key: str) -> Path:
    """The log of a step, the same as Snakemake's."""
    return Path("logs") / scale / rule / f"{key}.log"


_FROM_THE_END = ("record", "train", "classification", "mae", "split")

CELLS = ("train", "record", "explain", "fps", "lesions")
"""The rules whose keys are cells."""
