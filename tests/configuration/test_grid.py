import pytest

from medhash.configuration.grid import Cell
from medhash.errors import MedhashError


def test_a_cell_is_its_text():
    cell = Cell("covid_ct", "hashnet", "dbw+lfr", 8, 0)
    assert str(cell) == "covid_ct/hashnet/dbw+lfr/8/0"
    assert Cell.parse(str(cell)) == cell


@pytest.mark.parametrize(
    "text",
    [
        "",
        "covid_ct/hashnet/ach/8",
        "covid_ct/hashnet/ach/8/0/1",
        "covid_ct//ach/8/0",
        "covid_ct/hashnet/ach/eight/0",
        "covid_ct/hashnet/ach/8/-1",
        "covid_ct/hashnet/ach/08/0",
        "covid_ct/hashnet/ach/0/0",
        "covid_ct/hashnet/ach/7.5/0",
        "covid_ct/hashnet/ach/٨/0",
    ],
)
def test_other_texts_are_refused_with_the_text(text):
    with pytest.raises(MedhashError, match=r"cell '.*'") as caught:
        Cell.parse(text)
    assert repr(text) in str(caught.value)
