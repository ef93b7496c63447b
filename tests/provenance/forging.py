"""What a forger does to a finished run, and what an audit finds broken."""

from __future__ import annotations

import json
from pathlib import Path

from medhash.audit.findings import Finding, State
from medhash.audit.run import audit
from medhash.configuration.loading import load
from medhash.files import sha256_of_file
from medhash.flow.receipts import seal_of

HASHNET = "results/real/mini/cells/covid_ct/hashnet/none/8/0"
CSQ = "results/real/mini/cells/covid_ct/csq/none/8/0"


def broken(target=None, scale="real", **place) -> dict[tuple[str, str], Finding]:
    """(link, check) -> the first finding of what an audit finds broken."""
    report = audit(load(overrides={"scale": scale}), target, **place)
    found: dict[tuple[str, str], Finding] = {}
    for link, finding in report.findings(State.BROKEN):
        found.setdefault((link.name, finding.check), finding)
    return found


def edit(path, change):
    """Change a JSON file in place."""
    content = json.loads(Path(path).read_text())
    change(content)
    Path(path).write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def receipt_of(rule, key):
    return Path(f"results/real/receipts/{rule}/{key}.json")


def forge(rule, key):
    """Make a step's receipt fit the files that are there, seal and all."""

    def change(receipt):
        for side in ("inputs", "outputs"):
            for file in receipt[side].values():
                file["sha256"] = sha256_of_file(Path(file["path"]))
        receipt["seal"] = seal_of(receipt)

    edit(receipt_of(rule, key), change)


def replace_text(path, old, new):
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))


def other_digit(text):
    return text[:-1] + str((int(text[-1]) + 1) % 10)


def reseal(path, **changes):
    edit(path, lambda receipt: receipt.update(changes))
    edit(path, lambda receipt: receipt.update(seal=seal_of(receipt)))
