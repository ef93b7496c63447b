"""What a named run takes from its scale instead of making it again."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from medhash.configuration.loading import Configuration
from medhash.configuration.runs import remember
from medhash.errors import MedhashError
from medhash.files import written_whole
from medhash.flow.receipts import Receipts, read, sha256_of_output
from medhash.flow.steps import Step, Steps


def borrow(steps: Steps, receipts: Receipts, targets: Iterable[Path]) -> None:
    """Link into a named run what its scale has made and the run would make alike.

    A step of the run is the scale's own if key, version and the content of all that it reads are
    the same, and the scale's step fits its receipt. Its files stay where they are; in the run's
    tree, links to them and to the receipt stand in their places. Whatever the run makes itself
    replaces links, never what they lead to: every file is written under another name first.

    A dry run, ``status`` and ``restore`` borrow, too: only so can they tell what is left to make.

    Args:
        steps: of the run; a scale's own run borrows nothing.
        receipts: of these steps; they know afterwards what is borrowed.
        targets: files that are asked for; steps behind them are looked at.

    Raises:
        MedhashError: the run's name is that of a run of another scale.
    """
    configuration = steps.configuration
    if configuration.of_scale is None or not configuration.is_named:
        return
    remember(configuration)
    theirs = Steps(configuration.of_scale)
    judged = Receipts(theirs)
    for step in steps.needed_for(*targets):
        if receipts.fits(step).ok and all(path.exists() for path in step.outputs.values()):
            continue
        twin = _twin(theirs, step)
        if twin and judged.fits(twin).ok and _reads_the_same(steps, receipts, step, twin):
            _link(step, twin)
            receipts.forget(step)


def home_of(configuration: Configuration, step: Step, path: Path) -> Path:
    """Where a file of a step was written: in the scale's tree, if the step is borrowed."""
    if configuration.of_scale is None or not step.receipt.is_symlink():
        return path
    root = configuration.of_scale.layout.root
    return root / path.relative_to(configuration.layout.root)


def _twin(theirs: Steps, step: Step) -> Step | None:
    """The scale's step of the same name, if it would do the same with the same input."""
    if not theirs.configuration.layout.receipt(step.rule, step.key).is_file():
        return None
    try:
        twin = theirs.find(step.rule, step.key)
    except MedhashError:
        return None
    is_alike = twin.version == step.version and twin.inputs.keys() == step.inputs.keys()
    return twin if is_alike else None


def _reads_the_same(steps: Steps, own: Receipts, step: Step, twin: Step) -> bool:
    """Whether every input has the content that the scale's step was made from."""
    used = read(twin)["inputs"]
    for name, path in step.inputs.items():
        maker = steps.making(path)
        if maker is None:
            same = path == twin.inputs[name]
        else:
            same = (
                own.fits(maker).ok
                and name in used
                and sha256_of_output(read(maker), maker, path) == used[name]["sha256"]
            )
        if not same:
            return False
    return True


def _link(step: Step, twin: Step) -> None:
    """Links in place of a step's files, the receipt's last; what is elsewhere stays there."""
    pairs = [(step.outputs[name], source) for name, source in twin.outputs.items()]
    for path, source in (*pairs, (step.receipt, twin.receipt)):
        if not source.exists():
            path.unlink(missing_ok=True)
            continue
        with written_whole(path) as temporary:
            temporary.symlink_to(os.path.relpath(source, path.parent))
