"""Damaged files of a finished run: every command that reads one refuses it in one sentence."""

from __future__ import annotations

import json
import subprocess
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
from click.testing import Result
from damage import (
    ANY,
    Damage,
    cut,
    damages_of,
    flipped,
    not_utf8,
    other_root,
    other_type,
)
from finished_tree import PAPER, build, command, working_in
from typer.testing import CliRunner

from medhash.commands.app import app
from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow.plan import Plan
from medhash.flow.receipts import Receipts, seal_of
from medhash.flow.steps import Step, Steps

pytestmark = pytest.mark.xdist_group("damage")

SEED = 20
# Of all ways that a kind of file can be damaged in, and of all damages: every one takes an hour.
WAYS = 3
SHARE_AUDITED = 0.5
CELL = "mini/covid_ct/csq/ach/8/0"


def paper_with_every_kind_of_file():
    """Beside records: measured speed, searches with lesions, explanations."""
    paper = deepcopy(PAPER)
    paper["variants"]["ach"] = "+ACH"
    what = {"title": "t", "datasets": ["covid_ct"], "methods": ["csq"], "variants": ["ach"]}
    what |= {"bits": [8]}
    paper["tables"]["table3"] = what | {"kind": "fps"}
    paper["tables"]["table4"] = what | {"kind": "lesion_retrieval"}
    paper["figures"]["fig2"] = what | {"kind": "salient_maps", "examples": 1}
    paper["figures"]["fig3"] = what | {"kind": "lesions", "examples": 1}
    paper["figures"]["fig4"] = what | {"kind": "tsne"}
    paper["figures"]["fig5"] = what | {"kind": "retrieved", "queries": "lesions", "examples": 1}
    return paper


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("damaged")) as root:
        yield build(root, "real", paper=paper_with_every_kind_of_file())


@pytest.fixture(scope="module")
def steps(tree):
    return Steps(load(overrides={"scale": "real"}))


def test_a_damaged_file_is_refused_by_all_that_reads_it(steps, record_property):
    """Every kind of file in every way; the receipts say what it was."""
    told = Told()
    for path, damage, random in damages(steps, SEED):
        maker = steps.making(path)
        made = path if path != maker.receipt else next(iter(maker.outputs.values()))
        with damaged(path, damage(path.read_bytes(), random)):
            case = f"{damage.__name__} {path}"
            again = Plan(steps, Receipts(steps), [made, maker.receipt]).running
            assert maker in again, f"{case}: would not be made again"
            readers = readers_of(steps, path)
            if readers:
                told.add(case, medhash(*command(random.choice(readers))), path)
            if random.random() < SHARE_AUDITED:
                told.add(case, medhash("audit", made.as_posix()), None)
            else:
                told.look(case, random)  # which may make a report again
    told.report(record_property)
    assert told.cases >= 100


def test_nothing_ends_in_a_traceback_where_receipts_fit_the_damage(steps, record_property):
    """As if another medhash had written such files: what is inside is refused, or used."""
    told = Told()
    for path, damage, random in damages(steps, SEED + 1):
        maker = steps.making(path)
        if path == maker.receipt:
            continue
        case = f"{damage.__name__} {path}"
        with (
            damaged(path, damage(path.read_bytes(), random)),
            damaged(maker.receipt, sealed(maker)),
        ):
            readers = [step for step in readers_of(steps, path) if not step.kind.trains]
            if readers:
                told.look_at(case, command(random.choice(readers)))
            if random.random() < SHARE_AUDITED:
                told.look_at(case, ["audit", path.as_posix()])
            else:
                told.look(case, random)
    told.report(record_property)


@pytest.mark.parametrize("command_line", [("cells",), ("status",), ("prepare", "covid_ct/16")])
def test_damaged_configuration_and_archives_end_in_no_traceback(
    tree, command_line, record_property
):
    told, random = Told(), Random(SEED)
    files = ["config.yaml", "datasets.yaml", "papers/mini.yaml", "papers/claims/mini.yaml"]
    paths = [Path("config") / file for file in [*files, "scales/real.yaml"]]
    paths += sorted(Path("data/archives").iterdir())
    for path in paths:
        for damage in (*ANY, not_utf8):
            with damaged(path, damage(path.read_bytes(), random)):
                told.look_at(f"{damage.__name__} {path}", command_line)
    told.report(record_property)
    assert told.cases == 28


