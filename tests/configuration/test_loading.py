import re
from itertools import product

import pytest
import yaml

from medhash.configuration import dependencies
from medhash.configuration.loading import check_method_settings, load
from medhash.errors import MedhashError
from medhash.papers.paper import PHANTOM_PREFIX
from medhash.schema.cell import Cell
from medhash.schema.variants import split_variant


def edit(path, **changes):
    """Set top-level keys of a YAML file."""
    tree = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(tree | changes, sort_keys=False))


def scale(config_path, name="demo"):
    return config_path.parent / "scales" / f"{name}.yaml"


def paper(config_path, name="ach"):
    return config_path.parent / "papers" / f"{name}.yaml"


def write_paper(config_path, name, **changes):
    tree = yaml.safe_load(paper(config_path).read_text())
    paper(config_path, name).write_text(yaml.safe_dump(tree | {"paper": name} | changes))


BAD_SETTINGS = [
    # key and value of config.yaml, and what the message must name
    ({"metods": ["csq"]}, ["unknown key 'metods'", "did you mean 'methods'"]),
    ({"scale": "smal"}, ["scale", "'smal'", "did you mean 'small'"]),
    ({"papers": ["acj"]}, ["papers", "'acj'", "did you mean 'ach'"]),
    ({"papers": []}, ["papers", "the list is empty; null keeps"]),
    ({"methods": ["hashnett"]}, ["methods", "'hashnett'", "did you mean 'hashnet'"]),
    ({"variants": ["achh"]}, ["variants", "'achh'", "did you mean 'ach'"]),
    ({"datasets": ["covid_tc"]}, ["datasets", "'covid_tc'", "did you mean 'covid_ct'"]),
    ({"datasets": []}, ["datasets", "empty"]),
    ({"bits": [0]}, ["bits.0", "0 must be at least 1"]),
    ({"bits": [8, 7.5]}, ["bits.1", "7.5 must be a whole number"]),
    ({"bits": [True]}, ["bits.0", "True must be a whole number"]),
    ({"bits": ["8"]}, ["bits.0", "'8' must be a whole number"]),
    ({"bits": [8, 8]}, ["bits", "8 is listed twice"]),
    ({"bits": 8}, ["bits", "8 must be a list"]),
    ({"seeds": [0, 1, 0]}, ["seeds", "0 is listed twice"]),
    ({"seeds": [-1]}, ["seeds.0", "-1 must be at least 0"]),
    ({"download": "perhaps"}, ["download", "'perhaps' must be true or false"]),
    ({"settings": 3}, ["settings", "3 must be keys and values"]),
    (
        {"settings": {"hashing": {"epochs": -1}}},
        ["settings.hashing.epochs", "-1 must be at least 1"],
    ),
    (
        {"settings": {"hashing": {"epoch": 5}}},
        ["unknown key 'settings.hashing.epoch'", "did you mean 'epochs'"],
    ),
    (
        {"settings": {"hashng": {"epochs": 5}}},
        ["unknown key 'settings.hashng'", "did you mean 'hashing'"],
    ),
    (
        {"settings": {"mae": {"augmentation": {"flips": 0.5}}}},
        ["unknown key 'settings.mae.augmentation.flips'", "did you mean 'flip'"],
    ),
    (
        {"settings": {"hashing": {"learning_rate": 0}}},
        ["settings.hashing.learning_rate", "0 must be greater than 0"],
    ),
    (
        {"settings": {"evaluation": {"protocol": "stabel"}}},
        ["settings.evaluation.protocol", "'stabel'", "did you mean 'stable'"],
    ),
    (
        {"settings": {"methods": {"csqq": {}}}},
        ["settings.methods", "unknown method 'csqq'", "did you mean 'csq'"],
    ),
    (
        {"settings": {"network": {"image_size": 30}}},
        ["settings.network", "30 is not a multiple of patch_size"],
    ),
]


@pytest.mark.parametrize(("changes", "named"), BAD_SETTINGS)
def test_bad_values_in_the_file_are_one_line(config_path, changes, named):
    edit(config_path, **({"scale": "demo"} | changes))
    with pytest.raises(MedhashError) as caught:
        load(config_path)
    message = str(caught.value)
    assert message.startswith("config/config.yaml: ")
    assert len(message.splitlines()) == 1
    assert "pydantic" not in message
    for text in named:
        assert text in message


@pytest.mark.parametrize(("changes", "named"), BAD_SETTINGS)
def test_bad_values_on_the_command_line_say_so(config_path, changes, named):
    if changes == {"bits": ["8"]}:
        pytest.skip("text on a command line is read as YAML, so this is the number 8")
    with pytest.raises(MedhashError) as caught:
        load(config_path, {"scale": "demo"} | changes)
    message = str(caught.value)
    assert message.startswith("command line: ")
    for text in named:
        assert text in message


