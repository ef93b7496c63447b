"""What every step has in common: its receipt, and the files, settings and code that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medhash.audit.evidence import NO_SUCH_FILE, Evidence, modules_now
from medhash.audit.findings import Finding, broken, differences, listed, missing, verified
from medhash.files import sha256_of_value
from medhash.flow.borrowing import home_of
from medhash.flow.receipts import SCHEMA, Receipt, seal_of
from medhash.flow.steps import Step
from medhash.schema.differences import plain

_RESTORE = "get the receipt back as it was written, or make the step again: "


def check_receipt(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Is there a receipt, is it as it was written, and does it describe this step?

    A receipt is sealed with a hash of itself, and each receipt holds the seals of those before
    it: whoever changes one has to change all that come after.
    """
    receipt = evidence.receipt(step)
    if receipt is None:
        yield _without_receipt(step, evidence)
        return
    if receipt.get("schema") != SCHEMA:
        text = f"is of schema {receipt.get('schema')}; this medhash writes {SCHEMA}"
        yield broken("receipt", step.receipt, text, remedy=evidence.again(step))
        return
    yield _check_seal(step, receipt, evidence)
    yield from _check_settings(step, receipt, evidence)
    yield from _check_code(step, receipt, evidence)
    yield from _check_upstream(step, receipt, evidence)


