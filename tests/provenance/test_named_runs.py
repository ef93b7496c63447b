"""Runs with a name of their own: what they refuse, borrow and leave alone."""

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from finished_tree import build, copy_of, medhash, working_in
from typer.testing import CliRunner

from medhash.commands.app import app
from medhash.configuration.loading import load
from medhash.configuration.runs import configuration_of_run, remembered
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow.receipts import Receipts
from medhash.flow.steps import Steps

SCALE = Path("results/synthetic")
CELL = "mini/phantom_covid_ct/hashnet/none/8/0"
TABLE = "mini/tables/table1"
ONE_EPOCH = ("--scale", "synthetic", "--set", "settings.hashing.epochs=1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("named") / "project"
    root.mkdir()
    with working_in(root):
        yield build(root, "synthetic")


@pytest.fixture
def tree(finished, tmp_path):
    """A copy in which the finished scale stays as it is to the byte and the time."""
    with copy_of(finished, tmp_path) as root:
        before = state_of(SCALE)
        yield root
        assert state_of(SCALE) == before


def state_of(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path: (sha256_of_file(path), path.stat().st_mtime_ns) for path in files}


def refused(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, MedhashError), result.output
    return str(result.exception)


def lines_of(run):
    with Path(f"results/{run}/{TABLE}.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def is_borrowed(path):
    """Whether a file of a named run leads to the scale's, by a way inside of the project."""
    return path.is_symlink() and not path.readlink().is_absolute() and path.exists()


@pytest.mark.parametrize(
    "choice",
    ["methods=[csq]", "variants=[none]", "bits=[12]", "seeds=[3]", "settings.hashing.epochs=1"],
)
def test_choices_that_are_not_the_scales_need_a_name(tree, choice):
    said = refused("table", "mini/table1", "--scale", "synthetic", "--set", choice)
    assert f"({choice.split('.')[0].split('=')[0]})" in said
    for words in ("--config run=mine", "medhash … --run mine", "run: mine in config/config.yaml"):
        assert words in said


def test_what_comes_to_the_scales_own_choices_needs_none(tree):
    lines = medhash("cells", "--scale", "synthetic", "--set", "bits=[8]")
    assert lines == medhash("cells", "--scale", "synthetic")


def test_a_table_of_less_is_made_beside_the_scales_and_trains_nothing(tree):
    own = ("--scale", "synthetic", "--set", "variants=[none]", "--run", "less")
    medhash("table", "mini/table1", *own)
    rows = lines_of("less")
    assert {row["variant"] for row in rows} == {"none"}
    assert {row["status"] for row in rows} == {"ran"}
    assert "scale synthetic, run less" in Path(f"results/less/{TABLE}.md").read_text()
    configuration = configuration_of_run("less")
    steps = Steps(configuration)
    receipts = Receipts(steps)
    needed = steps.needed_for(steps.find("table", "mini/table1").receipt)
    assert len(needed) == 7
    for step in needed:
        assert receipts.fits(step).ok
        assert all(is_borrowed(path) for path in step.files) == (step.rule != "table"), step


def test_what_a_run_can_borrow_is_done(tree):
    """A new run with the scale's own choices has all of it, before anything has run in it."""
    own, theirs = ("--scale", "synthetic", "--run", "same"), ("--scale", "synthetic")
    before, found = (json.loads(medhash("status", *each, "--json")) for each in (theirs, own))
    assert found["cells"] == before["cells"]
    assert found["cells"]["done"] > 0
    # What bears the name of its run is each run's own.
    told = medhash("restore", *own, status=1)
    assert "Not made yet: table 2, figure 1, report 1." in told


def test_only_what_is_others_is_made_again(tree):
    medhash("train", CELL, *ONE_EPOCH, "--run", "short")
    steps = Steps(configuration_of_run("short"))
    training = steps.find("train", CELL)
    assert not any(path.is_symlink() for path in training.files)
    assert all(is_borrowed(path) for path in training.inputs.values())
    theirs = Path(str(training.outputs["codes"]).replace("/short/", "/synthetic/"))
    assert theirs.read_bytes() != training.outputs["codes"].read_bytes()
    medhash("record", CELL, *ONE_EPOCH, "--run", "short")
    assert not steps.find("record", CELL).outputs["record"].is_symlink()


def test_what_a_run_makes_again_replaces_links_and_not_what_they_lead_to(tree):
    own = (*ONE_EPOCH, "--run", "short")
    medhash("train", CELL, *own)
    medhash("prepare", "phantom_covid_ct/16", *own)
    medhash("split", "mini/phantom_covid_ct", *own)
    steps = Steps(configuration_of_run("short"))
    made = steps.needed_for(steps.find("split", "mini/phantom_covid_ct/0").receipt)
    assert not any(path.is_symlink() for step in made for path in step.files)


def test_what_the_scale_did_not_leave_as_it_was_is_not_borrowed(finished, tmp_path):
    with copy_of(finished, tmp_path):
        codes = next(SCALE.rglob("codes.npz"))
        codes.write_bytes(codes.read_bytes() + b"x")
        medhash("table", "mini/table1", *("--scale", "synthetic", "--run", "same"))
        own = Path(str(codes).replace("/synthetic/", "/same/"))
        assert not own.exists()
        assert not (own.parent / "record.json").exists()
        assert len(list(Path("results/same").rglob("record.json"))) == 1


def test_a_name_alone_says_again_what_a_run_is(tree):
    medhash("prepare", "phantom_covid_ct/16", *ONE_EPOCH, "--run", "short")
    assert remembered("short")["settings"] == {"hashing": {"epochs": 1}}
    again = configuration_of_run("short")
    assert again.settings["mini"].shared.hashing.epochs == 1
    assert "run short" in medhash("show", "--run", "short")
    link = medhash("audit", f"results/short/{TABLE}.csv")
    assert "results/short" in link
    assert "of the run 'short', not 'synthetic'" in refused(
        "audit", f"results/short/{TABLE}.csv", "--scale", "synthetic"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("real", "the name of a scale"), ("Mine", "run"), ("a/b", "run"), ("..", "run")],
)
def test_a_name_is_a_folders_and_no_scales(tree, name, said):
    assert said in refused("cells", "--scale", "synthetic", "--run", name)
    assert not Path(f"results/{name}/run.yaml").exists()


def test_a_run_stays_at_its_scale(tree):
    medhash("prepare", "phantom_covid_ct/16", *ONE_EPOCH, "--run", "short")
    said = refused("split", "mini/covid_ct", "--scale", "real", "--run", "short")
    assert "is a run of the scale 'synthetic', not of 'real'" in said


def test_own_images_leave_the_scales_tables_alone(tree):
    folder = tree / "pictures"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree)
        for name in ("one", "two"):
            (folder / name).mkdir(parents=True)
        from PIL import Image

        for number in range(20):
            image = Image.new("RGB", (20, 20), (number * 9, 40, 90))
            image.save(folder / ("one", "two")[number % 2] / f"{number}.png")
        cards = yaml.safe_load(Path("config/datasets.yaml").read_text())
        cards["folder"]["path"] = "pictures"
        Path("config/datasets.yaml").write_text(yaml.safe_dump(cards))
        choice = ("--scale", "real", "--set", "datasets=[folder]")
        assert "run=mine" in refused("prepare", "folder", *choice)
        cell = "mini/folder/hashnet/none/8/0"
        for step in (
            *(("prepare", "folder"), ("split", "folder")),
            *(("pretrain", "folder", "--stage", stage) for stage in ("mae", "classification")),
            *(("train", cell), ("record", cell), ("table", "mini/table1")),
        ):
            medhash(*step, *choice, "--run", "pictures")
        assert not Path("results/real").exists()
        assert Path("results/pictures/data/folder/16/images.npy").is_file()
        assert "Own images" in Path(f"results/pictures/{TABLE}.md").read_text()


