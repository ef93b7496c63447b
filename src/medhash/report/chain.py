"""What each cell is made from, back to the archives, as the receipts say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medhash.data.prepared import read_description
from medhash.flow.receipts import Receipt
from medhash.flow.steps import Step
from medhash.report.numbers import audit_command, cell_anchor
from medhash.report.receipts import Told
from medhash.schema.cell import Cell

NO_RECEIPT = "no receipt"
NO_DEVICE = "–"

_RESULT = {
    "record": "record",
    "fps": "speed",
    "lesions": "lesions",
    "explain": "explanation",
    "segment": "segmentation",
}


@dataclass(frozen=True)
class File:
    """A file and what its receipt says of it: a SHA-256, or that there is no receipt."""

    name: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Chain:
    """A cell.

    Attributes:
        cell: its text.
        anchor: its element on the page.
        results: record, speed and lesion searches, as far as tables or figures need them.
        files: what these are made from, nearest first.
        dataset: the dataset and its image size; the page says of it which archives it is from.
        source: the cell that this one is fine-tuned from, or empty.
        made: where and when it was trained, in words.
        command: what audits it.
    """

    cell: str
    anchor: str
    results: tuple[File, ...]
    files: tuple[File, ...]
    dataset: str
    source: str
    made: str
    command: str


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset.

    Attributes:
        name: in the configuration, and the image size: ``covid_ct/64``.
        anchor: its element on the page.
        title: as printed.
        synthetic: whether it is a phantom.
        licence: what its authors allow.
        counts: images a class, in words.
        differences: where the archive is not what the card says.
        archives: file, source and SHA-256 of each archive.
        files: the prepared files and the papers' splits.
        missing: why nothing is known of it; empty if something is.
    """

    name: str
    anchor: str
    title: str
    synthetic: bool
    licence: str
    counts: str
    differences: tuple[str, ...]
    archives: tuple[File, ...]
    files: tuple[File, ...]
    missing: str = ""


def chains(told: Told) -> list[Chain]:
    """Every cell of the run, in the order in which tables and figures print them."""
    results: dict[str, list[Step]] = {}
    trained = []
    for step in told.receipts:
        if step.rule == "train":
            trained.append(step.key)
        elif step.rule in _RESULT:
            results.setdefault(step.key, []).append(step)
    wanted = dict.fromkeys([*map(str, told.configuration.cells), *trained])
    return [_chain(told, Cell.parse(cell), results.get(cell, [])) for cell in wanted]


def dataset_facts(told: Told) -> list[DatasetFacts]:
    """Every dataset that a cell or a leakage table of the run needs."""
    return [_dataset(told, step) for step in told.receipts if step.rule in ("prepare", "phantom")]


def dataset_anchor(dataset: str) -> str:
    """The element of the page that describes a dataset at an image size."""
    return f"d-{dataset.replace('/', '.')}"


def _chain(told: Told, cell: Cell, measured: Iterable[Step]) -> Chain:
    train = told.steps.of("train", cell)
    receipt = told.receipt(train)
    named = [(_RESULT[step.rule], step) for step in measured]
    results = [_file(told, name, step.outputs[name]) for name, step in named]
    made = [_file(told, name, train.outputs[name]) for name in ("codes", "checkpoint", "facts")]
    read = [_file(told, name, path) for name, path in train.inputs.items()]
    own = [file for file in results if file.name == "record"] or results
    target = own[0].path if own else made[0].path
    return Chain(
        str(cell),
        cell_anchor(cell),
        tuple(results),
        (*made, *read),
        f"{cell.dataset}/{told.configuration.image_size(cell.paper)}",
        str(cell.source or ""),
        made_by(receipt),
        audit_command(Path(target)),
    )


def _file(told: Told, name: str, path: Path) -> File:
    return File(name, path.as_posix(), told.sha256(path) or NO_RECEIPT)


def made_by(receipt: Receipt | None) -> str:
    """Where and when a step ran, in words."""
    if receipt is None:
        return NO_RECEIPT
    parts = [
        receipt.get("started", ""),
        f"{receipt['seconds']:.1f} s" if "seconds" in receipt else "",
        f"on {device}" if (device := device_of(receipt)) != NO_DEVICE else "",
        f"commit {commit_of(receipt)}",
        f"Slurm job {job['id']}" if (job := receipt.get("slurm")) else "",
    ]
    return ", ".join(filter(None, parts))


def device_of(receipt: Receipt) -> str:
    """The device that a step names, a dash if it names none."""
    device = receipt.get("device")
    if isinstance(device, dict):
        return str(device.get("name", "unknown"))
    return str(device or NO_DEVICE)


def commit_of(receipt: Receipt) -> str:
    """The commit of the code, and whether it had changes that were not committed."""
    git = receipt.get("git") or {}
    if not git.get("commit"):
        return "unknown"
    return git["commit"][:12] + (" with changes" if git.get("dirty") else "")


def _dataset(told: Told, prepare: Step) -> DatasetFacts:
    files = [_file(told, key, path) for key, path in prepare.outputs.items()]
    splits = [s for s in told.receipts if s.rule == "split" and prepare in told.steps.makers(s)]
    files += [_file(told, "split", split.outputs["manifest"]) for split in splits]
    card = told.configuration.card(prepare.key.partition("/")[0])
    description = prepare.outputs["description"]
    facts = read_description(description) if description.is_file() else {}
    return DatasetFacts(
        prepare.key,
        dataset_anchor(prepare.key),
        card.title,
        card.synthetic,
        card.licence,
        ", ".join(f"{label} {count}" for label, count in facts.get("counts", {}).items()),
        tuple(facts.get("differences", ())),
        tuple(File(a["file"], a["source"], a["sha256"]) for a in facts.get("archives", ())),
        tuple(files),
        "" if facts else f"{description.as_posix()}: not made yet",
    )
