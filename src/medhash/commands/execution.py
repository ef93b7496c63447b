"""Runs the steps that lead to a cell's record, for the commands and for ``medhash cells run``."""

from __future__ import annotations

from collections.abc import Callable

from medhash.commands.steps import cell_inputs
from medhash.configuration.loading import Configuration
from medhash.flow.receipts import recorded
from medhash.flow.steps import Step, Steps
from medhash.retrieval.representation import Representation
from medhash.running.alone import run_alone
from medhash.schema.cell import Cell

Pause = Callable[[], bool]


def execute(
    configuration: Configuration, steps: Steps, step: Step, device: str, pause: Pause
) -> bool:
    """Run a step and leave its receipt.

    Args:
        configuration: what is run.
        steps: of the configuration.
        step: a step of the rules prepare, phantom, split, pretrain, train or record.
        device: ``auto``, ``cpu`` or ``cuda``.
        pause: asked after each epoch but the last whether to stop there.

    Returns:
        Whether it was finished; if not, ``pause`` said so, and there is no receipt.

    Raises:
        MedhashError: see the step's own function.
    """
    if step.rule in _WITHOUT_EPOCHS:
        with recorded(steps, step):
            _WITHOUT_EPOCHS[step.rule](configuration, step)
        return True
    from medhash.training.loop import PausedError

    try:
        with recorded(steps, step):
            _WITH_EPOCHS[step.rule](configuration, step, device, pause)
    except PausedError:
        return False
    return True


def execute_alone(configuration: Configuration, steps: Steps, step: Step, device: str) -> None:
    """Run a step to its end, for a command that was asked for it, while no other process does.

    Raises:
        MedhashError: another process is working on it; or see :func:`execute`.
    """
    run_alone(
        configuration.layout,
        steps,
        step,
        lambda step, pause: execute(configuration, steps, step, device, pause),
        device,
    )


def _generate(configuration: Configuration, step: Step) -> None:
    from medhash.data.confounded import confounding_of
    from medhash.data.phantoms import generate

    phantoms = configuration.required_phantoms()
    dataset, _, size = step.key.partition("/")
    generate(
        configuration.card(dataset),
        step.outputs["images"].parent,
        int(size),
        phantoms.images,
        phantoms.seed,
        confounding_of(dataset),
    )


def _read_archives(configuration: Configuration, step: Step) -> None:
    from medhash.data.preparation import prepare as prepare_dataset

    dataset, _, size = step.key.partition("/")
    prepare_dataset(
        configuration.card(dataset),
        configuration.archive_folders,
        step.outputs["images"].parent,
        int(size),
        download_folder=configuration.archives if configuration.download else None,
    )


def _gist(configuration: Configuration, step: Step) -> None:
    from medhash.data.gist import write_gist

    write_gist(step.inputs["images"], step.outputs["gist"])


def _split(configuration: Configuration, step: Step) -> None:
    from medhash.data.splits import write_split

    paper, dataset, seed = step.key.split("/")
    card, folder = configuration.card_for(paper, dataset), step.inputs["index"].parent
    write_split(folder, card.split, int(seed), step.outputs["manifest"], card.reported_counts)


def _pretrain(configuration: Configuration, step: Step, device: str, pause: Pause) -> None:
    from medhash.training.pretraining import pretrain

    paper, _, stage = step.key.split("/")
    pretrain(
        stage,
        configuration.stage_settings(paper, stage),
        step.inputs["images"].parent,
        step.inputs["split"],
        step.outputs["weights"],
        previous=step.inputs.get("previous"),
        device=device,
        pause=pause,
    )


def _train(configuration: Configuration, step: Step, device: str, pause: Pause) -> None:
    from medhash.training.cells import train_cell

    cell = Cell.parse(step.key)
    settings = configuration.settings_of(cell)
    train_cell(
        cell,
        settings,
        cell_inputs(configuration, cell),
        configuration.layout.cell(cell),
        device=device,
        score=_map_of if settings.evaluation.selection == "best-query-map" else None,
        pause=pause,
    )


def _record(configuration: Configuration, step: Step) -> None:
    from medhash.records.scoring import write_record

    cell = Cell.parse(step.key)
    write_record(
        configuration.layout,
        cell,
        configuration.settings_of(cell),
        step.inputs["description"],
        scale=configuration.scale,
        method_title=configuration.papers[cell.paper].method_title(cell.method),
    )


def _map_of(codes: Representation) -> float:
    from medhash.retrieval.evaluation import evaluate

    score: float = evaluate(codes).metrics["map"]
    return score


_WITHOUT_EPOCHS = {
    "prepare": _read_archives,
    "phantom": _generate,
    "gist": _gist,
    "split": _split,
    "record": _record,
}
_WITH_EPOCHS = {"pretrain": _pretrain, "train": _train}
