"""One audit: every check of every step behind a target."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from medhash.audit.cell_checks import (
    check_codes_again,
    check_lesions,
    check_measurement,
    check_pretraining,
    check_record,
    check_training,
)
from medhash.audit.data_checks import check_archives, check_data
from medhash.audit.evidence import Encode, Evidence, Retrain
from medhash.audit.findings import Finding, Link, Report, broken
from medhash.audit.made_again import check_again
from medhash.audit.outside_checks import (
    check_history,
    check_lock,
    check_retraining,
)
from medhash.audit.receipt_checks import check_inputs, check_outputs, check_receipt
from medhash.audit.targets import find_target
from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.flow.dvc import metrics_file, versions_file
from medhash.flow.steps import Step
from medhash.progress import progress

Check = Callable[[Step, Evidence], Iterator[Finding]]

OWN_CHECKS: dict[str, tuple[Check, ...]] = {
    "phantom": (check_data,),
    "prepare": (check_data, check_archives),
    "pretrain": (check_pretraining, check_retraining),
    "train": (check_training, check_codes_again, check_retraining),
    "record": (check_record,),
    "fps": (check_measurement,),
    "lesions": (check_lesions,),
}
"""Rule -> what is checked of its steps beside receipt and files, and beside making them again."""

_OF_EVERY_STEP = (
    check_receipt,
    check_history,
    check_outputs,
    check_lock,
    check_inputs,
    check_again,
)
_IN_NO_LINK = {"rule", "key", "schema", "inputs", "outputs"}


def audit(
    configuration: Configuration,
    target: str | None = None,
    row: str | None = None,
    column: str | None = None,
    encode: Encode | None = None,
    retrain: Retrain | None = None,
) -> Report:
    """Check every link between what is printed and the archives.

    Nothing is believed because it is written down: files are hashed, metrics computed from the
    codes, tables and figures made and splits drawn again, and compared with what is there.

    Args:
        configuration: the scale as it should have been run.
        target: see :func:`~medhash.audit.targets.find_target`.
        row: of a table or figure.
        column: of a table or figure.
        encode: encodes a cell's images with its checkpoint; makes the audit a deep one, in which
            data are prepared or generated again, too.
        retrain: trains a step again.

    Returns:
        The report; what is wrong is in it.

    Raises:
        MedhashError: there is no such target, row or column.
    """
    start = time.monotonic()
    evidence = Evidence(configuration, encode, retrain)
    found = find_target(evidence, target, row, column)
    evidence.hash_all(_files(found.steps))
    links = []
    with progress("audit", len(found.steps), "steps") as advance:
        for step in found.steps:
            links.append(_link(step, evidence))
            advance(1)
    whole = found.name == evidence.layout.root.as_posix()
    noticed = [*_equal_codes(evidence, found.steps)]
    noticed += _made_by_no_step(evidence, found.steps) if whole else []
    seconds = round(time.monotonic() - start, 1)
    return Report(
        configuration.run, found.name, tuple(links), found.number, seconds, tuple(noticed)
    )


def _link(step: Step, evidence: Evidence) -> Link:
    checks = (*_OF_EVERY_STEP, *OWN_CHECKS.get(step.rule, ()))
    findings = tuple(f for check in checks for f in _checked(check, step, evidence))
    receipt = evidence.receipt(step) or {}
    return Link(
        step.rule,
        step.key,
        step.receipt.as_posix(),
        receipt.get("inputs", {}),
        receipt.get("outputs", {}),
        {name: value for name, value in receipt.items() if name not in _IN_NO_LINK},
        findings,
    )


def _equal_codes(evidence: Evidence, steps: tuple[Step, ...]) -> Iterator[str]:
    """Cells that have the same codes as one of some steps; small ones may by chance."""
    own = {step.key for step in steps if step.rule == "train"}
    for cells in evidence.cells_by_codes.values():
        if len(cells) > 1 and not own.isdisjoint(cells):
            yield (
                f"{' and '.join(cells)} have the same codes: is one a copy of the other? "
                f"medhash audit {cells[-1]} --retrain {evidence.configuration.option} tells"
            )


def _made_by_no_step(evidence: Evidence, steps: tuple[Step, ...]) -> Iterator[str]:
    """The files of the run that none of its steps made, but for those that tell of the run."""
    root = evidence.layout.root
    known = {path for step in steps for path in step.files}
    known |= {metrics_file(evidence.layout), versions_file(evidence.layout), root / "run.yaml"}
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).parts
        told = inside[0] == "running" or inside[1:2] == ("queries",)
        hidden = any(part.startswith(".") for part in inside)
        if path not in known and not told and not hidden and path.is_file():
            yield f"{path.as_posix()}: no step of this run made it; nothing vouches for it"


def _checked(check: Check, step: Step, evidence: Evidence) -> Iterator[Finding]:
    """What a check finds, among it that a file cannot be read."""
    try:
        yield from check(step, evidence)
    except MedhashError as error:
        yield broken("reading", step, str(error), remedy=evidence.again(step))


def _files(steps: tuple[Step, ...]) -> list[Path]:
    return [path for step in steps for path in (*step.outputs.values(), *step.inputs.values())]
