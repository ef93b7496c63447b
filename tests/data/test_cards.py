from pathlib import Path

import pytest
import yaml

from medhash.data.cards import find_card, load_cards
from medhash.errors import MedhashError
from medhash.schema.datasets import SplitRule

PROJECT = Path(__file__).parents[2]
CARDS_FILE = PROJECT / "config/datasets.yaml"


def write_cards(folder: Path, **changes: object) -> Path:
    entry = {
        "title": "T",
        "licence": "L",
        "reference": "R",
        "reader": "class_folders",
        "classes": {"a": 3, "b": 4},
        "sources": [
            {
                "kind": "http",
                "page": "https://example.org",
                "files": [{"url": "https://example.org/x.zip", "path": "x.zip"}],
            }
        ],
        "split": {"rule": "random", "query": 2},
    }
    path = folder / "config/datasets.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"mine": {**entry, **changes}}))
    return path


def test_the_cards_count_what_the_archives_hold():
    cards = load_cards(CARDS_FILE)
    images = {name: card.image_count for name, card in cards.items() if not card.synthetic}
    assert images == {
        "covid_radiograph": 21165,
        "covid_ct": 746,
        "brain_tumor_mri": 3264,
        "thermal_ir": 369,
        "nih_chestxray14": 13000,
        "origa_fundus": 650,
        "jsrt": 154,
        "curated_xray": 9208,
        "skin_mnist": 10015,
        "folder": 0,
    }


def test_splits_are_those_of_the_ach_paper():
    cards = load_cards(CARDS_FILE)
    rules = {
        name: (card.split.rule, card.split.query, card.split.train) for name, card in cards.items()
    }
    assert rules["covid_ct"] == ("random", 149, "database")
    assert rules["covid_radiograph"] == ("random", 4200, 2000)
    assert rules["thermal_ir"] == ("random", 0.2, "database")
    assert rules["brain_tumor_mri"] == ("official", None, "database")


def test_splits_are_those_of_the_ynet_paper():
    cards = load_cards(CARDS_FILE)
    queries = {
        "origa_fundus": {"Normal": 49, "Glaucoma": 16},
        "jsrt": {"malignant": 11, "benign": 5},
    }
    for name, query in queries.items():
        card = cards[name]
        assert card.split.query == query
        assert card.reported_counts["query"] == sum(query.values())
        assert card.reported_counts["images"] == card.image_count
        assert card.reported_counts["database"] == card.image_count - sum(query.values())


def test_cards_note_where_paper_and_archive_disagree():
    cards = load_cards(CARDS_FILE)
    assert "743" in " ".join(cards["covid_ct"].notes)
    assert "3273" in " ".join(cards["brain_tumor_mri"].notes)
    reported = cards["covid_ct"].reported_counts
    assert reported["query"] + reported["database"] == 743


def test_each_dataset_with_a_source_has_a_phantom_like_it():
    cards = load_cards(CARDS_FILE)
    phantoms = {card.stands_for: card for card in cards.values() if card.synthetic}
    assert set(phantoms) == {name for name, card in cards.items() if card.sources}
    for name, phantom in phantoms.items():
        assert phantom.name == f"phantom_{name}"
        assert phantom.classes == cards[name].classes
        assert phantom.split == cards[name].split
        assert not phantom.sources


def test_find_card_suggests_the_nearest_name():
    with pytest.raises(MedhashError, match="did you mean 'covid_ct'"):
        find_card(load_cards(CARDS_FILE), "covid-ct")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, r"unknown key 'mine.titel'; did you mean 'title'\?"),
        (
            {"reader": "folders"},
            "mine.reader: unknown reader 'folders'; did you mean",
        ),
        ({"classes": {"a": 0}}, "mine.classes.a: 0 must be at least 1"),
        ({"classes": {}}, "needs its classes"),
        ({"classes": {"a|b": 2, "c": 1}}, "must not be empty or contain"),
        ({"split": {"rule": "random"}}, "needs the key 'query'"),
        ({"split": {"rule": "random", "query": 7}}, "leaves no database"),
        ({"split": {"rule": "random", "query": 1.5}}, "mine.split.query: 1.5 must be a number"),
        ({"split": {"rule": "random", "query": {"a": 0}}}, "mine.split.query: {'a': 0} must be"),
        ({"split": {"rule": "official", "query": 2}}, "only for split rule 'random'"),
        ({"split": {"rule": "listed"}}, "needs the key 'file'"),
        ({"split": {"rule": "random", "query": 2, "group_by": []}}, "mine.split.group_by"),
        ({"split": {"rule": "random", "query": {"a": 1}}}, "split.query counts a, but the classes"),
        ({"split": {"rule": "random", "query": {"a": 3, "b": 4}}}, "leaves no database of 7"),
        ({"split": {"query": {"a": 1, "b": 1}, "stratified": False}}, "stratified: true"),
        ({"split": {"rule": "official", "validation": 2}}, "only for split rule 'random'"),
        ({"images": 3}, "images: 3 images cannot have 7 labels"),
        ({"images": 8}, "images: 8 images cannot have 7 labels"),
        ({"mask_classes": ["lesion"]}, "mask_classes needs at least two names"),
        ({"selection": {"images": 0}}, "mine.selection.images: 0 must be at least 1"),
        ({"selection": {"images": 5, "order": "random"}}, "mine.selection.order"),
        ({"split": {"rule": "random", "query": 2, "seed": -1}}, "mine.split.seed"),
        ({"path": "x"}, "either 'path'"),
        ({"sources": [{"kind": "ftp"}]}, "mine.sources.0"),
    ],
)
def test_a_bad_card_gives_one_message_with_file_key_and_value(tmp_path, changes, message):
    path = write_cards(tmp_path, **changes)
    with pytest.raises(MedhashError, match=message) as caught:
        load_cards(path)
    assert "datasets.yaml" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_source_file_cannot_leave_the_archive_folder(tmp_path):
    files = [{"url": "https://example.org/x.zip", "path": "../x.zip"}]
    sources = [{"kind": "http", "page": "p", "files": files}]
    with pytest.raises(MedhashError, match="stay inside"):
        load_cards(write_cards(tmp_path, sources=sources))


@pytest.mark.parametrize("text", ["", "- a", "x: [", "mine: 3", "phantom_x: {}"])
def test_a_file_that_holds_no_cards_is_one_error(tmp_path, text):
    path = tmp_path / "datasets.yaml"
    path.write_text(text)
    with pytest.raises(MedhashError, match=r"datasets\.yaml"):
        load_cards(path)


@pytest.mark.parametrize("again", ["mine: {}", "  title: U"])
def test_a_key_given_twice_is_refused(tmp_path, again):
    path = write_cards(tmp_path)
    path.write_text(f"{path.read_text()}{again}\n")
    with pytest.raises(MedhashError, match=r"the key '(mine|title)' occurs twice") as caught:
        load_cards(path)
    assert "datasets.yaml" in str(caught.value)


def test_a_missing_file_is_one_error(tmp_path):
    with pytest.raises(MedhashError, match="no such file"):
        load_cards(tmp_path / "datasets.yaml")


def test_own_paths_are_taken_from_the_project_root(tmp_path):
    split = {"rule": "listed", "file": "lists/mine.csv"}
    card = load_cards(write_cards(tmp_path, sources=[], path="images", split=split))["mine"]
    assert card.path == tmp_path / "images"
    assert card.split.file == tmp_path / "lists/mine.csv"


def test_a_count_and_a_share_stay_what_they_are():
    assert isinstance(SplitRule(query=1).query, int)
    assert isinstance(SplitRule(query=0.2).query, float)