def test_several_bad_values_are_all_named(config_path):
    edit(config_path, bits=[0], seeds=[0, 0])
    with pytest.raises(MedhashError) as caught:
        load(config_path, {"metods": ["csq"]})
    assert sorted(str(caught.value).splitlines()) == [
        "command line: unknown key 'metods'; did you mean 'methods'?",
        "config/config.yaml: bits.0: 0 must be at least 1",
        "config/config.yaml: seeds: 0 is listed twice",
    ]


def test_a_bad_value_of_a_scale_names_its_file(config_path):
    edit(scale(config_path), settings={"hashing": {"epochs": 0}})
    with pytest.raises(MedhashError, match=r"^config/scales/demo\.yaml: settings\.hashing\.epochs"):
        load(config_path, {"scale": "demo"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sseeds": [0]}, "unknown key 'sseeds'; did you mean 'seeds'"),
        ({"grid": {"bit": [8]}}, "unknown key 'grid.bit'; did you mean 'bits'"),
        ({"grid": {"bits": [8, 8]}}, "grid.bits: 8 is listed twice"),
        ({"grid": {"methods": ["cqs"]}}, "grid.methods: unknown method 'cqs'; did you mean 'csq'"),
        ({"phantoms": {"images": 0}}, "phantoms.images: 0 must be at least 1"),
        (
            {"phantoms": {"images": 9, "images_of": {"nih_chestxray": 9}}},
            "phantoms.images_of: unknown dataset 'nih_chestxray'; did you mean 'nih_chestxray14'",
        ),
        ({"seeds": []}, "seeds: .* must have at least 1 value"),
    ],
)
def test_a_bad_scale_names_its_file(config_path, changes, message):
    edit(scale(config_path), **changes)
    with pytest.raises(MedhashError, match=rf"^config/scales/demo\.yaml: (?:{message})"):
        load(config_path, {"scale": "demo"})


def table(**changes):
    usual = {
        "kind": "map",
        "title": "t",
        "datasets": ["covid_ct"],
        "methods": ["csq"],
        "variants": ["none"],
        "bits": [8],
    }
    merged = usual | changes
    return {"tables": {"t1": {key: value for key, value in merged.items() if value is not None}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (table(methods=["cqs"]), "tables.t1.methods: unknown method 'cqs'; did you mean 'csq'"),
        (
            table(variants=["lccr"]),
            "tables.t1.variants: unknown variant 'lccr'; did you mean 'lcr'",
        ),
        (table(datasets=["jsrt"]), "tables.t1.datasets: unknown dataset 'jsrt'"),
        (table(bits=[8, 8]), "tables.t1.bits: 8 is listed twice"),
        (table(kind="mpa"), "tables.t1: unknown kind 'mpa'; did you mean 'map'"),
        (table(variants=None), "the key 'tables.t1.variants' is missing"),
        (table(kind="wilcoxon", variants=None), "the key 'tables.t1.compare' is missing"),
        (
            table(kind="wilcoxon", compare=["ach", "none"]),
            "tables.t1.variants: does not belong here; this kind takes pairs",
        ),
        (table(title=None), "the key 'tables.t1.title' is missing"),
        (
            {"datasets": {"covid": "C"}},
            "datasets: unknown dataset 'covid'; did you mean 'covid_ct'",
        ),
        ({"variants": {"non": ""}}, "variants: unknown variant 'non'; did you mean 'none'"),
        ({"paper": "ahc"}, "paper: 'ahc' must be the file's name, 'ach'"),
    ],
)
def test_a_bad_paper_names_its_file(config_path, changes, message):
    edit(paper(config_path), **changes)
    with pytest.raises(MedhashError, match=rf"^config/papers/ach\.yaml: {message}"):
        load(config_path)


