import pytest

from medhash.configuration.assignments import command_options, parse_assignments
from medhash.errors import MedhashError


def test_assignments_become_a_tree():
    assignments = ["bits=[8, 16]", "settings.hashing.epochs=3", "settings.mae.epochs=1e1"]
    assert parse_assignments(assignments) == {
        "bits": [8, 16],
        "settings": {"hashing": {"epochs": 3}, "mae": {"epochs": 10.0}},
    }


@pytest.mark.parametrize("text", ["bits", "=3", "settings..epochs=3", ".bits=3"])
def test_other_texts_are_refused(text):
    with pytest.raises(MedhashError, match=r"expected KEY=VALUE"):
        parse_assignments([text])


def test_a_key_below_a_value_is_refused():
    with pytest.raises(MedhashError, match="'bits' was set to a value before"):
        parse_assignments(["bits=3", "bits.a=4"])


def test_options_say_the_same_on_a_command_line():
    overrides = {"scale": "demo", "variants": ["dbw+lfr"], "settings": {"mae": {"epochs": 2}}}
    words = command_options(overrides)
    assert words[:2] == ["--scale", "demo"]
    assert words[2::2] == ["--set", "--set"]
    assert parse_assignments(words[3::2]) | {"scale": "demo"} == overrides