def test_a_damaged_memory_changes_nothing(tree):
    before, random = medhash("cells").stdout, Random(SEED)
    for path in random.sample(sorted(Path(".cache/medhash").rglob("*.json")), 6):
        for damage in (cut, not_utf8, other_root, other_type):
            with damaged(path, damage(path.read_bytes(), random)):
                assert medhash("cells").stdout == before, f"{damage.__name__} {path}"


@pytest.mark.parametrize("file", ["data/covid_ct/16/index.csv", f"mini/cells/{CELL[5:]}/codes.npz"])
def test_a_query_refuses_a_file_that_its_receipt_does_not_know(tree, file):
    path = Path("results/real") / file
    with damaged(path, flipped(path.read_bytes(), Random(SEED))):
        result = medhash("query", "--cell", CELL, "--image-id", "3")
    assert isinstance(result.exception, MedhashError)
    assert path.name in str(result.exception)
    assert "make it again: medhash" in str(result.exception)


def test_the_next_run_of_a_step_removes_what_a_killed_one_left(tree):
    process = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    left = Path(f"results/real/data/covid_ct/.16.{int(process.stdout):x}-0123abcd.part")
    left.mkdir()
    (left / "images.npy").write_bytes(b"half")
    assert medhash("prepare", "covid_ct/16").exit_code == 0
    assert not left.exists()


class Told:
    """What came of commands, and how many damages there were."""

    LOOKS = (("status",), ("restore",), ("report",), ("query", "--cell", CELL, "--image-id", "3"))

    def __init__(self):
        self.counts = Counter()
        self.seen = set()
        self.wrong = []

    @property
    def cases(self):
        return len(self.seen)

    def add(self, case, result, path):
        """A command that must refuse; one that reads the file itself must name it."""
        self.look_at(case, None, result)
        named = path is None or path.name in str(result.exception)
        if result.exit_code == 0 or not named:
            self.wrong.append(f"{case}: accepted silently")

    def look(self, case, random):
        """A command that may or may not mind."""
        self.look_at(case, random.choice(self.LOOKS))

    def look_at(self, case, arguments, result=None):
        result = result or medhash(*arguments)
        self.seen.add(case)
        self.counts["refused" if result.exit_code else "not concerned"] += 1
        if not isinstance(result.exception, MedhashError | SystemExit | None):
            frames = "".join(traceback.format_exception(result.exception)[-3:])
            self.wrong.append(f"{case}: {arguments or ''} {frames}")

    def report(self, record_property):
        counts = ", ".join(f"{number} {what}" for what, number in sorted(self.counts.items()))
        text = f"{self.cases} damaged files; of the commands that met them: {counts}"
        record_property("report", f"{text}, {len(self.wrong)} wrong")
        assert not self.wrong, "\n".join(self.wrong)


def damages(steps: Steps, seed: int) -> Iterator[tuple[Path, Damage, Random]]:
    """Of each kind of file one, chosen anew for each way in which it can be damaged."""
    kinds: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for step in steps.all():
        for name, path in step.outputs.items():
            kinds[step.rule, name].append(path)
        kinds[step.rule, "receipt"].append(step.receipt)
    random = Random(seed)
    for paths in kinds.values():
        ways = damages_of(paths[0])
        for damage in random.sample(ways, min(WAYS, len(ways))):
            path = random.choice([each for each in paths if each.stat().st_size])
            yield path, damage, random


@contextmanager
def damaged(path: Path, content: bytes) -> Iterator[None]:
    """Inside of this a file is another one; afterwards all is as before, whatever was written."""
    kept = {each: each.read_bytes() for each in Path("results").rglob("*") if each.is_file()}
    kept[path] = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        for each in set(Path("results").rglob("*")) - kept.keys():
            if each.is_file():
                each.unlink()
        for each, before in kept.items():
            if not each.is_file() or each.read_bytes() != before:
                each.write_bytes(before)


def sealed(step: Step) -> bytes:
    """The receipt of a step as if its outputs had always been what they are."""
    receipt = json.loads(step.receipt.read_bytes())
    for file in receipt["outputs"].values():
        file["sha256"] = sha256_of_file(Path(file["path"]))
    return json.dumps(receipt | {"seal": seal_of(receipt)}).encode()


def medhash(*arguments: str) -> Result:
    """A command in this process, as Snakemake or a person would start it."""
    return CliRunner().invoke(app, [*arguments, "--scale", "real"])


def readers_of(steps: Steps, path: Path) -> list[Step]:
    """The steps that read a file; those behind a step read its receipt, too."""
    maker = steps.making(path)
    if maker is not None and path == maker.receipt:
        return [step for step in steps.all() if maker in steps.makers(step)]
    return [step for step in steps.all() if path in step.inputs.values()]