def test_a_setting_that_a_paper_must_give_is_missed(config_path):
    edit(paper(config_path), settings={"hashing": {"epochs": 1, "learning_rate": 0.1}})
    with pytest.raises(MedhashError, match=r"papers/ach\.yaml.*has no settings of mae"):
        load(config_path, {"scale": "paper"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("just text", "expected keys and values, found str"),
        ("- 1", "expected keys and values, found list"),
        ("scale: demo\nscale: small", "the key 'scale' occurs twice"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(config_path, text, message):
    config_path.write_text(text)
    with pytest.raises(MedhashError, match=rf"^config/config\.yaml: (?s:.*){message}"):
        load(config_path)


def test_a_bad_value_is_blamed_on_the_file_that_set_it(config_path):
    edit(config_path, settings={"hashing": {"epochs": -1}})
    with pytest.raises(MedhashError, match=r"^config/config\.yaml: settings\.hashing\.epochs: -1"):
        load(config_path, {"settings": {"hashing": {"batch_size": 8}}})


def test_without_the_file_the_message_says_where_to_go(config_path):
    config_path.unlink()
    with pytest.raises(MedhashError, match=r"config/config\.yaml: no such file; run this in"):
        load(config_path)


def test_later_layers_win_key_by_key(config_path):
    edit(config_path, settings={"hashing": {"epochs": 7}})
    edit(scale(config_path), settings={"hashing": {"epochs": 5, "batch_size": 16}})
    overrides = {"scale": "demo", "settings": {"mae": {"epochs": 9}}}
    with_override = load(config_path, overrides).settings["ach"].shared
    assert with_override.hashing.epochs == 7  # config.yaml over the scale
    assert with_override.hashing.batch_size == 16  # the scale over the paper
    assert with_override.hashing.weight_decay == 0.05  # the paper
    assert with_override.mae.epochs == 9  # the command line over all


def test_numbers_arrive_from_snakemake_as_text(config_path):
    # what Snakemake makes of --config 'bits=[8,16]' 'settings={hashing: {learning_rate: 1e-3}}'
    overrides = {
        "scale": "demo",
        "bits": ["8", "16"],
        "settings": {"hashing": {"learning_rate": "1e-3"}},
    }
    configuration = load(config_path, overrides)
    assert {cell.bits for cell in configuration.cells} == {8, 16}
    assert configuration.settings["ach"].shared.hashing.learning_rate == 0.001


def test_the_cells_of_the_paper_scale_are_the_papers_grid(config_path):
    spec = yaml.safe_load(paper(config_path).read_text())["tables"]["table3"]
    axes = product(spec["datasets"], spec["methods"], spec["variants"], spec["bits"], [0])
    configuration = load(config_path, {"scale": "paper"})
    assert configuration.tables["ach/table3"].cells() == [Cell("ach", *axis) for axis in axes]
    assert set(configuration.cells) >= set(configuration.tables["ach/table4"].cells())
    assert len(configuration.cells) == len(set(configuration.cells))


def test_phantoms_stand_in_for_every_dataset(config_path):
    configuration = load(config_path, {"scale": "demo"})
    assert all(name.startswith(PHANTOM_PREFIX) for _, name in configuration.views)
    assert all(cell.dataset.startswith(PHANTOM_PREFIX) for cell in configuration.cells)
    assert len(configuration.views) == 4 + 1  # and one other split
    title = configuration.papers["ach"].dataset_title("phantom_covid_ct")
    assert title == "Phantom of COVID-CT-Dataset"


def test_a_scale_may_give_one_phantom_other_images(config_path):
    edit(scale(config_path), phantoms={"images": 60, "images_of": {"covid_ct": 90}})
    configuration = load(config_path, {"scale": "demo"})
    made = {
        name: dependencies.phantom(configuration.card(name), 16, configuration.required_phantoms())
        for name in ("phantom_covid_ct", "phantom_covid_radiograph")
    }
    assert [(each["images"], each["seed"]) for each in made.values()] == [(90, 0), (60, 0)]


@pytest.mark.parametrize("name", ["covid_ct", "phantom_covid_ct"])
def test_the_users_datasets_restrict_but_keep_the_columns(config_path, name):
    spec = load(config_path, {"scale": "demo", "datasets": [name]}).tables["ach/table3"]
    assert spec.datasets == ("phantom_covid_radiograph", "phantom_covid_ct")
    assert {cell.dataset for cell in spec.cells()} == {"phantom_covid_ct"}


def test_a_scale_restricts_datasets_unless_the_user_names_them(config_path):
    small = load(config_path, {"scale": "small"})
    compared = small.tables["ach/table3"].cells()
    assert {cell.dataset for cell in compared} == {"covid_ct"}
    assert small.datasets["ach"] == ("covid_ct", "brain_tumor_mri")
    asked = load(config_path, {"scale": "small", "datasets": ["covid_radiograph"]})
    assert {cell.dataset for cell in asked.cells} == {"covid_radiograph"}


def test_a_dataset_of_ones_own_becomes_a_column(config_path):
    chosen = {"papers": ["ach"], "datasets": ["covid_ct", "folder"]}
    configuration = load(config_path, {"scale": "small"} | chosen)
    spec = configuration.tables["ach/table3"]
    assert spec.datasets == ("covid_radiograph", "covid_ct", "folder")
    assert {cell.dataset for cell in spec.cells()} == {"covid_ct", "folder"}
    assert configuration.datasets["ach"] == ("covid_ct", "folder")
    assert configuration.papers["ach"].dataset_title("folder") == "Own images"


@pytest.mark.parametrize(
    ("scale_name", "dataset"), [("demo", "folder"), ("small", "phantom_covid_ct")]
)
def test_phantoms_and_real_images_never_mix(config_path, scale_name, dataset):
    with pytest.raises(MedhashError, match=f"'{dataset}' cannot run at the scale '{scale_name}'"):
        load(config_path, {"scale": scale_name, "datasets": [dataset]})


def test_the_users_lists_replace_the_papers(config_path):
    overrides = {"methods": ["adsh"], "variants": ["lfr", "none"], "bits": [12], "seeds": [3, 4]}
    spec = load(config_path, {"scale": "demo"} | overrides).tables["ach/table3"]
    assert spec.methods == ("adsh",)
    assert spec.variants == ("lfr", "none")
    assert spec.bits == (12,)
    assert {cell.seed for cell in spec.cells()} == {3, 4}


def test_what_is_compared_is_not_trained_if_the_user_left_it_out(config_path):
    configuration = load(config_path, {"scale": "demo", "variants": ["none", "dbw"]})
    assert "ach/table4" not in configuration.tables
    bases = {split_variant(cell.variant)[0] for cell in configuration.cells}
    assert bases == {"none", "dbw"}


def test_a_dataset_is_trained_on_as_the_scale_says_its_phantom_and_its_splits_too(config_path):
    there = {"classification": {"epochs": 3}, "hashing": {"epochs": 2}}
    edit(scale(config_path), papers={"ach": {"datasets": {"covid_ct": there}}})
    configuration = load(config_path, {"scale": "demo"})

    def epochs(dataset, origin=""):
        cell = Cell("ach", dataset, "dsh", "ach~window-6", 8, 0, origin)
        stage = configuration.stage_settings("ach", dataset, "classification")
        return configuration.settings_of(cell).hashing.epochs, stage.classification.epochs

    other = epochs("phantom_covid_radiograph")
    assert other == epochs("phantom_brain_tumor_mri", "phantom_covid_ct") != (2, 3)
    assert epochs("phantom_covid_ct") == epochs("phantom_covid_ct+clean") == (2, 3)


def test_a_scale_thins_lists_and_drops_what_has_nothing_left(config_path):
    edit(
        scale(config_path), grid={"papers": ["ach"], "bits": [16, 24], "variants": ["none", "dbw"]}
    )
    configuration = load(config_path, {"scale": "demo"})
    assert configuration.tables["ach/table3"].bits == (16, 24)
    assert configuration.tables["ach/table3"].variants == ("none", "dbw")
    drawn = {spec.paper for spec in configuration.figures.values()}
    assert "ach" not in drawn  # its figures are drawn at 8 bits
    assert "ach/table4" not in configuration.tables  # it compares ach, which is left out


def test_every_cell_uses_its_datasets_one_split(config_path):
    cards = config_path.parent / "datasets.yaml"
    tree = yaml.safe_load(cards.read_text())
    tree["covid_ct"]["split"]["seed"] = 5
    cards.write_text(yaml.safe_dump(tree))
    configuration = load(config_path, {"scale": "small", "seeds": [0, 1]})
    cells = configuration.tables["ach/table3"].cells()
    splits = {configuration.split_of(cell).as_posix() for cell in cells}
    assert splits == {"results/small/ach/splits/covid_ct/5.csv"}


def test_hyperparameters_of_methods_are_checked_on_demand(config_path):
    good = load(config_path, {"scale": "demo", "settings": {"methods": {"csq": {}}}})
    check_method_settings(good)
    bad = load(
        config_path, {"scale": "demo", "settings": {"methods": {"adsh": {"quantization": 1}}}}
    )
    expected = re.escape(
        "unknown key 'settings.methods.adsh.quantization'; did you mean 'quantisation'"
    )
    with pytest.raises(MedhashError, match=expected):
        check_method_settings(bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hashnet": {"alpha": 0}}, "ablations.other .*hashnet.alpha: 0 must be greater than 0"),
        ({"dbdh": {"pair": "batch"}}, "unknown key .*dbdh.pair'; did you mean 'pairs'"),
        ({"hashned": {"alpha": 0.1}}, "unknown method 'hashned'; did you mean 'hashnet'"),
    ],
)
def test_hyperparameters_of_an_ablation_are_checked_with_them(change, message, config_path):
    path = config_path.parent / "papers" / "ach.yaml"
    paper = yaml.safe_load(path.read_text())
    paper["ablations"]["other"] = {"methods": change}
    path.write_text(yaml.safe_dump(paper))
    own = {"methods": {"hashnet": {"sharpness": 5.0}}}
    configuration = load(config_path, {"scale": "demo", "papers": ["ach"], "settings": own})
    with pytest.raises(MedhashError, match=message):
        check_method_settings(configuration)


def test_archives_named_in_vain_are_refused_only_when_needed(config_path, monkeypatch):
    monkeypatch.setenv("MEDHASH_ARCHIVES", "/no/such/folder")
    configuration = load(config_path)
    with pytest.raises(MedhashError, match="MEDHASH_ARCHIVES: no such folder: /no/such/folder"):
        _ = configuration.archive_folders
