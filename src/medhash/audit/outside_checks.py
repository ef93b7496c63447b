"""What a forger of receipts does not reach: commits, DVC's lock, training again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medhash.audit.evidence import Evidence
from medhash.audit.findings import Finding, broken, listed, missing, verified
from medhash.errors import MedhashError
from medhash.flow.receipts import Receipt
from medhash.flow.steps import Step

_ACCEPTING = {"version", "settings", "code", "inputs", "accepted", "seal"}
"""The keys of a receipt that ``medhash accept`` writes anew."""

_DIGITS = 12


def check_history(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Is the receipt that of the commit, and was the code of its commit what it says?

    Where the repository has no such receipt or commit there is nothing to compare with.
    """
    receipt = evidence.receipt(step)
    if receipt is None or not evidence.repository.has(step.receipt):
        return
    yield _check_commit(step, receipt, evidence)
    yield from _check_code_of_commit(step, receipt, evidence)


def check_lock(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Are the files that DVC has those that its lock names?"""
    changed = evidence.repository.differs(step.receipt)
    for path in step.outputs.values():
        said = evidence.tracked.md5(path)
        if not said or not path.is_file():
            continue
        here = _md5(path)
        if here == said:
            yield verified("dvc", path, f"MD5 {said}, as in DVC's lock")
        elif changed:
            text = "was made again; DVC's lock has the file of before"
            yield missing("dvc", path, text, "dvc commit, once it is what it should be")
        else:
            remedy = evidence.restore(path, step)
            text = "is not the file that DVC's lock names"
            found = f"MD5 {here}"
            yield broken("dvc", path, text, expected=f"MD5 {said}", found=found, remedy=remedy)


def check_retraining(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Does training give these files, or its first epochs the states and losses that were kept?"""
    if evidence.retrain is None:
        return
    absent = [path.as_posix() for path in step.inputs.values() if not path.is_file()]
    receipt = evidence.receipt(step)
    if absent or receipt is None:
        text = f"cannot be trained again: {listed(absent) or step.receipt.as_posix()} not here"
        yield missing("retraining", step, text)
        return
    try:
        again = evidence.retrain(step)
    except (MedhashError, OSError) as error:
        yield broken("retraining", step, f"cannot be trained again: {error}")
        return
    if not again.difference:
        text = f"{again.extent}, trained again: the same bytes"
        yield verified("retraining", step, text)
    elif receipt.get("device") != again.device or evidence.has_other_libraries(step):
        text = f"{again.extent}, trained again on another machine or with other libraries: "
        yield missing("retraining", step, f"{text}{again.difference}; not decided here")
    else:
        text = f"{again.extent}, trained again on such a machine: {again.difference}"
        yield broken("retraining", step, text, remedy=evidence.again(step))


def _check_commit(step: Step, receipt: Receipt, evidence: Evidence) -> Finding:
    commit = evidence.repository.commit[:_DIGITS]
    if not evidence.repository.differs(step.receipt):
        return verified("git", step.receipt, f"as in the commit {commit}")
    committed = _json(evidence.repository.content(step.receipt))
    before, now = str(committed.get("started")), str(receipt.get("started"))
    keys = {*committed, *receipt} - _ACCEPTING
    others = sorted(key for key in keys if committed.get(key) != receipt.get(key))
    if now > before or (now == before and not others):
        what = "made" if now > before else "accepted"
        text = f"was {what} again since the commit {commit}, which does not vouch for it"
        return missing("git", step.receipt, text, "commit it, once it is what it should be")
    return broken(
        "git",
        step.receipt,
        f"was changed since the commit {commit}, in {listed(others)}, and not made again",
        expected=f"started {before}, seal {committed.get('seal')}",
        found=f"started {now}, seal {receipt.get('seal')}",
        remedy=evidence.restore(step.receipt, step),
    )


def _check_code_of_commit(step: Step, receipt: Receipt, evidence: Evidence) -> Iterator[Finding]:
    changes = receipt.get("accepted") or [{}]
    git = changes[-1].get("git") or receipt.get("git") or {}
    commit, modules = git.get("commit"), receipt["code"]["modules"]
    if not commit or git.get("dirty"):
        return
    there = {name: evidence.repository.code_at(str(commit), name) for name in modules}
    if None in there.values():
        return
    others = sorted(name for name, said in modules.items() if there[name] != said)
    if others:
        text = f"says code of the commit {commit[:_DIGITS]}, which has another {listed(others)}"
        yield broken("git", step.receipt, text, remedy=evidence.again(step))
    else:
        text = f"the commit {commit[:_DIGITS]} has the code that the receipt names"
        yield verified("git", step.receipt, text)


def _json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _md5(path: Path) -> str:
    """The checksum that DVC keeps."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
        return digest.hexdigest()
