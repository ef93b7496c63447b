"""What adding costs, on real examples: a file each, found by its name, and no other edit.

The examples are copied into one project; Snakemake then runs them all.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-adding")]

PROJECT = Path(__file__).resolve().parents[2]
ADDED = {
    "toy_backbone.py": "src/medhash/models/backbones/toy.py",
    "toy_method.py": "src/medhash/methods/toy.py",
    "toy_descriptor.py": "src/medhash/methods/mean_feature.py",
    "toy_fitted.py": "src/medhash/methods/random_hyperplanes.py",
    "toy_step/kind.py": "src/medhash/flow/kinds/brightness.py",
    "toy_step/work.py": "src/medhash/data/brightness.py",
}
METHODS = ["toy", "mean_feature", "random_hyperplanes"]
PAPER = {
    "paper": "toys",
    "title": "Toys of every family",
    "datasets": {"covid_ct": "COVID-CT"},
    "methods": {name: {"title": name} for name in METHODS},
    "variants": {"none": ""},
    "settings": {
        "network": {"kind": "toy", "image_size": 32},
        "hashing": {"epochs": 1, "learning_rate": 1e-3},
        "start": "scratch",
    },
    "tables": {
        "table1": {
            "kind": "scores",
            "title": "Three families",
            "datasets": ["covid_ct"],
            "methods": METHODS,
            "variants": ["none"],
            "lengths": dict.fromkeys(METHODS, 8),
            "measures": ["map"],
        }
    },
}
RUN = ["--profile", "demo", "--config", "run=toys", "papers=[toys]"]
FOLDER = "results/toys"
TABLE = f"{FOLDER}/toys/tables/table1.csv"
BRIGHTNESS = f"{FOLDER}/data/phantom_covid_ct/32/brightness.csv"
LINES = {"toy_backbone.py": 60, "toy_method.py": 40, "toy_descriptor.py": 40, "toy_fitted.py": 50}


@pytest.fixture(scope="module")
def run(copy_project):
    tree = copy_project()
    for example, place in ADDED.items():
        shutil.copy(PROJECT / "examples" / example, tree.path(place))
    tree.path("config/papers/toys.yaml").write_text(yaml.safe_dump(PAPER, sort_keys=False))
    tree.edit_yaml("config/scales/demo.yaml", {"phantoms": {"images": 48}})
    result = tree.snakemake(*RUN, "--", TABLE, BRIGHTNESS)
    assert result.returncode == 0, result.stdout
    return tree


def test_a_method_of_each_family_is_a_file(run):
    table = pd.read_csv(run.path(TABLE), dtype=str).set_index("method")
    assert table.loc[METHODS, "printed"].str.fullmatch(r"\d+\.\d+").all()
    cells = run.path(f"{FOLDER}/toys/cells/phantom_covid_ct")
    assert (cells / "mean_feature/none/8/0/descriptors.npz").is_file()
    for method in ("toy", "random_hyperplanes"):
        assert (cells / method / "none/8/0/codes.npz").is_file()
    for method in METHODS:
        record = json.loads((cells / method / "none/8/0/record.json").read_bytes())
        assert 0 < record["metrics"]["map"] <= 1


def test_a_backbone_is_a_file_and_only_its_cells_depend_on_it(run):
    receipts = run.path(f"{FOLDER}/receipts")
    modules = {
        method: json.loads(path.read_bytes())["code"]["modules"]
        for method in METHODS
        for path in receipts.glob(f"train*/toys/phantom_covid_ct/{method}/none/8/0.json")
    }
    assert {m for m in METHODS if "medhash.models.backbones.toy" in modules[m]} == {
        "toy",
        "mean_feature",
    }
    assert not any("medhash.models.backbones.vgg16_bn" in names for names in modules.values())


def test_a_step_is_its_description_and_the_module_that_does_the_work(run):
    lines = run.path(BRIGHTNESS).read_text().splitlines()
    assert len(lines) == 1 + 48
    receipt = run.path(f"{FOLDER}/receipts/brightness/phantom_covid_ct/32.json")
    assert json.loads(receipt.read_bytes())["outputs"]["brightness"]["sha256"]
    assert "brightness" in run.medhash("--help").stdout
    run.path(BRIGHTNESS).unlink()
    assert run.planned(*RUN, "--", BRIGHTNESS) == {"brightness": 1}
    typed = run.medhash("brightness", "phantom_covid_ct/32", "--scale", "demo", "--run", "toys")
    assert typed.returncode == 0, typed.stdout
    assert run.path(BRIGHTNESS).read_text().splitlines() == lines


def test_nothing_else_was_edited(run):
    copied = {str(p.relative_to(run.root)) for p in run.path("src").rglob("*.py")}
    own = {str(p.relative_to(PROJECT)) for p in (PROJECT / "src").rglob("*.py")}
    assert copied - own == set(ADDED.values())
    for name in copied & own:
        assert run.path(name).read_bytes() == (PROJECT / name).read_bytes()


@pytest.mark.parametrize("example", LINES)
def test_the_examples_are_short(example):
    text = (PROJECT / "examples" / example).read_text()
    assert len(text.splitlines()) <= LINES[example]
