"""The confounder experiment and Table VIII in the configuration."""

from pathlib import Path

import pytest
import yaml

from medhash.configuration.loading import check_experiments, load
from medhash.errors import MedhashError
from medhash.papers.kinds import TABLES

STEM = "ach/confounding"


def edit(name, **changes):
    path = Path("config") / name
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def test_each_strength_is_a_dataset_of_its_own(config_path):
    edit("scales/demo.yaml", artefacts={})
    spec = load(config_path, {"scale": "demo"}).tables[STEM]
    assert spec.datasets[:2] == (
        "phantom_covid_radiograph~penetration-0",
        "phantom_covid_radiograph~penetration-0.25",
    )
    assert len(spec.datasets) == 2 * 5
    assert len(spec.cells()) == 10 * 6 * 4


def test_a_scale_thins_one_artefact(config_path):
    thinned = {
        "datasets": ["covid_ct"],
        "strengths": [0, 0.5],
        "methods": ["csq"],
        "variants": ["none", "lcr"],
        "seeds": [3, 4],
    }
    edit("scales/demo.yaml", artefacts={STEM: thinned})
    configuration = load(config_path, {"scale": "demo"})
    assert configuration.figures[STEM].cells() == configuration.tables[STEM].cells()
    table = configuration.tables[STEM]
    assert table.available_datasets == ("phantom_covid_ct~window-0", "phantom_covid_ct~window-0.5")
    assert {cell.seed for cell in table.cells()} == {3, 4}
    assert {cell.method for cell in table.cells()} == {"csq"}
    assert {cell.variant for cell in table.cells()} == {"none", "lcr"}
    others = [spec for stem, spec in configuration.artefacts.items() if stem != STEM]
    assert {cell.seed for spec in others for cell in spec.cells()} == {0}


def test_real_images_are_never_confounded(config_path):
    for scale in ("small", "paper"):
        configuration = load(config_path, {"scale": scale})
        assert STEM not in configuration.artefacts
        assert not any("~" in cell.dataset for cell in configuration.cells)


def test_a_confounded_dataset_has_card_settings_and_split(config_path):
    configuration = load(config_path, {"scale": "demo"})
    cell = configuration.tables[STEM].cells()[0]
    assert configuration.card(cell.dataset).split.rule == "official"
    assert configuration.settings_of(cell) == configuration.settings["ach"].shared
    assert configuration.split_of(cell).parts[-2:] == (cell.dataset, "0.csv")


def test_an_unknown_artefact_of_a_scale_is_refused(config_path):
    edit("scales/demo.yaml", artefacts={"ach/confoundin": {"seeds": [1]}})
    with pytest.raises(
        MedhashError, match=r"demo.yaml: artefacts: .*did you mean 'ach/confounding'"
    ):
        load(config_path, {"scale": "demo"})


def test_an_unknown_confounder_is_refused_before_any_job(config_path):
    check_experiments(load(config_path, {"scale": "demo"}))
    text = (config_path.parent / "papers/ach.yaml").read_text()
    (config_path.parent / "papers/ach.yaml").write_text(
        text.replace("covid_ct: window}", "covid_ct: windw}")
    )
    with pytest.raises(MedhashError, match=r"ach.yaml: confounding.confounders: .*'windw'"):
        check_experiments(load(config_path, {"scale": "demo"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strengths": ()}, "strengths"),
        ({"bits": (8, 16)}, "bits"),
        ({"confounders": {}}, "none is named for covid_ct"),
        ({"kind": "map"}, "confounders"),
        ({"strengths": (0, 0)}, "0.0 is listed twice"),
    ],
)
def test_a_wrong_experiment_is_refused(changes, message):
    values = {
        "kind": "confounding",
        "title": "x",
        "datasets": ["covid_ct"],
        "confounders": {"covid_ct": "window"},
        "strengths": (0, 1),
        "methods": ["csq"],
        "variants": ["none"],
        "bits": [8],
    }
    TABLES.read(values)
    with pytest.raises(ValueError, match=message):
        TABLES.read(values | changes)


def test_speed_is_measured_on_one_seed_and_needs_no_record(config_path):
    configuration = load(config_path, {"scale": "paper", "seeds": [4, 5]})
    table = configuration.tables["ach/table8"]
    assert {cell.seed for cell in table.cells()} == {4}
    files = table.inputs(configuration)
    assert {file.name for file in files} == {"speed.json"}
    assert {(cell.dataset, cell.bits) for cell in table.cells()} >= {("brain_tumor_mri", 32)}
    records = configuration.tables["ach/table3"].inputs(configuration)
    assert {file.name for file in records} == {"record.json"}
