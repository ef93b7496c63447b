"""Ablations: names, settings, proportional sizes."""

import pytest
from pydantic import ValidationError

from medhash.configuration import relevant_settings
from medhash.errors import MedhashError
from medhash.papers.ablations import (
    Ablation,
    ablated,
    known_variants,
    merged,
)
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.schema.variants import VARIANTS, parts_of, split_variant

ABLATIONS = {
    name: Ablation.model_validate({"lcr": change})
    for name, change in {
        "window-2": {"window": [2, 3]},
        "window-3": {"window": [3, 3]},
        "window-4": {"window": [4, 4]},
        "scales-1": {"mask_scales": [[1, 1], [2, 2], [8, 8]]},
        "key-points-9": {"key_points": 9},
    }.items()
}


def settings_with(image_size, **lcr):
    stage = {"epochs": 1, "learning_rate": 1e-3}
    lcr = {"window": [2, 2], "segment": [2, 2], "mask_scales": [[1, 1]]} | lcr
    network = {"image_size": image_size, "patch_size": 4, "width": 8, "depth": 1, "heads": 1}
    tree = {"network": network, "lcr": lcr, "mae": stage, "classification": stage}
    return Settings.model_validate(tree | {"hashing": stage})


def test_an_ablation_changes_what_it_names_and_nothing_else():
    settings = settings_with(64)
    changed = ablated(settings, "ach~window-2", ABLATIONS, 16)
    assert changed.lcr.window == (2, 3)
    assert changed.model_copy(update={"lcr": settings.lcr}) == settings
    assert changed.lcr.model_copy(update={"window": (2, 2)}) == settings.lcr
    assert ablated(settings, "ach", ABLATIONS, 16) is settings


def test_sizes_shrink_with_the_grid_but_counts_do_not():
    small = settings_with(32)
    assert ablated(small, "ach~scales-1", ABLATIONS, 16).lcr.mask_scales == ((1, 1), (4, 4))
    assert ablated(small, "ach~key-points-9", ABLATIONS, 16).lcr.key_points == 9


def test_what_comes_to_the_same_settings_is_one_variant():
    small = settings_with(32)
    assert merged("ach~window-4", small, ABLATIONS, 16) == "ach"
    assert merged("lcr~window-3", small, ABLATIONS, 16) == "lcr"
    assert merged("ach~key-points-9", small, ABLATIONS, 16) == "ach~key-points-9"
    assert merged("ach~window-4", settings_with(64), ABLATIONS, 16) == "ach~window-4"


def test_an_unknown_or_unfit_ablation_is_one_clear_error():
    with pytest.raises(MedhashError, match=r"no ablation 'nope' .known: window-2"):
        ablated(settings_with(64), "ach~nope", ABLATIONS, 16)
    with pytest.raises(MedhashError, match=r"ablations.scales-1.*larger than.*4x4"):
        ablated(settings_with(16), "ach~scales-1", ABLATIONS, 4)
    with pytest.raises(ValidationError, match="nothing is changed"):
        Ablation.model_validate({"lcr": {}})


def test_an_ablation_has_the_parts_of_its_base_and_no_other_base_has_one():
    known = known_variants({"window-2": ABLATIONS["window-2"]})
    assert parts_of("dbw+lfr~window-2") == ("dbw", "lfr")
    assert split_variant("ach~window-2") == ("ach", "window-2")
    assert {variant for variant in known if "~" in variant} == {
        f"{base}~window-2" for base in ("lcr", "ach", "lfr", "dbw+lfr")
    }
    assert set(known) > set(VARIANTS)
    assert "window-2" not in " ".join(VARIANTS)


def test_an_ablation_retrains_itself_alone():
    settings = settings_with(64)
    cell = Cell("ach", "covid_ct", "adsh", "ach~window-2", 8, 0)
    own = relevant_settings.training(ablated(settings, cell.variant, ABLATIONS, 16), cell)
    base = relevant_settings.training(settings, Cell("ach", "covid_ct", "adsh", "ach", 8, 0))
    assert own["lcr"]["window"] == [2, 3]
    assert {key for key in own if own[key] != base[key]} == {"lcr"}
