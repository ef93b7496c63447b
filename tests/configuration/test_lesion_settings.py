"""Settings of lesion patches: what they lead to, and what is refused."""

import shutil
from pathlib import Path

import pytest

from medhash.configuration import dependencies
from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.papers.reported import find_reported
from medhash.schema.cell import Cell

PROJECT = Path(__file__).resolve().parents[2]


def configured(root=PROJECT, scale="demo", **lesions):
    return load(root / "config/config.yaml", {"scale": scale, "lesions": lesions})


def test_table_and_figure_are_made_from_the_searches_of_their_cells():
    configuration = configured()
    table, figure = configuration.tables["ach/lesions"], configuration.figures["ach/fig9"]
    searches = [configuration.layout.lesions(cell) for cell in table.cells()]
    assert table.inputs(configuration) == searches
    files = figure.inputs(configuration)
    assert set(searches) <= set(files)
    assert {configuration.layout.lesion_patches(cell) for cell in figure.cells()} <= set(files)
    whole_images = figure.model_copy(update={"queries": "images"})
    assert not set(searches) & set(whole_images.inputs(configuration))


def test_one_variant_finds_the_patches_of_all_variants_of_a_method():
    baseline = Cell("ach", "covid_ct", "adsh", "none", 8, 3)
    assert configured().finder_of(baseline) == Cell("ach", "covid_ct", "adsh", "ach", 8, 3)
    assert configured(finder="lcr").finder_of(baseline).variant == "lcr"


@pytest.mark.parametrize(
    ("lesions", "message"),
    [
        ({"finder": "acj"}, "lesions.finder: unknown variant 'acj'; did you mean 'ach'?"),
        ({"source": "guessed"}, "lesions.source: 'guessed' must be 'given', 'found' or"),
        ({"per_class": 0}, "lesions.per_class: 0 must be at least 1"),
        ({"seeds": 1}, "unknown key 'lesions.seeds'; did you mean 'seed'?"),
    ],
)
def test_a_wrong_setting_is_one_message(lesions, message):
    with pytest.raises(MedhashError) as error:
        configured(**lesions)
    assert message in str(error.value)


def test_boxes_of_no_dataset_are_refused(tmp_path):
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    boxes = tmp_path / "config/lesions"
    boxes.mkdir(exist_ok=True)
    (boxes / "covid_ct.csv").write_text("image_id,top,left,height,width\n")
    configured(tmp_path)
    (boxes / "covid_cct.csv").write_text("image_id,top,left,height,width\n")
    with pytest.raises(MedhashError, match=r"covid_cct\.csv: .*did you mean 'covid_ct'"):
        configured(tmp_path)


def test_the_table_depends_on_what_the_papers_text_says(monkeypatch):
    monkeypatch.chdir(PROJECT)
    spec, reported = configured(scale="small").tables["ach/lesions"], find_reported("ach")
    printed = dependencies.reported(spec, reported)["reported"]
    assert printed["precision"] == {"COVID-19 Radiograph": "63.00", "COVID-CT-Dataset": "52.00"}
    changed = reported.lesions.model_copy(update={"gain": {}})
    other = dependencies.reported(spec, reported.model_copy(update={"lesions": changed}))
    assert other["reported"] != printed
    assert dependencies.reported(spec, None) == {}