def check_outputs(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Is each file that is here the one that the step wrote?"""
    receipt = evidence.receipt(step)
    if receipt is None:
        return
    remedy = f"{_RESTORE}{evidence.again(step)}"
    for name, path in step.outputs.items():
        said = receipt["outputs"].get(name)
        home = home_of(evidence.configuration, step, path).as_posix()
        if said is None or said.get("path") != home:
            text = f"says of '{name}' the file {said.get('path') if said else 'nothing'}"
            yield broken("output", step.receipt, text, expected=home, remedy=remedy)
        else:
            yield _check_file(path, said["sha256"], step, evidence)


def check_inputs(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Did the step read what the steps before it wrote?"""
    receipt = evidence.receipt(step)
    if receipt is None:
        return
    wrong = False
    for name, path in step.inputs.items():
        used = receipt["inputs"].get(name)
        finding = _check_input(step, path, used, evidence)
        wrong = wrong or finding is not None
        if finding:
            yield finding
    for name in sorted(set(receipt["inputs"]) - set(step.inputs)):
        wrong = True
        path = Path(receipt["inputs"][name]["path"])
        text = f"was made with {path}, which this step does not read"
        yield broken("input", step.receipt, text, remedy=evidence.again(step))
    if receipt["inputs"] and not wrong:
        count = _count(len(receipt["inputs"]), "file")
        text = f"read {count} with the hashes that their own steps wrote"
        yield verified("input", step.receipt, text)


def _without_receipt(step: Step, evidence: Evidence) -> Finding:
    here = [path for path in step.outputs.values() if path.is_file()]
    why = evidence.why_no_receipt(step)
    if why == NO_SUCH_FILE and not here:
        return missing("receipt", step, "was not run here", evidence.again(step))
    text = "nothing says where the step's files come from" if why == NO_SUCH_FILE else why
    remedy = f"{_RESTORE}{evidence.again(step)}"
    return broken("receipt", step.receipt, text, found=why, remedy=remedy)


def _check_seal(step: Step, receipt: Receipt, evidence: Evidence) -> Finding:
    said, is_now = receipt.get("seal"), seal_of(receipt)
    if said == is_now:
        return verified("receipt", step.receipt, "sealed, as it was written")
    return broken(
        "receipt",
        step.receipt,
        "was changed after it was written: it does not fit its seal",
        expected=f"seal {said}",
        found=f"seal {is_now}",
        remedy=f"{_RESTORE}{evidence.again(step)}",
    )


def _check_settings(step: Step, receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    found = list(differences(receipt["settings"], plain(step.settings)))
    for difference in found:
        yield broken(
            "settings",
            step,
            f"config/ and the receipt differ in {difference.key}",
            expected=f"{difference.key}: {difference.expected} (when it was made)",
            found=f"{difference.key}: {difference.found} (in the configuration)",
            remedy=f"put the setting back, or make it again with the new one: "
            f"{evidence.again(step)}",
        )
    if not found:
        count = f"digest {sha256_of_value(plain(step.settings))[:12]}"
        yield verified("settings", step, f"those of the configuration ({count})")


def _check_code(step: Step, receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    before, now = receipt["code"]["modules"], modules_now(*step.modules)
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        commit = (receipt.get("git") or {}).get("commit")
        yield broken(
            "code",
            step,
            f"the code is another than when it was made, in {listed(changed)}",
            expected=f"fingerprint {receipt['code']['fingerprint']}",
            found=f"fingerprint {sha256_of_value(now)}",
            remedy=(f"look at the code that made it (git show {commit}), or " if commit else "")
            + f"make it again: {evidence.again(step)}",
        )
    elif receipt["code"]["fingerprint"] != sha256_of_value(before):
        text = "the fingerprint of the code is not that of its modules"
        yield broken("code", step.receipt, text, remedy=f"{_RESTORE}{evidence.again(step)}")
    elif receipt["version"] != step.version and not list(
        differences(receipt["settings"], plain(step.settings))
    ):
        text = "its version is not that of its settings and code"
        yield broken(
            "code", step.receipt, text, expected=step.version, found=str(receipt["version"])
        )
    else:
        text = f"the same in all {_count(len(now), 'module')} that the step reaches"
        yield verified("code", step, text)
        yield from _accepted(step, receipt)


def _accepted(step: Step, receipt: Receipt) -> Iterator[Finding]:
    """The versions that were put into the receipt after the step had run, each with its proof."""
    for change in receipt.get("accepted", ()):
        proof = "; ".join(f"{each['step']} ({each['extent']})" for each in change["proof"])
        text = f"made with {change['from']}; {change['to']} accepted: {proof} gave the same bytes"
        yield verified("code", step, text)


def _check_upstream(step: Step, receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    """The receipts that came before this one, by their seals."""
    said: dict[str, str] = receipt.get("upstream") or {}
    makers = {
        str(maker): maker for maker in map(evidence.steps.making, step.inputs.values()) if maker
    }
    fitting = 0
    for name, maker in makers.items():
        upstream = evidence.receipt(maker)
        if upstream is None:
            continue
        before = [change["seal"] for change in upstream.get("accepted", ())]
        if said.get(name) in (seal_of(upstream), *before):
            fitting += 1
        elif name in said and str(upstream.get("started")) > str(receipt.get("started")):
            text = f"{name} was run again later, and wrote the same files"
            yield verified("upstream", maker.receipt, text)
        else:
            yield broken(
                "upstream",
                maker.receipt,
                f"is not the receipt that was there when {step} was made",
                expected=f"seal {said.get(name, 'none')}",
                found=f"seal {seal_of(upstream)}",
                remedy=f"{_RESTORE}{evidence.again(maker)}",
            )
    if fitting:
        text = f"holds the seals of {_count(fitting, 'receipt')} before it"
        yield verified("upstream", step.receipt, text)


def _check_file(path: Path, said: str, step: Step, evidence: Evidence) -> Finding:
    here = evidence.sha256(path)
    if here == said:
        return verified("output", path, f"SHA-256 {said}")
    if here is None:
        known = evidence.tracked.where(path)
        text = f"is not here; {known.text if known else 'neither DVC nor git has it'}"
        return missing("output", path, text, known.command if known else evidence.again(step))
    return broken(
        "output",
        path,
        f"is not the file that '{step}' wrote",
        expected=f"SHA-256 {said}",
        found=f"SHA-256 {here}",
        remedy=evidence.restore(path, step),
    )


def _check_input(
    step: Step, path: Path, used: dict[str, Any] | None, evidence: Evidence
) -> Finding | None:
    """What is wrong with one input, or None."""
    again = f"find out which of the two is right, or make it again: {evidence.again(step)}"
    maker = evidence.steps.making(path)
    here = evidence.receipted(path) if maker else evidence.sha256(path)
    if used is None:
        has_run = here is not None or path.is_file()
        text = f"'{step}' was made without it"
        return broken("input", path, text, remedy=again) if has_run else None
    if here is None:
        why = f"no receipt of '{maker}' says what it was" if maker else "is not here"
        return missing("input", path, why)
    if here == used["sha256"]:
        return None
    return broken(
        "input",
        path,
        f"'{step}' read another file than " + (f"'{maker}' wrote" if maker else "is here now"),
        expected=f"SHA-256 {here}" + (f" ({maker.receipt})" if maker else ""),
        found=f"SHA-256 {used['sha256']} ({step.receipt})",
        remedy=again,
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"
