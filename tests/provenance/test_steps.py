"""Which steps a changed setting touches: exactly those that depend on it."""

import re
from functools import cache
from pathlib import Path

import pytest

from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.flow.steps import Steps
from medhash.schema.cell import Cell

PROJECT = Path(__file__).resolve().parents[2]
CELLS = [
    Cell("ach", "phantom_covid_ct", method, variant, 8, 0)
    for method in ("csq", "adsh")
    for variant in ("none", "dbw", "lcr", "lfr", "dbw+lfr")
]


def demo(**settings):
    """The steps of the demo with some settings changed."""
    return Steps(load(PROJECT / "config/config.yaml", {"scale": "demo", "settings": settings}))


def versions(**settings):
    """Step -> version, of the demo with some settings changed."""
    of = demo(**settings).of
    dataset = "phantom_covid_ct"
    steps = {
        "phantom": of("prepare", dataset),
        "split": of("split", "ach", dataset),
        "leakage": of("leakage", "ach", dataset),
        "mae": of("pretrain", "ach", dataset, "mae"),
        "classification": of("pretrain", "ach", dataset, "classification"),
        "record": of("record", CELLS[0]),
        "table": of("table", "ach/table3"),
        "figure": of("figure", "ach/fig7"),
    }
    steps |= {f"{cell.method}/{cell.variant}": of("train", cell) for cell in CELLS}
    return {name: step.version for name, step in steps.items()}


ALL_CELLS = {f"{cell.method}/{cell.variant}" for cell in CELLS}
WITH_LESIONS = {name for name in ALL_CELLS if "lcr" in name or "lfr" in name}
WITH_DBW = {name for name in ALL_CELLS if "dbw" in name}


