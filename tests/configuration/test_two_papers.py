"""Two papers on one dataset, at other image sizes and splits, in one run."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from medhash.commands.app import app
from medhash.configuration.known_cells import known_size, known_view
from medhash.configuration.loading import load
from medhash.data.splits.manifest import read_split
from medhash.errors import MedhashError

DATASET = "covid_ct"
PHANTOM = f"phantom_{DATASET}"


@pytest.fixture
def both(config_path):
    """Configured with the papers ``ach`` and ``other``, which differ in size and split."""
    tree = yaml.safe_load(Path("config/papers/ach.yaml").read_text())
    tree["paper"] = "other"
    tree["settings"]["network"]["image_size"] = 256
    tree["splits"] = {DATASET: {"rule": "random", "query": 0.5}}
    del tree["tables"]["leakage"], tree["figures"]["leakage"]  # of splits that it has no more

    def configured(**changes):
        Path("config/papers/other.yaml").write_text(yaml.safe_dump(tree | changes))
        overrides = {"scale": "phantomsonly"}
        return load(config_path, overrides)

    scale = {
        "title": "phantoms, the papers' own settings",
        "phantoms": {"images": 40},
        "grid": {"papers": ["ach", "other"], "datasets": [DATASET]},
    }
    Path("config/scales/phantomsonly.yaml").write_text(yaml.safe_dump(scale))
    return configured


def test_each_paper_has_its_size_and_its_split(both):
    configuration = both()
    clean = ("ach", f"{PHANTOM}+clean")
    assert configuration.views == [("ach", PHANTOM), ("other", PHANTOM), clean]
    sizes = {paper: configuration.data_for(paper, PHANTOM).name for paper in configuration.papers}
    assert sizes == {"ach": "128", "other": "256"}
    queries = [configuration.card_for(paper, PHANTOM).split.query for paper in sizes]
    assert queries == [149, 0.5]
    # What the card counts belongs to the card's own split.
    real = configuration.card_for("other", DATASET)
    assert (real.reported_counts, real.split.query) == ({}, 0.5)
    assert configuration.card_for("ach", DATASET).reported_counts["query"] == 149


def test_a_choice_of_datasets_is_for_each_paper_that_has_them(both, config_path):
    nothing = {"tables": {}, "figures": {}, "splits": {}, "ablations": {}}
    both(datasets={"thermal_ir": "Thermal images"}, **nothing)
    chosen = {"scale": "phantomsonly", "run": "mine", "datasets": [DATASET]}
    assert load(config_path, chosen).datasets == {"ach": (PHANTOM,), "other": ()}


def test_a_confounded_phantom_is_split_as_it_was_generated(both):
    name = f"{PHANTOM}~window-0.5"
    assert both().card_for("other", name).split.rule == "official"


def test_the_cells_of_two_papers_lie_side_by_side(both):
    configuration = both()
    first, second = (configuration.tables[f"{paper}/table3"] for paper in ("ach", "other"))
    pairs = list(zip(first.cells(), second.cells(), strict=True))
    assert pairs
    for one, other in pairs:
        assert one.coordinates == other.coordinates
        folders = [configuration.layout.cell(cell).as_posix() for cell in (one, other)]
        root = "results/phantomsonly"
        assert folders == [f"{root}/{p}/cells/{one.coordinates}" for p in ("ach", "other")]
        assert configuration.settings_of(one).network.image_size == 128
        assert configuration.settings_of(other).network.image_size == 256
    assert set(configuration.cells) >= {*first.cells(), *second.cells()}


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({DATASET: {"rule": "random", "query": 746}}, "splits.covid_ct: split.query 746 leaves"),
        ({DATASET: {"rule": "radnom"}}, "splits.covid_ct.rule"),
        ({"covid_tc": {"rule": "official"}}, "splits: unknown dataset 'covid_tc'; did you mean"),
    ],
)
def test_a_papers_split_is_checked_as_a_cards(both, splits, message):
    with pytest.raises(MedhashError, match=r"papers/other\.yaml: " + re.escape(message)):
        both(splits=splits)


def test_a_listed_split_is_found_from_the_projects_folder(both):
    configuration = both(splits={DATASET: {"rule": "listed", "file": "my/split.csv"}})
    assert configuration.listed_split("other", PHANTOM) == [Path("my/split.csv")]
    assert configuration.listed_split("ach", PHANTOM) == []


def test_a_paper_is_not_called_as_another_folder_of_a_run(config_path):
    tree = yaml.safe_load(Path("config/papers/ach.yaml").read_text()) | {"paper": "data"}
    Path("config/papers/data.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(MedhashError, match="'data' is a folder of every run"):
        load(config_path, {"papers": ["data"]})


def test_names_on_a_command_line_say_what_is_not_clear(both, config_path):
    configuration = both()
    assert known_view(configuration, f"other/{PHANTOM}") == ("other", PHANTOM)
    assert known_size(configuration, f"{PHANTOM}/256") == (PHANTOM, 256)
    alone = load(config_path, {"scale": "demo"})
    assert known_view(alone, PHANTOM) == ("ach", PHANTOM)
    assert known_size(alone, PHANTOM) == (PHANTOM, 32)
    for look_up, name, said in (
        (known_view, PHANTOM, f"which paper's? Say ach/{PHANTOM} or other/{PHANTOM}"),
        (known_view, f"othr/{PHANTOM}", "unknown paper 'othr'; did you mean 'other'?"),
        (known_view, "ach/covid_tc", "'covid_tc'"),
        (known_size, PHANTOM, f"at which image size? Say {PHANTOM}/128 or {PHANTOM}/256"),
        (known_size, f"{PHANTOM}/65", "unknown image size '65'"),
    ):
        with pytest.raises(MedhashError, match=re.escape(said)):
            look_up(configuration, name)


def test_one_run_holds_both_sizes_and_both_splits(both):
    configuration = both()
    options = ["--scale", configuration.scale, "--set", "papers=[ach,other]"]
    for command in (
        *(["prepare", f"{PHANTOM}/{size}"] for size in (128, 256)),
        *(["split", f"{paper}/{PHANTOM}"] for paper in ("ach", "other")),
    ):
        result = CliRunner().invoke(app, [*command, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    root = Path("results/phantomsonly")
    for paper, size, queries in (("ach", 128, 8), ("other", 256, 20)):
        images = np.load(root / f"data/{PHANTOM}/{size}/images.npy", mmap_mode="r")
        assert images.shape == (40, size, size, 3)
        manifest = read_split(root / f"{paper}/splits/{PHANTOM}/0.csv")
        assert (manifest["role"] == "query").sum() == queries
