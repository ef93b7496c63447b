"""What methods and backbones say of themselves decides which cells there can be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from medhash import methods
from medhash.configuration.declarations import declaration_of, has_patch_tokens, network_problem
from medhash.configuration.known_cells import known_cell
from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.models import backbones
from medhash.schema.settings import NetworkSettings, VitSettings

PROJECT = Path(__file__).resolve().parents[2]


def test_they_are_what_the_classes_say():
    for name in methods.names():
        declared, found = methods.method_class(name), declaration_of(name)
        assert found.plugs == declared.plugs
        assert (found.family, found.start) == (declared.family, declared.start)
    assert {kind: has_patch_tokens(kind) for kind in ("vit", "alexnet")} == {
        "vit": True,
        "alexnet": False,
    }
    assert all(backbones.backbone_class(kind).__name__ == "Backbone" for kind in backbones.kinds())


def test_torch_is_imported_once_for_them_and_not_again(tmp_path):
    program = (
        "import sys\n"
        "from medhash.configuration.declarations import declaration_of, has_patch_tokens\n"
        "print(declaration_of('osdh').start, has_patch_tokens('vit'), 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    runs = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    runs = [run.stdout.split() for run in runs]
    assert runs == [["scratch", "True", "True"], ["scratch", "True", "False"]]


def test_what_is_remembered_in_another_form_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    declaration_of.cache_clear()
    told = declaration_of("osdh")
    (entry,) = tmp_path.glob(".cache/medhash/declarations/*.json")
    whole = entry.read_text()
    for other in ('["relaxed"]', "null", "{}"):
        known = json.loads(whole) | {"value": json.loads(other)}
        entry.write_text(json.dumps(known))
        declaration_of.cache_clear()
        assert declaration_of("osdh") == told
        assert entry.read_text() == whole


ALEXNET = {"network": {"kind": "alexnet", "image_size": 227}}


@pytest.mark.parametrize(
    ("own", "cell", "message"),
    [
        ({}, "covid_ct/osdh/ach/8/0", r"'osdh' on the backbone 'vit' does not take lcr \(it takes"),
        ({}, "covid_ct/osdh/lfr/8/0", r"does not take lfr .*leave out the variant 'lfr'"),
        (
            {"csq": ALEXNET | {"start": "scratch"}},
            "covid_ct/csq/lcr/8/0",
            "'csq' on the backbone 'alexnet' does not take lcr",
        ),
        ({"csq": ALEXNET}, "covid_ct/csq/none/8/0", "network of its own; set start: scratch"),
        (
            {"transhash": ALEXNET},
            "covid_ct/transhash/none/8/0",
            "stands on the backbone 'vit', not on 'alexnet'",
        ),
    ],
)
def test_a_cell_that_cannot_be_is_refused(own, cell, message, config_path):
    scale = config_path.with_name("scales") / "paper.yaml"
    tree = yaml.safe_load(scale.read_text()) | {"papers": {"ach": {"methods": own}}}
    tree["settings"] |= {"stored_size": 256}
    scale.write_text(yaml.safe_dump(tree))
    with pytest.raises(MedhashError, match=message):
        known_cell(load(config_path, {"scale": "paper"}), f"ach/{cell}")


@pytest.mark.parametrize(
    ("scale", "cell", "message"),
    [
        (
            *("paper", "ynet/covid_ct/ynet/none/64/0"),
            r"'ynet' needs masks, and the dataset 'covid_ct' has none; leave out one of them "
            r"\(with masks: origa_fundus, jsrt\)",
        ),
        ("paper", "ynet/origa_fundus/deep_vision_solo/none/3072/0", "cannot run: SOLO with its"),
        ("demo", "ynet/phantom_covid_ct/ynet/none/64/0", ""),
        ("paper", "ynet/covid_ct/ynet_no_fpn/none/64/0", ""),
    ],
)
def test_what_a_method_needs_is_known_when_the_configuration_is_loaded(scale, cell, message):
    chosen = {"scale": scale, "papers": ["ynet"], "run": "x"}
    configuration = load(PROJECT / "config/config.yaml", chosen)
    if not message:
        assert str(known_cell(configuration, cell)) == cell
        return
    with pytest.raises(MedhashError, match=message):
        known_cell(configuration, cell)


def test_a_grid_that_needs_masks_is_refused_where_there_are_none():
    own = {"scale": "small", "papers": ["ynet"], "run": "x", "methods": ["deep_vision_solo"]}
    settings = {"methods": {"deep_vision_solo": {"detector": "faster-rcnn"}}}
    with pytest.raises(MedhashError, match="otherlosses: the method 'deep_vision_solo' needs mask"):
        load(PROJECT / "config/config.yaml", own | {"settings": settings})


LEAST = {"alexnet": 67, "dsh": 8, "multi_scale": 16, "resnet50": 32, "vgg16_bn": 32}


@pytest.mark.parametrize("kind", backbones.kinds())
def test_too_small_an_image_is_refused_for_every_backbone(kind):
    least = LEAST.get(kind, LEAST["resnet50"])
    if kind == "vit":
        assert network_problem(VitSettings(image_size=32)) == ""
        return
    for size in (least, least - 4):
        problem = network_problem(NetworkSettings(kind=kind, image_size=size))
        assert ("network.image_size" in problem) == (size < least), problem


def test_what_alexnet_needs_the_demo_gives():
    own = {"scale": "demo", "papers": ["ynet"], "run": "x"}
    small = own | {"settings": {"network": {"kind": "alexnet", "image_size": 64}}}
    for method in ("dpsh", "dtsh"):
        cell = f"ynet/phantom_origa_fundus/{method}/none/64/0"
        assert str(known_cell(load(PROJECT / "config/config.yaml", own), cell)) == cell
        with pytest.raises(MedhashError, match=r"'alexnet': .*image_size: 64 must be at least 67"):
            known_cell(load(PROJECT / "config/config.yaml", small), cell)


def test_an_ablation_that_a_cell_does_not_read_is_refused(config_path):
    changes = {
        "keep": ({"lcr": {"other_classes": "keep"}}, "csq/ach", "csq/lfr"),
        "sum": ({"lcr": {"share": "sum"}}, "csq/lcr", "csq/ach"),
        "batch": ({"dbw": {"population": "batch"}}, "csq/dbw", "csq/lcr"),
        "alpha": ({"methods": {"hashnet": {"alpha": 0.1}}}, "hashnet/none", "csq/none"),
    }
    path = config_path.with_name("papers") / "ach.yaml"
    paper = yaml.safe_load(path.read_text())
    paper["ablations"] |= {name: change for name, (change, *_) in changes.items()}
    path.write_text(yaml.safe_dump(paper))
    configuration = load(config_path, {"scale": "paper", "papers": ["ach"]})
    for name, (_, reads_it, does_not) in changes.items():
        known_cell(configuration, f"ach/covid_ct/{reads_it}~{name}/8/0")
        with pytest.raises(MedhashError, match=f"none of the settings of the ablation '{name}'"):
            known_cell(configuration, f"ach/covid_ct/{does_not}~{name}/8/0")


def test_what_fits_is_not_refused():
    configuration = load(PROJECT / "config/config.yaml", {"scale": "demo"})
    for cell in ("ach/phantom_covid_ct/osdh/dbw/8/0", "ach/phantom_covid_ct/csq/ach~window-8/8/0"):
        assert str(known_cell(configuration, cell)) == cell


def test_a_grid_with_such_a_cell_is_refused_as_it_is_loaded():
    with pytest.raises(MedhashError, match=r"ach\.yaml: table3: the method 'osdh'.*'lcr'"):
        load(PROJECT / "config/config.yaml", {"scale": "demo", "methods": ["osdh"]})