@pytest.mark.parametrize(
    ("settings", "touched"),
    [
        ({"hashing": {"epochs": 9}}, ALL_CELLS),
        ({"mae": {"epochs": 9}}, {"mae"}),
        ({"classification": {"epochs": 9}}, {"classification"}),
        ({"dbw": {"population": "batch"}}, WITH_DBW),
        ({"lcr": {"key_points": 2}}, WITH_LESIONS),
        ({"methods": {"csq": {"quantisation": 1.0}}}, {n for n in ALL_CELLS if "csq" in n}),
        ({"evaluation": {"cutoffs": [3]}}, {"record"}),
        ({"evaluation": {"protocol": "stable"}}, {"record", "table", "figure"}),
        ({"evaluation": {"selection": "best-query-map"}}, ALL_CELLS),
        ({"network": {"depth": 1}}, ALL_CELLS | {"mae", "classification"}),
        ({"network": {"image_size": 40}}, ALL_CELLS | {"mae", "classification", "phantom"}),
        ({"threads": 2}, ALL_CELLS | {"mae", "classification"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_setting_touches_what_depends_on_it(settings, touched):
    before, after = versions(), versions(**settings)
    assert {step for step in before if before[step] != after[step]} == touched


def test_every_step_is_found_by_each_of_its_files_and_by_its_receipt():
    steps = demo()
    every = steps.all()
    assert {step.rule for step in every} == {
        *("phantom", "split", "leakage", "pretrain", "train", "record", "explain", "fps"),
        *("lesions", "pointing", "table", "figure", "claims", "report"),
    }
    files = [path for step in every for path in step.files]
    assert len(files) == len(set(files))
    # Asked of a fresh object, so that nothing was made before.
    for step in every:
        for path in step.files:
            made = demo_again().making(path)
            assert (made.rule, made.key) == (step.rule, step.key)
    assert steps.making(PROJECT / "config/config.yaml") is None
    assert steps.making(Path("results/demo/ach/cells/phantom_covid_ct/csq/none/8/0/other")) is None
    assert steps.making(Path("results/demo/ach/splits/phantom_covid_ct/77.csv")) is None
    assert steps.making(Path("results/demo/ach/tables/table99.csv")) is None


@cache
def demo_again():
    return demo()


def test_steps_come_after_what_they_read():
    steps = demo()
    done = set()
    for step in steps.all():
        read = [path for path in step.inputs.values() if path.is_relative_to("results")]
        assert all(path in done for path in read), step
        done.update(step.files)


def test_what_a_cell_starts_from_is_an_input_of_its_training():
    steps = demo()
    names = ("phantom_brain_tumor_mri", "hashnet", "ach", 8, 0)
    own, scratch = Cell("ach", *names), Cell("ach", *names, "scratch")
    tuned = Cell("ach", *names, "phantom_covid_ct")
    assert steps.of("train", own).inputs["pretrained"].name == "classification.safetensors"
    assert "pretrained" not in steps.of("train", scratch).inputs
    source = steps.making(steps.of("train", tuned).inputs["pretrained"])
    assert (source.rule, source.key) == ("train", "ach/phantom_covid_ct/hashnet/ach/8/0")
    needed = {(step.rule, step.key) for step in steps.needed_for(steps.of("train", tuned).receipt)}
    assert ("pretrain", "ach/phantom_covid_ct/mae") in needed
    assert not [key for rule, key in needed if rule == "pretrain" and "brain" in key]


def test_a_table_reads_the_records_of_its_cells_and_nothing_else():
    configuration = load(PROJECT / "config/config.yaml", {"scale": "demo"})
    table = Steps(configuration).of("table", "ach/table3")
    cells = configuration.tables["ach/table3"].cells()
    assert set(table.inputs.values()) == {configuration.layout.record(cell) for cell in cells}


@pytest.mark.parametrize(
    ("rule", "key", "message"),
    [
        ("split", "ach/phantom_covid_ct/5", "no step 'split ach/phantom_covid_ct/5'"),
        ("prepare", "phantom_covid_ct/32", "no step 'prepare phantom_covid_ct/32'"),
        ("pretrain", "ach/phantom_covid_ct/middle", "unknown stage 'middle'"),
        ("table", "ach/fig7", "unknown table 'ach/fig7'"),
        ("train", "ach/phantom_covid_ct/csq", "no step 'train ach/phantom_covid_ct/csq'"),
        ("bake", "phantom_covid_ct", "no step 'bake phantom_covid_ct'"),
    ],
)
def test_a_step_that_there_is_not_is_refused(rule, key, message):
    with pytest.raises(MedhashError, match=message):
        demo().find(rule, key)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "ach/phantom_covid_ct/csq"), "expected paper/dataset/method/variant/bits/seed"),
        (("split", "phantom_covid"), "phantom_covid_ct"),
        (("split", "other/phantom_covid_ct"), "unknown paper 'other'"),
        (("prepare", "phantom_covid_ct/33"), "unknown image size '33'"),
        (("table", "table3"), r"expected PAPER/TABLE\. Such as ach/table3"),
    ],
)
def test_what_is_typed_is_looked_up(arguments, message):
    with pytest.raises(MedhashError, match=message):
        demo().of(*arguments)


def test_a_step_is_typed_as_it_is_found():
    steps = demo()
    for step in steps.all():
        name, *given = step.arguments.replace(" --stage ", "/").split()
        assert steps.of(name, *given) is step


def test_what_a_run_has_one_of_may_be_left_out():
    steps = demo()
    assert steps.of("prepare", "phantom_covid_ct").key == "phantom_covid_ct/32"
    assert steps.of("split", "phantom_covid_ct").key == "ach/phantom_covid_ct/0"
    assert steps.of("pretrain", "phantom_covid_ct", "mae").key == "ach/phantom_covid_ct/mae"


def test_a_step_can_write_elsewhere(tmp_path):
    step = demo().of("train", CELLS[0])
    there = step.into(tmp_path)
    assert there.inputs == step.inputs
    assert there.version == step.version
    assert there.outputs == {name: tmp_path / path for name, path in step.outputs.items()}
    assert there.state.is_relative_to(tmp_path)


