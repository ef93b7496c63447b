"""The same gains by two protocols: how far they move, and which verdicts turn."""

import numpy as np
import pytest

from medhash.analysis.figures.drawing import house_style
from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.make import make_table
from medhash.configuration.loading import load

CHANGES = {
    "kind": "protocols",
    "name": "protocols",
    "title": "Gains",
    "datasets": ["covid_ct"],
    "methods": ["hashnet", "csq"],
    "variants": ["none", "ach"],
    "bits": [8],
    "seeds": [0, 1, 2],
}
QUERIES = np.linspace(-0.02, 0.02, 40)


@pytest.fixture
def write(record):
    """Records of one row: ``write("hashnet/ach", 0.7, 0.71)``, a number a seed."""

    def make(row, *maps, move=0.0, **options):
        return [
            record(f"ach/covid_ct/{row}/8/{seed}", (QUERIES + ap).tolist(), **options)
            if not move
            else record(f"ach/covid_ct/{row}/8/{seed}", ap, stable=ap + move, **options)
            for seed, ap in enumerate(maps)
        ]

    return make


def rows_of(spec, facts, context):
    rows = spec.points(facts, context).to_dict("records")
    return {(row["comparison"], row["method"]): row for row in rows}


def test_ties_in_database_order_turn_a_sign(table_spec, write, context):
    facts = write("hashnet/none", 0.70, move=0.01) + write("hashnet/ach", 0.705, move=-0.002)
    row = rows_of(table_spec(**CHANGES), facts, context)["ties", "hashnet"]
    assert row["gain_first_points"] == pytest.approx(0.5)
    assert row["gain_second_points"] == pytest.approx(-0.7)
    assert row["gain_moves_points"] == pytest.approx(1.2)
    assert row["value_moves_points"] == pytest.approx(1.0)
    assert (row["verdict_first"], row["verdict_second"]) == ("higher", "lower")
    assert row["changed"] == "true"


def test_one_seed_decides_what_several_leave_open(table_spec, write, context):
    facts = write("hashnet/none", 0.7, 0.7, 0.7) + write("hashnet/ach", 0.72, 0.69, 0.71)
    facts += write("csq/none", 0.6, 0.7, 0.65) + write("csq/ach", 0.62, 0.721, 0.67)
    found = rows_of(table_spec(**CHANGES), facts, context)
    row = found["seeds", "hashnet"]
    assert (row["verdict_first"], row["verdict_second"]) == ("higher", "undecided")
    assert (row["gain_first_points"], row["gain_second_points"]) == pytest.approx((2, 2 / 3))
    sure = found["seeds", "csq"]  # seeds that move both rows alike
    assert (sure["verdict_first"], sure["verdict_second"]) == ("higher", "higher")
    assert sure["changed"] == "false"
    assert (sure["n_seeds"], sure["seeds"]) == (3, "0 1 2")


def test_a_test_over_queries_is_surer_than_one_over_seeds(table_spec, write, context):
    facts = write("hashnet/none", 0.7, 0.7, 0.7) + write("hashnet/ach", 0.72, 0.69, 0.71)
    row = rows_of(table_spec(**CHANGES), facts, context)["test", "hashnet"]
    assert (row["verdict_first"], row["verdict_second"]) == ("higher", "undecided")
    assert row["gain_moves_points"] == 0


def test_the_best_epoch_has_cells_of_its_own(table_spec, write, context):
    spec = table_spec(**CHANGES, best="best-epoch")
    assert "ach~best-epoch" in {cell.variant for cell in spec.cells()}
    facts = write("hashnet/none", 0.70) + write("hashnet/ach", 0.68)
    absent = rows_of(spec, facts, context)["epoch", "hashnet"]
    assert absent["status"] == "not run"
    picked = {"selection": "best-query-map"}
    facts += write("hashnet/none~best-epoch", 0.72, **picked)
    facts += write("hashnet/ach~best-epoch", 0.73, **picked)
    row = rows_of(spec, facts, context)["epoch", "hashnet"]
    assert (row["gain_first_points"], row["gain_second_points"]) == pytest.approx((-2, 1))
    assert row["value_moves_points"] == pytest.approx(5)
    assert row["changed"] == "true"


def test_the_table_counts_and_says_what_did_not_run(table_spec, write, context, tmp_path):
    facts = write("hashnet/none", 0.70, move=0.01) + write("hashnet/ach", 0.705, move=-0.002)
    facts += write("csq/none", 0.70, move=0.001) + write("csq/ach", 0.72, move=0.001)
    _, text, _ = (
        path.read_text()
        for path in make_table(table_spec(**CHANGES), facts, context, tmp_path / "t")
    )
    (row,) = [line for line in text.splitlines() if line.startswith("| ties by")]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells == ["0.55, at most 1.00", "0.60, at most 1.20", "1 of 2"]
    assert "one seed / all seeds: not run (one seed)." in text


def test_a_run_by_database_order_has_no_other_order(table_spec, write, paper):
    context = Context(paper, "small", "stable")
    facts = write("hashnet/none", 0.7, protocol="stable") + write(
        "hashnet/ach", 0.7, protocol="stable"
    )
    row = rows_of(table_spec(**CHANGES), facts, context)["ties", "hashnet"]
    assert (row["status"], row["note"]) == ("not run", "the run breaks ties in database order")


def test_the_figure_has_a_panel_a_choice(figure_spec, write, context):
    facts = write("hashnet/none", 0.70, move=0.01) + write("hashnet/ach", 0.705, move=-0.002)
    spec = figure_spec(**CHANGES)
    points = spec.points(facts, context)
    # Numbers, also beside gains that have not run: text would have all digits of a float.
    assert points["gain_first_points"].dtype == float
    with house_style():
        figure = spec.draw(points, context, ["Gains"])
    epoch, ties, *_ = figure.axes
    assert [text.get_text() for text in epoch.texts] == ["not run"]
    drawn = np.concatenate([each.get_offsets() for each in ties.collections])
    assert drawn.tolist() == [pytest.approx([0.5, -0.7])]


def test_a_scale_that_leaves_the_ablation_out_trains_nothing_for_it():
    small = load(overrides={"scale": "small"}).tables["ach/protocols"]
    paper = load(overrides={"scale": "paper"})
    cell = next(c for c in paper.tables["ach/protocols"].cells() if "~best-epoch" in c.variant)
    assert not any("~" in each.variant for each in small.cells())
    assert paper.settings_of(cell).evaluation.selection == "best-query-map"
