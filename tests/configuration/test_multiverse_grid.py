"""Which readings a run tries, and which cells they need."""

import pytest
import yaml

from medhash.configuration.loading import load
from medhash.configuration.relevant_settings import training
from medhash.errors import MedhashError
from medhash.papers.kinds import TABLES
from medhash.schema.variants import split_variant


def test_a_scale_keeps_some_readings(config_path):
    configuration = load(config_path, {"scale": "demo"})
    spec = configuration.tables["ach/multiverse"]
    assert set(spec.readings.values()) == {"population-batch", "scales-4"}
    variants = {cell.variant for cell in spec.cells()}
    assert variants == {
        *("none", "dbw", "ach", "dbw~population-batch", "ach~population-batch", "ach~scales-4")
    }
    assert spec.cells() == configuration.figures["ach/multiverse"].cells()


def test_a_reading_that_is_the_runs_own_on_a_small_grid_is_not_trained_twice(config_path):
    chosen = {"scale": "small", "papers": ["ach"], "methods": ["hashnet", "csq", "dbdh"]}
    plain = load(config_path, chosen).tables["ach/multiverse"]
    own = {"lcr": {"mask_scales": [[1, 1]]}}
    merged = load(config_path, chosen | {"settings": own}).tables["ach/multiverse"]
    assert merged.readings["smallest masks alone"] == ""
    assert not any(cell.variant.endswith("~scales-1") for cell in merged.cells())
    # A reading of LCR alone is one of two variants of three methods, with four seeds.
    assert len(plain.cells()) - len(merged.cells()) == 3 * 2 * 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bits": (8, 16)}, "bits"),
        ({"variants": ("ach",)}, "needs the baseline"),
        ({"readings": {}}, "readings"),
        ({"readings": {"default": "scales-1"}}, "always there"),
        ({"readings": {"a": "scales-1", "b": "scales-1"}}, "listed twice"),
    ],
)
def test_a_wrong_multiverse_is_refused(changed, message):
    values = {
        "kind": "multiverse",
        "title": "x",
        "datasets": ["covid_ct"],
        "methods": ["csq"],
        "variants": ["none", "ach"],
        "bits": [8],
        "readings": {"small": "scales-1"},
    }
    TABLES.read(values)
    with pytest.raises(ValueError, match=message):
        TABLES.read(values | changed)


def test_an_unknown_reading_is_named(config_path):
    path = config_path.parent / "papers/ach.yaml"
    path.write_text(path.read_text().replace("alone: scales-4", "alone: scale-4"))
    with pytest.raises(MedhashError, match=r"ach.yaml: tables.multiverse.*scale-4.*scales-4"):
        load(config_path, {"scale": "small"})


def test_no_reading_trains_what_it_does_not_touch(config_path):
    """Each refused cell would be another one again; loading checks all of them."""
    path = config_path.parent / "scales/small.yaml"
    scale = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(scale | {"artefacts": {}}))
    configuration = load(config_path, {"scale": "small"})
    spec = configuration.tables["ach/multiverse"]
    # Where a method has no other setting in it, the combination's baseline is one reading's.
    cells = [cell for cell in spec.cells() if not cell.variant.endswith("~best-supported")]
    trained = {}
    for cell in cells:
        own = training(configuration.settings_of(cell), cell)
        trained.setdefault((cell.method, split_variant(cell.variant)[0], repr(own)), cell)
    assert len(spec.readings) == 24
    assert len(trained) == len(cells)
