"""``medhash query`` on a cell that the command line itself trained."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from medhash.commands import app as cli
from medhash.errors import MedhashError

PROJECT = Path(__file__).resolve().parents[2]
CELL = "ach/phantom_covid_ct@scratch/hashnet/none/8/0"
FOLDER = f"results/tiny/ach/cells/{CELL.removeprefix('ach/')}"
DATA = "results/tiny/data/phantom_covid_ct/16"
TINY = {
    "title": "for tests",
    "phantoms": {"images": 40},
    "seeds": [0],
    "grid": {"papers": ["ach"], "bits": [8]},
    "settings": {
        "network": {"image_size": 16, "patch_size": 4, "width": 16, "depth": 1, "heads": 2},
        "hashing": {"epochs": 2, "batch_size": 16},
        "lcr": {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1], [2, 2]]},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "config", folder / "config")
    (folder / "config" / "scales" / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("prepare", "phantom_covid_ct")
        run("split", "phantom_covid_ct")
        run("train", CELL, "--device", "cpu")
    images = np.load(folder / DATA / "images.npy")
    Image.fromarray(images[0]).save(folder / "first.png")
    Image.fromarray(255 - images[0]).save(folder / "negative.bmp")
    return folder


@pytest.fixture(autouse=True)
def in_the_project(project, monkeypatch):
    monkeypatch.chdir(project)


def run(*arguments):
    options = [str(argument) for argument in arguments]
    result = CliRunner().invoke(cli.app, [*options, "--scale", "tiny"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def ask(*arguments):
    return run("query", *arguments, "--cell", CELL)


def test_a_file_is_answered_with_list_and_sheet():
    text = ask("first.png")
    sheet = Path(f"results/tiny/ach/queries/{CELL.removeprefix('ach/')}/first.png")
    assert text.startswith("Synthetic phantoms, not real images.\n")
    assert f"{CELL} (HashNet), scale tiny" in text
    assert "COVID/00000 (row 0, " in text
    assert text.endswith(f"Contact sheet: {sheet}\n")
    picture = Image.open(sheet)
    assert picture.format == "PNG"
    assert picture.width > 1500


def test_json_is_the_same_answer_every_time(tmp_path):
    sheets = tmp_path / "a.png", tmp_path / "b.png"
    first, second = (
        json.loads(ask("negative.bmp", "--json", "--top", "4", "--out", sheet)) for sheet in sheets
    )
    assert first.pop("sheet") == sheets[0].as_posix()
    assert second.pop("sheet") == sheets[1].as_posix()
    assert first == second
    assert sheets[0].read_bytes() == sheets[1].read_bytes()
    assert len(first["results"]) == 4
    assert [result["relevant"] for result in first["results"]] == [None] * 4
    assert first["cell"]["origin"] == "scratch"
    assert first["synthetic"] is True


def test_a_file_and_the_image_that_it_is_a_copy_of_get_the_same_list():
    by_file, by_id, by_row = (
        json.loads(ask(*arguments, "--json"))
        for arguments in (["first.png"], ["--image-id", "COVID/00000"], ["--image-id", "0"])
    )
    assert by_file["results"] == by_id["results"] == by_row["results"]
    assert by_file["query"]["image_ids"] == ["COVID/00000"]
    assert by_file["query"]["stored_code_distances"] == {"0": 0}
    assert by_id["sheet"].endswith("/COVID_00000.png")


def test_a_class_may_be_said_and_ties_stand_in_database_order():
    answer = json.loads(ask("negative.bmp", "--json", "--class", "NonCOVID", "--ties", "database"))
    assert answer["query"]["class_source"] == "command line"
    results = answer["results"]
    assert [r["relevant"] for r in results] == [r["classes"] == ["NonCOVID"] for r in results]
    assert results == sorted(results, key=lambda result: (result["distance"], result["row"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either an image file or --image-id"),
        (["first.png", "--image-id", "0"], "name either an image file or --image-id"),
        (["first.png", "--out", "sheet.pdf"], "must be the name of a .png file"),
        (["first.png", "--out", "./first.png"], "is the queried image itself"),
        (["second.png"], "second.png: no such image file"),
        (["config/config.yaml"], "it is no image in one of the formats"),
        (["first.png", "--class", "covid"], "unknown class 'covid'; did you mean 'COVID'"),
        (["first.png", "--ties", "both"], "unknown order 'both'"),
        (["first.png", "--top", "200"], "200 results are asked for; the database has"),
        (["--image-id", "COVID/99999"], "neither an image_id of"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(arguments, message):
    written = sorted(Path("results").rglob("*"))
    with pytest.raises(MedhashError, match=message):
        ask(*arguments)
    assert sorted(Path("results").rglob("*")) == written


def test_files_that_are_missing_are_named_together():
    with pytest.raises(MedhashError, match="files that are not here") as caught:
        run("query", "first.png", "--cell", "ach/phantom_thermal_ir/csq/none/8/0")
    text = str(caught.value)
    assert "results/tiny/data/phantom_thermal_ir/16/images.npy" in text
    assert "results/tiny/ach/splits/phantom_thermal_ir/0.csv" in text
    assert "results/tiny/ach/cells/phantom_thermal_ir/csq/none/8/0/checkpoint.safetensors" in text
    assert "`dvc pull FILE …`" in text
    assert "`snakemake --config scale=tiny -- FILE …`" in text


def test_only_the_missing_file_is_named(tmp_path):
    checkpoint = Path(FOLDER, "checkpoint.safetensors")
    shutil.move(checkpoint, tmp_path)
    try:
        with pytest.raises(MedhashError) as caught:
            ask("first.png")
    finally:
        shutil.move(tmp_path / checkpoint.name, checkpoint)
    named = [line for line in str(caught.value).splitlines() if line.startswith("  ")]
    assert named == [f"  {checkpoint}"]
