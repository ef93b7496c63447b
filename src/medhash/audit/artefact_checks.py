"""Tables and figures: made again from the records, and compared byte for byte."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from medhash.analysis.artefacts import make_artefact
from medhash.audit.evidence import Evidence
from medhash.audit.findings import Finding, broken, listed, missing, verified
from medhash.errors import MedhashError
from medhash.flow.steps import Step
from medhash.papers.specs import FigureSpec, TableSpec
from medhash.verdicts.claims import decide_claims
from medhash.verdicts.run import load_runs
from medhash.verdicts.texts import write_claims

PICTURE_TOLERANCE = 0.02
"""The share of pixels that may differ visibly where another machine drew a figure."""

_VISIBLE = 48
_AROUND = 40


def check_artefact(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Make a table or figure again and compare.

    Text must be the same bytes. So must pictures, where they were drawn in this environment; in
    another one fonts and lines may differ by a shade, and the CSV of their points decides.
    """
    configuration = evidence.configuration
    specs = configuration.tables if step.rule == "table" else configuration.figures
    spec: TableSpec | FigureSpec = specs[step.key]
    yield from _made_again(
        step, evidence, spec.name, lambda stem: make_artefact(configuration, spec, stem)
    )


def check_claims(step: Step, evidence: Evidence) -> Iterator[Finding]:
    """Decide the claims again and compare."""

    def make(stem: Path) -> None:
        runs = load_runs(evidence.configuration)
        write_claims(decide_claims(runs), runs, stem.parent)

    yield from _made_again(step, evidence, "claims", make)


def _made_again(
    step: Step, evidence: Evidence, name: str, make: Callable[[Path], object]
) -> Iterator[Finding]:
    """Make a step's files under another stem and compare them."""
    receipt = evidence.receipt(step) or {"inputs": {}}
    # What has not run is no input: the receipt names what there was.
    used = [Path(file["path"]) for file in receipt["inputs"].values()]
    absent = [path.as_posix() for path in used if not path.is_file()]
    if absent or not any(path.is_file() for path in step.outputs.values()):
        text = f"cannot be made again: {len(absent)} of {len(used)} files not here"
        yield missing(step.rule, step, f"{text} ({listed(absent, 2)})" if absent else "is not here")
        return
    with TemporaryDirectory() as folder:
        stem = Path(folder) / name
        try:
            make(stem)
        except (MedhashError, OSError, ValueError) as error:
            yield broken(step.rule, step, f"cannot be made again: {error}")
            return
        yield from _compare(step, stem, len(used), evidence)


def _compare(step: Step, stem: Path, used: int, evidence: Evidence) -> Iterator[Finding]:
    same = []
    for suffix, path in step.outputs.items():
        again = stem.with_name(f"{stem.name}.{suffix}")
        if not path.is_file():
            continue
        if again.read_bytes() == path.read_bytes():
            same.append(f".{suffix}")
        elif suffix in ("pdf", "png"):
            yield _compare_pictures(step, path, again, stem, evidence)
        else:
            yield _compare_texts(step, path, again, evidence)
    if same:
        text = f"made again from {used} file{'s' * (used != 1)}: the same bytes ({', '.join(same)})"
        yield verified(step.rule, step, text)


def _compare_texts(step: Step, path: Path, again: Path, evidence: Evidence) -> Finding:
    expected, found = (file.read_text(encoding="utf-8", errors="replace") for file in (again, path))
    changes = _lines_changed(expected, found)
    if path.suffix == ".csv":
        changes = _values_changed(expected, found) or changes
    return broken(
        step.rule,
        path,
        "is not what the records give, when it is made again",
        expected=listed([f"{where}: {one}" for where, one, _ in changes]),
        found=listed([f"{where}: {other}" for where, _, other in changes]),
        remedy=evidence.restore(path, step),
    )


def _values_changed(expected: str, found: str) -> list[tuple[str, str, str]]:
    """Row, column and field of a CSV, with both values."""
    changes = []
    nothing: dict[str, str] = {}
    both = zip_longest(_rows(expected), _rows(found), fillvalue=nothing)
    for line, (one, other) in enumerate(both, 2):
        place = ", ".join(filter(None, (one.get("row"), one.get("column")))) or f"line {line}"
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
    step: Step, path: Path, again: Path, stem: Path, evidence: Evidence
) -> Finding:
    remedy = evidence.restore(path, step)
    if not evidence.is_elsewhere(step):
        text = "is not the plot of its records: drawn again in the same environment, it is another"
        return broken(step.rule, path, text, remedy=remedy)
    if evidence.receipted(path) != evidence.sha256(path):
        text = "is neither the picture that was drawn nor the one that its records give here"
        return broken(step.rule, path, text, remedy=remedy)
    # A PDF is judged by the PNG that is drawn with it from the same points.
    here, drawn = step.outputs["png"], stem.with_name(f"{stem.name}.png")
    share = _visibly_different(here, drawn) if here.is_file() else None
    if share is not None and share > PICTURE_TOLERANCE:
        text = f"is not the plot of its records: drawn again, {share:.1%} of the pixels are others"
        return broken(step.rule, path, text, remedy=remedy)
    pixels = "" if share is None else f", {share:.2%} of the pixels visibly others"
    text = (
        f"was drawn in another environment; drawn again here it is not the same bytes{pixels}. Its "
        "points (CSV) and its receipt are what is compared"
    )
    return verified(step.rule, path, text)


def _visibly_different(path: Path, again: Path) -> float:
    """The share of pixels of two PNG files that an eye would tell apart; 1 for other sizes."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as one, Image.open(again) as other:
        first, second = (np.asarray(image.convert("RGB"), np.int16) for image in (one, other))
    if first.shape != second.shape:
        return 1.0
    return float((np.abs(first - second).max(axis=2) > _VISIBLE).mean())
