"""Names and cards of phantoms in which a confounder goes with the class."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medhash.data.cards import load_cards
from medhash.data.confounded import (
    ConfoundedName,
    check_confounders,
    confounding_of,
    parse_name,
    resolve_card,
)
from medhash.data.phantoms import generate
from medhash.data.splits.making import write_split
from medhash.errors import MedhashError

CARDS = load_cards(Path(__file__).resolve().parents[2] / "config/datasets.yaml")


@pytest.mark.parametrize("strength", [0, 0.25, 0.5, 1])
def test_a_name_says_phantom_confounder_and_strength(strength):
    name = ConfoundedName("phantom_covid_ct", "field_of_view", strength)
    assert str(name) == f"phantom_covid_ct~field_of_view-{strength}"
    assert parse_name(str(name)) == name
    confounding = confounding_of(str(name))
    assert (confounding.confounder, confounding.strength) == ("field_of_view", strength)
    assert confounding.shifted


def test_other_datasets_have_no_confounding():
    assert parse_name("phantom_covid_ct") is None
    assert confounding_of("covid_ct") is None
    assert resolve_card(CARDS, "covid_ct") is CARDS["covid_ct"]


@pytest.mark.parametrize(
    "name",
    [
        "phantom_covid_ct~window",
        "phantom_covid_ct~window-0.50",  # one strength has one name
        "phantom_covid_ct~window-1.0",
        "phantom_covid_ct~window-1.5",
        "phantom_covid_ct~window-.",
        "phantom_covid_ct~window-0.5/..",
        "covid_ct~window-0.5",
    ],
)
def test_a_name_of_another_form_is_refused(name):
    with pytest.raises(MedhashError, match="expected phantom_<dataset>~<confounder>-<strength"):
        resolve_card(CARDS, name)


def test_a_confounded_phantom_of_nothing_is_refused():
    with pytest.raises(MedhashError, match=r"'phantom_covid_tc' is not in .* 'phantom_covid_ct'"):
        resolve_card(CARDS, "phantom_covid_tc~window-0.5")


@pytest.mark.parametrize(
    ("confounders", "message"),
    [
        ({"covid_ct": "windows"}, "no such confounder; it has level, .*window"),
        ({"montgomery": "window"}, "no phantom of 'montgomery'"),
    ],
)
def test_confounders_are_checked(confounders, message):
    check_confounders({"covid_ct": "window", "covid_radiograph": "penetration"}, "here")
    with pytest.raises(MedhashError, match=f"here: .*{message}"):
        check_confounders(confounders, "here")


@pytest.mark.parametrize("strength", [0, 1])
def test_the_split_is_the_one_that_decides_the_correlation(tmp_path, strength):
    dataset = f"phantom_covid_ct~window-{strength}"
    card = resolve_card(CARDS, dataset)
    assert card.synthetic
    assert f"strength {strength}" in card.title
    data, split = tmp_path / dataset, tmp_path / "split.csv"
    generate(card, data, 16, 60, 0, confounding_of(dataset))
    write_split(data, card.split, 0, split, card.reported_counts)
    manifest = pd.read_csv(split)
    window = pd.read_csv(data / "confounders.csv")["window"].to_numpy()
    number = np.load(data / "labels.npy").argmax(axis=1)
    for role, shift in (("database", 0), ("query", 1)):
        chosen = (manifest["role"] == role).to_numpy()
        assert chosen.sum() > 5
        usual = np.array(["lung", "mediastinal"])[(number + shift) % 2]
        agreement = (window == usual)[chosen].mean()
        assert agreement == 1 if strength else 0.2 < agreement < 0.8
    database = manifest["role"] == "database"
    assert (manifest["train"] == database.astype(int)).all()
