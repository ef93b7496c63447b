"""Steps that are run again, into a folder of their own, and compared with what is here."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from medhash.audit.evidence import Evidence
from medhash.audit.findings import Finding, broken, differences, listed, missing, verified
from medhash.audit.pictures import SHIFT, STRAY_PIXELS, stray_pixels
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow.running import Job, run_step_in
from medhash.flow.steps import Step

_AROUND = 40
_PICTURES = (".pdf", ".png")
_TEXTS = (".csv", ".md", ".tex")
_TIMES = re.compile(
    r'<section id="(?:runtimes|environment)">.*?</section>|<dt>Trained</dt><dd>[^<]*</dd>',
    re.DOTALL,
)
"""The parts of a page that tell when and where steps ran."""

_DATA = "data again"
_PLACES = ("row", "column", "image_id")
"""The columns of a CSV that name a place in it."""


def check_again(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Run a step again, where its description says that this can be done, and compare.

    Text must be the same bytes. So must pictures, where they were drawn in this environment; in
    another one letters and lines may lie a shade or a pixel elsewhere.
    """
    when = step.kind.made_again
    if when == "never" or (when == "deep" and evidence.encode is None):
        return
    check = _DATA if when == "deep" else step.rule
    receipt = evidence.receipt(step) or {"inputs": {}}
    # What has not run is no input: the receipt names what there was.
    used = [Path(file["path"]) for file in receipt["inputs"].values()]
    absent = [path.as_posix() for path in used if not path.is_file()]
    if absent or not any(path.is_file() for path in step.outputs.values()):
        text = f"cannot be made again: {len(absent)} of {len(used)} files not here"
        yield missing(check, step, f"{text} ({listed(absent, 2)})" if absent else "is not here")
        return
    # An audit fetches nothing.
    configuration = replace(evidence.configuration, download=False)
    with TemporaryDirectory() as folder:
        try:
            again = run_step_in(Path(folder), configuration, step, Job())
        except (MedhashError, OSError, ValueError, KeyError) as error:
            is_absent = when == "deep" or isinstance(error, FileNotFoundError)
            text = f"cannot be made again: {error}"
            yield missing(check, step, text) if is_absent else broken(check, step, text)
            return
        yield from _compare(check, step, again, len(used), evidence)


def _compare(
    check: str, step: Step, again: Step, used: int, evidence: Evidence
) -> Iterator[Finding]:
    here = {name: path for name, path in step.outputs.items() if path.is_file()}
    same = [n for n, p in here.items() if sha256_of_file(again.outputs[n]) == evidence.sha256(p)]
    others = {name: path for name, path in here.items() if name not in same}
    if check == _DATA and others and evidence.is_elsewhere(step):
        names = ", ".join(path.name for path in others.values())
        text = f"made again in another environment: other bytes in {names}; not decided here"
        yield missing(check, step, text)
        return
    if same:
        source = f"{used} file{'s' * (used != 1)}" if used else "its source"
        text = (
            f"made again from {source}: the same bytes in {', '.join(here[n].name for n in same)}"
        )
        yield verified(check, step, text)
    for name, path in others.items():
        if path.suffix in _PICTURES:
            yield _compare_pictures(check, step, path, again.outputs[name], evidence)
        elif path.suffix == ".html":
            yield _compare_pages(check, step, path, again.outputs[name], evidence)
        elif path.suffix in _TEXTS:
            yield _compare_texts(check, step, path, again.outputs[name], evidence)
        elif path.suffix == ".json":
            yield _compare_json(check, step, path, again.outputs[name], evidence)
        else:
            text = "is another, made again from its source"
            yield broken(check, path, text, remedy=evidence.again(step))


def _compare_json(check: str, step: Step, path: Path, again: Path, evidence: Evidence) -> Finding:
    expected = json.loads(again.read_text(encoding="utf-8"))
    changes = [str(each) for each in differences(expected, evidence.json(path))]
    text = f"is not what comes out when it is made again: {listed(changes)}"
    return broken(check, path, text, remedy=evidence.restore(path, step))


def _compare_pages(check: str, step: Step, path: Path, again: Path, evidence: Evidence) -> Finding:
    """A page keeps the times of before where a step is made again with the same files."""
    made = str((evidence.receipt(step) or {}).get("started"))
    receipts = {str(each): evidence.receipt(each) for each in evidence.steps.all()}
    later = [name for name, told in receipts.items() if told and str(told.get("started")) > made]
    expected, found = (_TIMES.sub("", _read(file)) for file in (again, path))
    if later and expected == found:
        text = f"tells the times of before these were made again: {listed(later)}; else the same"
        return missing(check, path, text, evidence.again(step))
    return _compare_texts(check, step, path, again, evidence)


def _compare_texts(check: str, step: Step, path: Path, again: Path, evidence: Evidence) -> Finding:
    expected, found = map(_read, (again, path))
    changes = _lines_changed(expected, found)
    if path.suffix == ".csv":
        changes = _values_changed(expected, found) or changes
    return broken(
        check,
        path,
        "is not what comes out when it is made again",
        expected=listed([f"{where}: {one}" for where, one, _ in changes]),
        found=listed([f"{where}: {other}" for where, _, other in changes]),
        remedy=evidence.restore(path, step),
    )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _values_changed(expected: str, found: str) -> list[tuple[str, str, str]]:
    """Row, column and field of a CSV, with both values."""
    changes = []
    nothing: dict[str, str] = {}
    both = zip_longest(_rows(expected), _rows(found), fillvalue=nothing)
    for line, (one, other) in enumerate(both, 2):
        known = one or other
        place = ", ".join(filter(None, map(known.get, _PLACES))) or f"line {line}"
        for name in dict.fromkeys((*one, *other)):
            if one.get(name) != other.get(name):
                where = f"{place}, {name}"
                changes.append((where, one.get(name) or "nothing", other.get(name) or "nothing"))
    return changes


def _lines_changed(expected: str, found: str) -> list[tuple[str, str, str]]:
    changes = []
    both = zip_longest(expected.splitlines(), found.splitlines(), fillvalue="")
    for number, (one, other) in enumerate(both, 1):
        if one != other:
            start = max(0, _first_difference(one, other) - _AROUND // 2)
            end = start + _AROUND
            changes.append((f"line {number}", f"…{one[start:end]}…", f"…{other[start:end]}…"))
    return changes


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _rows(text: str) -> list[dict[str, str]]:
    return [{str(k): str(v) for k, v in row.items()} for row in csv.DictReader(io.StringIO(text))]


def _compare_pictures(
    check: str, step: Step, path: Path, again: Path, evidence: Evidence
) -> Finding:
    remedy = evidence.restore(path, step)
    if not evidence.is_elsewhere(step):
        text = "is not the plot of its records: drawn again in the same environment, it is another"
        return broken(check, path, text, remedy=remedy)
    if evidence.receipted(path) != evidence.sha256(path):
        text = "is neither the picture that was drawn nor the one that its records give here"
        return broken(check, path, text, remedy=remedy)
    try:
        stray = stray_pixels(path, again)
    except ValueError as error:
        return broken(check, path, str(error), remedy=remedy)
    if stray is None or stray > STRAY_PIXELS:
        how = "its size is another" if stray is None else f"{stray} pixels lie elsewhere"
        text = f"is not the plot of its records: drawn again, {how}"
        return broken(check, path, text, remedy=remedy)
    text = (
        "was drawn in another environment; drawn again here it is not the same bytes, and looks "
        f"the same ({stray} pixels without a counterpart within {SHIFT})"
    )
    return verified(check, path, text)
