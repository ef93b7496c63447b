"""Settings of a paper, a method, a scale and the run: which wins, and for which network."""

from __future__ import annotations

from pathlib import Path

import pytest

from medhash.configuration.layered_settings import PaperSettings, resolve_settings
from medhash.configuration.scales import ScaleFile
from medhash.errors import MedhashError
from medhash.papers.paper import Paper

PATH, SCALE_PATH = Path("config/papers/p.yaml"), Path("config/scales/s.yaml")
STAGE = {"epochs": 9, "learning_rate": 1e-3}
VIT = {"image_size": 32, "patch_size": 8, "width": 8, "depth": 1, "heads": 1}
ALEXNET = {"kind": "alexnet", "image_size": 227}
LCR = {"window": [2, 2], "segment": [2, 2], "mask_scales": [[1, 1]]}


def resolve(settings=(), own=(), scale=(), run=()) -> PaperSettings:
    base = {"network": VIT, "mae": STAGE, "classification": STAGE, "hashing": STAGE, "lcr": LCR}
    paper = Paper.model_validate(
        {
            "paper": "p",
            "title": "P",
            "datasets": {"covid_ct": "CT", "jsrt": "JSRT"},
            "variants": {},
            "methods": {"osdh": {"title": "OSDH", "settings": dict(own)}, "csq": {"title": "CSQ"}},
            "settings": base | dict(settings),
        }
    )
    scale_file = ScaleFile.model_validate({"title": "s"} | dict(scale))
    layers = [(dict(run), "command line")] if run else []
    return resolve_settings(paper, PATH, scale_file, SCALE_PATH, layers)


def epochs(settings: PaperSettings, method: str = "osdh", on: str = "covid_ct") -> int:
    return settings.on(on).of(method).hashing.epochs


def test_later_layers_win():
    own = {"hashing": {"epochs": 1}}
    assert epochs(resolve()) == 9
    assert epochs(resolve(own=own)) == 1
    assert epochs(resolve(own=own), "csq") == 9
    scale = {"settings": {"hashing": {"epochs": 2}}}
    assert epochs(resolve(own=own, scale=scale)) == 2
    scale |= {"papers": {"p": {"settings": {"hashing": {"epochs": 3}}}}}
    assert epochs(resolve(own=own, scale=scale)) == 3
    assert epochs(resolve(own=own, scale=scale), "csq") == 3
    scale["papers"]["p"]["methods"] = {"osdh": {"hashing": {"epochs": 4}}}
    assert epochs(resolve(own=own, scale=scale)) == 4
    assert epochs(resolve(own=own, scale=scale), "csq") == 3
    scale["papers"]["p"]["datasets"] = {"jsrt": {"hashing": {"epochs": 6}}}
    assert epochs(resolve(own=own, scale=scale)) == 4
    assert epochs(resolve(own=own, scale=scale), on="jsrt") == 6
    assert epochs(resolve(own=own, scale=scale), "csq", on="jsrt") == 6
    last = resolve(own=own, scale=scale, run={"hashing": {"epochs": 5}})
    assert epochs(last) == epochs(last, "csq", on="jsrt") == 5
    given = {each.hashing.epochs for each in resolve(own=own, scale=scale).every()}
    assert given == {3, 4, 6}


def test_what_a_scale_says_of_another_paper_is_its_own():
    scale = {"papers": {"q": {"settings": {"hashing": {"epochs": 3}}}}}
    assert epochs(resolve(scale=scale)) == 9


def test_a_scales_vit_is_not_forced_upon_another_network():
    scale = {"settings": {"network": VIT | {"depth": 2}}}
    found = resolve(own={"network": ALEXNET}, settings={"stored_size": 256}, scale=scale)
    assert found.shared.network.depth == 2
    assert found.own["osdh"].network.model_dump() == ALEXNET | {"resize": "crop"}
    assert found.own["osdh"].stored == found.shared.stored == 256


def test_a_scale_makes_the_network_of_one_paper_smaller():
    scale = {
        "settings": {"network": VIT},
        "papers": {
            "p": {
                "settings": {"network": {"image_size": 67}},
                "methods": {"osdh": {"network": {"width": 0.25}}},
            }
        },
    }
    found = resolve(settings={"network": ALEXNET}, scale=scale)
    assert found.shared.network.model_dump() == ALEXNET | {"image_size": 67, "resize": "crop"}
    own = found.own["osdh"].network.model_dump()
    assert own == ALEXNET | {"image_size": 67, "resize": "crop", "width": 0.25}


def test_the_run_may_name_the_kind_that_it_means():
    run = {"network": {"kind": "alexnet", "width": 0.5}}
    found = resolve(own={"network": ALEXNET}, settings={"stored_size": 256}, run=run)
    assert found.own["osdh"].network.model_dump()["width"] == 0.5
    assert found.shared.network.width == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"own": {"hashing": {"epoch": 1}}}, r"p\.yaml: unknown key 'settings\.hashing\.epoch'"),
        ({"own": {"network": {"kind": "alexnt", "image_size": 8}}}, "did you mean 'alexnet'"),
        ({"own": {"network": {"kind": "alexnet"}}}, r"'settings\.network\.image_size' is missing"),
        ({"own": {"network": ALEXNET}}, r"stored_size 32 is less than network\.image_size 227"),
        ({"own": {"stored_size": 64}}, r"methods\.osdh\.settings: its images are stored with 64"),
        (
            {"scale": {"papers": {"p": {"methods": {"osdhh": {"hashing": {}}}}}}},
            r"s\.yaml: papers\.p\.methods: unknown method 'osdhh'; did you mean 'osdh'",
        ),
        (
            {"scale": {"papers": {"p": {"datasets": {"covid-ct": {}}}}}},
            r"s\.yaml: papers\.p\.datasets: unknown dataset 'covid-ct'; did you mean 'covid_ct'",
        ),
        (
            {"scale": {"papers": {"p": {"datasets": {"jsrt": {"methods": {"oshd": {}}}}}}}},
            r"s\.yaml: settings\.methods: unknown method 'oshd'; did you mean 'osdh'",
        ),
    ],
)
def test_what_cannot_be_is_one_error_with_its_file(changes, message):
    with pytest.raises(MedhashError, match=message):
        resolve(**changes)
