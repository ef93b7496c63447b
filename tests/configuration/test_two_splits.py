"""Another split of a dataset beside the paper's own, in one paper and one run."""

import pytest
import yaml

from medhash.configuration.known_cells import known_cell, known_view
from medhash.configuration.loading import load
from medhash.errors import MedhashError

PAPER = "config/papers/ach.yaml"
CLEAN = "phantom_covid_ct+clean"


@pytest.fixture
def demo(config_path):
    return load(config_path, {"scale": "demo"})


def changed(config_path, change):
    """The configuration after a change of the paper's file."""
    path = config_path.parent.parent / PAPER
    tree = yaml.safe_load(path.read_text())
    change(tree)
    path.write_text(yaml.safe_dump(tree))
    return load(config_path, {"scale": "small"})


def test_both_splits_have_one_folder_of_images_and_two_of_all_else(demo):
    names = "phantom_covid_ct", CLEAN
    assert len({demo.data_for("ach", name) for name in names}) == 1
    assert len({demo.split_for("ach", name) for name in names}) == 2
    weights = {demo.layout.pretrained("ach", name, "mae") for name in names}
    assert len(weights) == 2
    rules = [demo.card_for("ach", name).split for name in names]
    assert [rule.group_by for rule in rules] == [None, ("patient_id",)]
    assert demo.card_for("ach", CLEAN).reported_counts == {}


def test_a_split_that_tables_need_is_a_view_of_the_run(demo):
    assert ("ach", CLEAN) in demo.views
    assert CLEAN not in demo.datasets["ach"]
    assert ("ach", "phantom_brain_tumor_mri+clean") not in demo.views


def test_it_is_called_by_its_name(demo):
    title = "Phantom of COVID-CT-Dataset, clean split"
    assert demo.papers["ach"].dataset_title(CLEAN) == title
    assert demo.card(CLEAN).title == title


def test_its_cells_can_be_named_on_a_command_line(demo):
    cell = known_cell(demo, f"ach/{CLEAN}/csq/none/8/0")
    assert cell in demo.cells
    assert known_view(demo, f"ach/{CLEAN}") == ("ach", CLEAN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("phantom_covid_ct+cleen", "unknown split 'covid_ct+cleen'; did you mean 'covid_ct+clean'"),
        ("phantom_covid_tc+clean", "dataset 'phantom_covid_tc' is not in"),
    ],
)
def test_an_unknown_split_is_refused_by_name(demo, name, message):
    with pytest.raises(MedhashError, match="did you mean") as refused:
        known_cell(demo, f"ach/{name}/csq/none/8/0")
    assert message in str(refused.value)
    with pytest.raises(MedhashError, match="did you mean"):
        known_view(demo, f"ach/{name}")


def test_a_table_names_splits_that_the_paper_has(config_path):
    def change(tree):
        tree["tables"]["table3"]["datasets"] = ["covid_ct", "covid_ct+patients"]

    message = r"tables\.table3\.datasets: unknown .*covid_ct\+patients"
    with pytest.raises(MedhashError, match=message):
        changed(config_path, change)


def test_any_table_can_have_a_split_as_a_column(config_path):
    def change(tree):
        tree["tables"]["table3"]["datasets"] = ["covid_ct", "covid_ct+clean"]

    configuration = changed(config_path, change)
    table = configuration.tables["ach/table3"]
    assert table.available_datasets == ("covid_ct", "covid_ct+clean")
    assert len(table.cells()) == 2 * 6 * 4 * 2


def test_a_split_of_no_dataset_is_refused(config_path):
    with pytest.raises(MedhashError, match="splits: unknown dataset 'covid_tc'"):
        changed(config_path, lambda tree: tree["splits"].update({"covid_tc+x": {"query": 1}}))