def test_a_search_with_patches_reads_what_marks_or_finds_them(tmp_path, monkeypatch):
    cell = Cell("ach", "phantom_covid_ct", "adsh", "none", 8, 0)

    def step(**lesions):
        overrides = {"scale": "demo", "lesions": lesions}
        return Steps(load(PROJECT / "config/config.yaml", overrides)).of("lesions", cell)

    monkeypatch.chdir(tmp_path)
    masks = Path("results/demo/data/phantom_covid_ct/32/masks.npy")
    assert step().inputs["masks"] == masks
    found = step(source="found")
    finder = Path("results/demo/ach/cells/phantom_covid_ct/adsh/ach/8/0/checkpoint.safetensors")
    assert found.inputs["finder_checkpoint"] == finder
    assert "masks" not in found.inputs
    either = step(source="given-or-found")
    assert {"masks", "finder_codes"} <= either.inputs.keys()
    boxes = tmp_path / "config/lesions/phantom_covid_ct.csv"
    boxes.parent.mkdir(parents=True)
    boxes.write_text("image_id,top,left,height,width\n")
    drawn = step()
    assert drawn.inputs["boxes"] == Path("config/lesions/phantom_covid_ct.csv")
    assert "masks" not in drawn.inputs
    assert "finder_codes" not in step(source="given-or-found").inputs
    boxes.unlink()
    versions = {each.version for each in (step(), step(seed=1), found, either, drawn)}
    assert len(versions) == 5


def claims_step(**overrides):
    return Steps(load(PROJECT / "config/config.yaml", {"scale": "small"} | overrides)).of("claims")


def test_claims_read_the_files_of_this_run_and_depend_on_what_they_print():
    step = claims_step()
    assert Path("results/small/ach/cells/covid_ct/dsh/ach/8/0/record.json") in step.inputs.values()
    assert (
        Path("results/small/ach/cells/covid_ct/dsh/ach/16/0/record.json")
        not in step.inputs.values()
    )
    assert claims_step(bits=[8]).version != step.version
    assert claims_step(settings={"evaluation": {"protocol": "stable"}}).version != step.version
    assert claims_step(settings={"hashing": {"epochs": 11}}).version == step.version


def test_on_phantoms_claims_read_nothing_and_depend_on_no_setting():
    step = claims_step(scale="demo")
    assert step.inputs == {}
    other = {"evaluation": {"protocol": "stable"}}
    assert claims_step(scale="demo", settings=other, bits=[16]).version == step.version


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("ach/phantom_covid_ct/cqs/ach/8/0", "unknown method 'cqs'; did you mean 'csq'?"),
        ("ach/phantom_covid_ct/csq/ahc/8/0", "unknown variant 'ahc'; did you mean 'ach'?"),
        ("ach/phantom_covid_tc/csq/ach/8/0", "unknown dataset 'phantom_covid_tc'"),
    ],
)
def test_a_cell_of_unknown_names_is_refused_with_the_nearest(key, message):
    with pytest.raises(MedhashError, match=re.escape(message)):
        demo().find("train", key)
    assert demo().making(Path(f"results/demo/ach/cells/{key}/codes.npz")) is None


@pytest.mark.parametrize(
    ("cell", "file"), [("crow/none/64/0", "descriptors"), ("itq/none/64/0", "codes")]
)
def test_training_writes_codes_or_descriptors_by_its_method(cell, file):
    choice = {"scale": "demo", "papers": ["ynet"]}
    steps = Steps(load(PROJECT / "config/config.yaml", choice))
    step = steps.of("train", f"ynet/phantom_covid_ct/{cell}")
    path = Path(f"results/demo/ynet/cells/phantom_covid_ct/{cell}/{file}.npz")
    assert step.outputs["codes"] == path
    assert steps.making(path) is step
    assert steps.of("record", f"ynet/phantom_covid_ct/{cell}").inputs["codes"] == path
    first = {"crow": "vgg16_bn", "itq": None}[cell.split("/")[0]]
    makers = {maker.rule: maker for maker in steps.makers(step)}
    assert ("gist" in makers) == (first is None)
    if first:
        assert makers["pretrain"].values == ("ynet", "phantom_covid_ct", first)
        assert "previous" not in makers["pretrain"].inputs
        assert makers["pretrain"].epochs == 8
