"""Receipts: what each step was made from, and whether what is there still fits.

A step leaves ``results/<run>/receipts/<rule>/<key>.json`` behind: its version, the SHA-256 of
its inputs and outputs, and what it ran in. From these alone is decided what has to run again:
neither the times of files nor the machine that they were made on matter, and files that are
elsewhere (data, weights) are known by their receipts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from medhash.errors import MedhashError
from medhash.files import remove_leftovers, sha256_of_value, write_json
from medhash.flow import account, environment
from medhash.flow.code_memory import remembered_fingerprint
from medhash.flow.hashes import FileHashes
from medhash.flow.steps import Step, Steps
from medhash.schema.differences import differences, plain
from medhash.stored import MAKE_AGAIN, Part, read_tree, reading

SCHEMA = 1

Receipt = dict[str, Any]


@dataclass(frozen=True)
class Fit:
    """Whether what a step left behind is what it would make now.

    Attributes:
        state: ``fits``; ``absent``: it left nothing; ``outdated``: its code, settings or inputs
            are others now; ``refused``: a file is not what its receipt says, or was made from
            other content than what is here.
        reason: names file and difference; empty if it fits.
        cause: the step upstream that is the reason, if it is not this one.
    """

    state: Literal["fits", "absent", "outdated", "refused"]
    reason: str = ""
    cause: Step | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return self.state == "fits"


class Receipts:
    """The receipts of one configuration's steps.

    Args:
        steps: of the configuration.
        hashes: of files; one that remembers nothing reads every byte again.
    """

    def __init__(self, steps: Steps, hashes: FileHashes | None = None) -> None:
        self._steps = steps
        self._hashes = hashes or FileHashes()
        self._fits: dict[Step, Fit] = {}
        self._receipts: dict[Step, Receipt] = {}

    def fits(self, step: Step) -> Fit:
        """Whether a step's outputs, as far as they are here, are what it would make now.

        They are if the receipt's version is the step's, every output that is here has the
        receipt's hash, and every input has the hash that its own step's receipt says, which must
        fit in its turn. Outputs that are elsewhere do not spoil a fit. Of a step that gathers what
        is there, the inputs that are here count.
        """
        if step not in self._fits:
            for maker in self._steps.makers(step):
                self.fits(maker)
            self._fits[step] = self._judge(step)
        return self._fits[step]

    def forget(self, step: Step) -> None:
        """Judge a step anew when it is asked for again: its files are others now."""
        self._fits.pop(step, None)
        self._receipts.pop(step, None)

    def _judge(self, step: Step) -> Fit:
        problem = self._problem_of_outputs(step)
        if problem is not None:
            return problem
        receipt = self._receipts[step]
        if receipt["version"] != step.version:
            return Fit("outdated", f"{step}: {_version_change(step, receipt)}")
        return self._problem_of_inputs(step, receipt) or Fit("fits")

    def _problem_of_outputs(self, step: Step) -> Fit | None:
        try:
            receipt = read(step)
        except FileNotFoundError:
            here = [path for path in step.outputs.values() if path.is_file()]
            if here:
                return Fit("refused", f"{here[0]}: has no receipt ({step.receipt})")
            return Fit("absent", f"{step}: was not made yet")
        except MedhashError as error:
            return Fit("refused", str(error))
        if receipt.get("schema") != SCHEMA:
            text = f"is of schema {receipt.get('schema')}, wanted is {SCHEMA}"
            return Fit("outdated", f"{step.receipt}: {text}")
        if receipt.get("seal") != seal_of(receipt):
            return Fit("refused", f"{step.receipt}: was changed after it was written")
        self._receipts[step] = receipt
        for name, path in step.outputs.items():
            said = _sha256(receipt, "outputs", name)
            if said is None:
                return Fit("outdated", f"{step.receipt}: says nothing of {path}")
            found = self._hashes.of(path)
            if found not in (None, said):
                return Fit("refused", f"{path}: {_other(found, said)} ({step.receipt})")
        return None

    def _problem_of_inputs(self, step: Step, receipt: Receipt) -> Fit | None:
        gone = sorted(set(receipt["inputs"]) - set(step.inputs))
        if gone:
            return Fit("outdated", f"{step}: was made with {gone[0]}, which it does not read now")
        for name, path in step.inputs.items():
            maker = self._steps.making(path)
            if step.kind.gathers:
                if self._hashes.of(path) not in (None, _sha256(receipt, "inputs", name)):
                    return Fit("outdated", f"{step}: was made with another {path}, or without it")
                continue
            if maker is not None and not self._fits[maker].ok:
                cause = self._fits[maker].cause or maker
                return Fit("outdated", f"{step}: needs {cause}, which is to be made", cause)
            used = _sha256(receipt, "inputs", name)
            if used is None:
                return Fit("outdated", f"{step}: was made without {path}")
            if maker is None:
                here = self._hashes.of(path)
            else:
                here = sha256_of_output(self._receipts[maker], maker, path)
            if here not in (None, used):
                made = ", ".join(map(str, step.outputs.values()))
                return Fit("refused", f"{made}: made from another {path}: {_other(used, here)}")
        return None


def read(step: Step) -> Receipt:
    """A step's receipt.

    Raises:
        FileNotFoundError: there is none.
        MedhashError: it is damaged, or not of this step.
    """
    if not step.receipt.exists():
        raise FileNotFoundError(step.receipt)
    receipt = read_tree(step.receipt, account.Named, MAKE_AGAIN, "receipt")
    if (receipt["rule"], receipt["key"]) != (step.rule, step.key):
        found = f"{receipt['rule']} {receipt['key']}"
        raise MedhashError(f"{step.receipt}: is of {found}, not of {step}; {MAKE_AGAIN}")
    if receipt["schema"] == SCHEMA:
        with reading(step.receipt, MAKE_AGAIN, "receipt"):
            account.Receipt.model_validate(receipt)
    return receipt


def sha256_of_output(receipt: Receipt, step: Step, path: Path) -> str | None:
    """What the receipt of a step says of a file; None if nothing, as of the receipt itself."""
    name = next((name for name, file in step.outputs.items() if file == path), "")
    return _sha256(receipt, "outputs", name)


def seal_of(receipt: Receipt) -> str:
    """A hash of all that a receipt says, which it carries itself.

    Receipts also hold the seals of those before them: whoever changes one has to change all that
    come after.
    """
    return sha256_of_value({key: value for key, value in receipt.items() if key != "seal"})


def require_receipted(steps: Steps, files: Mapping[Path, str | None]) -> dict[str, str]:
    """Refuse files that are not those that the receipts of their steps describe.

    Args:
        steps: of the configuration.
        files: path -> SHA-256, None of one that is not here. One without a receipt is let through.

    Returns:
        Step -> the seal of its receipt.

    Raises:
        MedhashError: a file is another one, or a receipt is damaged.
    """
    known: dict[Step, Receipt] = {}
    for path, sha256 in files.items():
        maker = steps.making(path)
        if maker is None or not maker.receipt.exists():
            continue
        again = f"get it back, or make it again: medhash {maker.arguments}"
        if maker not in known:
            known[maker] = read(maker)
            if known[maker].get("seal") not in (None, seal_of(known[maker])):
                raise MedhashError(f"{maker.receipt}: was changed after it was written; {again}")
        said = sha256_of_output(known[maker], maker, path)
        if sha256 is not None and said not in (None, sha256):
            raise MedhashError(f"{path}: {_other(sha256, said)} ({maker.receipt}); {again}")
    return {str(maker): seal_of(receipt) for maker, receipt in known.items()}


@contextmanager
def recorded(steps: Steps, step: Step) -> Iterator[None]:
    """Run a step's work inside of this; its receipt is written when the work is done.

    An error leaves no new receipt; one of before does not fit what was overwritten.

    Args:
        steps: those of the configuration.
        step: the one that runs.
    """
    started, start = datetime.now(UTC), time.monotonic()
    hashes = FileHashes()
    inputs = _files(step.inputs, hashes)
    remove_leftovers(_written_by(step))
    found = {path: inputs[name]["sha256"] for name, path in step.inputs.items() if name in inputs}
    upstream = require_receipted(steps, dict.fromkeys(step.inputs.values()) | found)
    yield
    seconds = round(time.monotonic() - start, 3)
    outputs = _files(step.outputs, hashes)
    missing = [path for name, path in step.outputs.items() if name not in outputs]
    if missing:
        raise RuntimeError(f"{step}: did not write {missing[0]}")
    receipt = {
        "schema": SCHEMA,
        "rule": step.rule,
        "key": step.key,
        "version": step.version,
        "settings": plain(step.settings),
        "code": remembered_fingerprint(*step.modules),
        "inputs": inputs,
        "outputs": outputs,
        "upstream": upstream,
        **_told_by(step),
        "environment": environment.describe(),
        "git": environment.git_state(),
        "slurm": environment.slurm_job(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": seconds,
    }
    write_json(step.receipt, receipt | {"seal": seal_of(receipt)})


def accept(steps: Steps, step: Step, proof: list[dict[str, str]]) -> None:
    """Write the version that a step has now into its receipt, and what proves that it fits.

    Args:
        steps: of the configuration.
        step: one whose files are what it would make now.
        proof: what was run again with the same bytes.
    """
    before = read(step)
    inputs = {
        name: {"path": path.as_posix(), "sha256": sha256}
        for name, path in step.inputs.items()
        if (sha256 := _sha256(before, "inputs", name) or known_sha256(steps, path))
    }
    change = {
        "from": before["version"],
        "to": step.version,
        "proof": proof,
        "seal": before["seal"],
        "environment": environment.describe(),
        "git": environment.git_state(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    receipt = before | {
        "version": step.version,
        "settings": json.loads(json.dumps(step.settings)),
        "code": remembered_fingerprint(*step.modules),
        "inputs": inputs,
        "accepted": [*before.get("accepted", []), change],
    }
    write_json(step.receipt, receipt | {"seal": seal_of(receipt)})


def known_sha256(steps: Steps, path: Path) -> str | None:
    """What the receipt of its step says of a file, or the file itself where no step makes it."""
    maker = steps.making(path)
    if maker is None:
        return FileHashes().of(path)
    try:
        return sha256_of_output(read(maker), maker, path)
    except (OSError, MedhashError):
        return None


def _written_by(step: Step) -> set[Path]:
    """Files and folders that a step writes, with its state."""
    files = {*step.files, *([step.state] if step.state else [])}
    return files | {path.parent for path in files}


def _files(files: Mapping[str, Path], hashes: FileHashes) -> dict[str, dict[str, str]]:
    """Path and hash of those files that are there."""
    found = {name: (path, hashes.of(path)) for name, path in files.items()}
    return {
        name: {"path": path.as_posix(), "sha256": sha256}
        for name, (path, sha256) in found.items()
        if sha256 is not None
    }


def _told_by(step: Step) -> dict[str, Any]:
    """What the step's own facts say of device and archives."""
    path = step.outputs.get(step.kind.facts)
    facts = read_tree(path, Part) if path else {}
    told = {"device": facts.get("device")}
    return told | ({"archives": facts["archives"]} if facts.get("archives") else {})


def _sha256(receipt: Receipt, side: str, name: str) -> str | None:
    file = receipt[side].get(name)
    return file["sha256"] if file else None


def _other(found: str, wanted: str) -> str:
    return f"its SHA-256 is {found[:12]}…, not {wanted[:12]}…"


def _version_change(step: Step, receipt: Receipt) -> str:
    """Which settings and modules are others than when the receipt was written."""
    found = differences(receipt["settings"], plain(step.settings))
    changes = [f"{each.key} was {each.expected}, is {each.found}" for each in found]
    before = receipt["code"]["modules"]
    now = remembered_fingerprint(*step.modules)["modules"]
    modules = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    changes += [f"changed code in {', '.join(modules)}"] if modules else []
    return "; ".join(changes) or f"version was {receipt['version']}, is {step.version}"
