import pytest

from medhash.errors import MedhashError
from medhash.schema.cell import Cell


def test_a_cell_is_its_text():
    cell = Cell("ach", "covid_ct", "hashnet", "dbw+lfr", 8, 0)
    assert str(cell) == "ach/covid_ct/hashnet/dbw+lfr/8/0"
    assert Cell.parse(str(cell)) == cell


def test_a_cell_with_an_origin_is_its_text_and_knows_its_source():
    cell = Cell("ach", "brain_tumor_mri", "csq", "ach", 16, 2, origin="covid_ct")
    assert str(cell) == "ach/brain_tumor_mri@covid_ct/csq/ach/16/2"
    assert Cell.parse(str(cell)) == cell
    assert cell.source == Cell("ach", "covid_ct", "csq", "ach", 16, 2)
    scratch = Cell.parse("ach/brain_tumor_mri@scratch/csq/ach/16/2")
    assert scratch.origin == "scratch"
    assert scratch.source is None
    assert cell.source.source is None


@pytest.mark.parametrize("place", ["a@", "@b", "a@a", "a@b@c"])
def test_an_origin_is_another_dataset(place):
    with pytest.raises(MedhashError, match=r"expected dataset@origin"):
        Cell.parse(f"ach/{place}/csq/ach/8/0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ach/covid_ct/hashnet/ach/8",
        "ach/covid_ct/hashnet/ach/8/0/1",
        "covid_ct//ach/8/0",
        "ach/covid_ct/hashnet/ach/eight/0",
        "ach/covid_ct/hashnet/ach/8/-1",
        "ach/covid_ct/hashnet/ach/08/0",
        "ach/covid_ct/hashnet/ach/0/0",
        "ach/covid_ct/hashnet/ach/7.5/0",
        "ach/covid_ct/hashnet/ach/٨/0",
    ],
)
def test_other_texts_are_refused_with_the_text(text):
    with pytest.raises(MedhashError, match=r"cell '.*'") as caught:
        Cell.parse(text)
    assert repr(text) in str(caught.value)
