"""Which steps a changed setting touches: exactly those that depend on it."""

from functools import cache
from pathlib import Path

import pytest

from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.flow.steps import Steps
from medhash.schema.cell import Cell

PROJECT = Path(__file__).resolve().parents[2]
CELLS = [
    Cell("phantom_covid_ct", method, variant, 8, 0)
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
        "split": of("split", dataset),
        "leakage": of("leakage", dataset),
        "mae": of("pretrain", dataset, "mae"),
        "classification": of("pretrain", dataset, "classification"),
        "record": of("record", CELLS[0]),
        "table": of("table", "ach_table3"),
        "figure": of("figure", "ach_fig7"),
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
        *("lesions", "table", "figure", "claims", "report"),
    }
    files = [path for step in every for path in step.files]
    assert len(files) == len(set(files))
    # Asked of a fresh object, so that nothing was made before.
    for step in every:
        for path in step.files:
            made = demo_again().making(path)
            assert (made.rule, made.key) == (step.rule, step.key)
    assert steps.making(PROJECT / "config/config.yaml") is None
    assert steps.making(Path("results/demo/cells/phantom_covid_ct/csq/none/8/0/other")) is None
    assert steps.making(Path("results/demo/splits/phantom_covid_ct/77.csv")) is None
    assert steps.making(Path("results/demo/tables/ach_table99.csv")) is None


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
    own, scratch = Cell(*names), Cell(*names, "scratch")
    tuned = Cell(*names, "phantom_covid_ct")
    assert steps.of("train", own).inputs["pretrained"].name == "classification.safetensors"
    assert "pretrained" not in steps.of("train", scratch).inputs
    source = steps.making(steps.of("train", tuned).inputs["pretrained"])
    assert (source.rule, source.key) == ("train", "phantom_covid_ct/hashnet/ach/8/0")
    needed = {(step.rule, step.key) for step in steps.needed_for(steps.of("train", tuned).receipt)}
    assert ("pretrain", "phantom_covid_ct/mae") in needed
    assert not [key for rule, key in needed if rule == "pretrain" and "brain" in key]


def test_a_table_reads_the_records_of_its_cells_and_nothing_else():
    configuration = load(PROJECT / "config/config.yaml", {"scale": "demo"})
    table = Steps(configuration).of("table", "ach_table3")
    cells = configuration.tables["ach_table3"].cells()
    assert set(table.inputs.values()) == {configuration.layout.record(cell) for cell in cells}


@pytest.mark.parametrize(
    ("rule", "key", "message"),
    [
        ("split", "phantom_covid_ct/5", "no step 'split phantom_covid_ct/5'"),
        ("prepare", "phantom_covid_ct", "no step 'prepare phantom_covid_ct'"),
        ("pretrain", "phantom_covid_ct/middle", "unknown stage 'middle'"),
        ("table", "ach_fig7", "unknown table 'ach_fig7'"),
        ("train", "phantom_covid_ct/csq", "no step 'train phantom_covid_ct/csq'"),
        ("bake", "phantom_covid_ct", "no step 'bake phantom_covid_ct'"),
    ],
)
def test_a_step_that_there_is_not_is_refused(rule, key, message):
    with pytest.raises(MedhashError, match=message):
        demo().find(rule, key)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "phantom_covid_ct/csq"), "expected dataset/method/variant/bits/seed"),
        (("train", "phantom_covid_ct/csk/none/8/0"), "unknown method 'csk'.*csq"),
        (("split", "phantom_covid"), "phantom_covid_ct"),
        (("prepare", "a/b"), "expected dataset, for example"),
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


def test_a_step_can_write_elsewhere(tmp_path):
    step = demo().of("train", CELLS[0])
    there = step.into(tmp_path)
    assert there.inputs == step.inputs
    assert there.version == step.version
    assert there.outputs == {name: tmp_path / path for name, path in step.outputs.items()}
    assert there.state.is_relative_to(tmp_path)