class TestCompare:
    @pytest.fixture
    def short(self, tree):
        medhash("train", CELL, *ONE_EPOCH, "--run", "short")
        medhash("record", CELL, *ONE_EPOCH, "--run", "short")
        medhash("table", "mini/table1", *ONE_EPOCH, "--run", "short")

    def test_values_and_choices_stand_side_by_side(self, short):
        text = medhash("compare", "synthetic", "short")
        line = next(line for line in text.splitlines() if "epochs" in line)
        assert line.split() == ["settings.mini.shared.hashing.epochs", "2", "1"]
        assert "mini/table1: 1 values in both" in text

    def test_each_value_is_that_of_its_file(self, short):
        rows = list(csv.DictReader(io.StringIO(medhash("compare", "synthetic", "short", "--csv"))))
        printed = {}
        for run in ("synthetic", "short"):
            for line in lines_of(run):
                ran = line["status"] == "ran"
                printed[run, line["row"]] = line["printed"].split()[0] if ran else ""
        assert [row["row"] for row in rows] == ["HashNet", "HashNet+DBW"]
        for row in rows:
            assert row["first"] == printed["synthetic", row["row"]]
            assert row["second"] == printed["short", row["row"]]
        own, missing = rows
        assert float(own["difference"]) == pytest.approx(float(own["second"]) - float(own["first"]))
        assert missing["difference"] == missing["second"] == ""

    def test_a_run_that_is_not_there_is_refused_with_the_nearest(self, short):
        assert "unknown run 'shrt'; did you mean 'short'?" in refused("compare", "real", "shrt")
        assert "have no table in common" in refused("compare", "real", "short")
        said = refused("compare", "synthetic", "short", "--table", "mini/table11")
        assert "unknown table of both runs 'mini/table11'" in said


def test_a_run_that_is_the_scales_own_has_no_other_behind_it(finished):
    with working_in(finished):
        assert load(overrides={"scale": "synthetic"}).of_scale is None
