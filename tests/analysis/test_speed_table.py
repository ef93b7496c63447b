"""The table of speeds prints what was measured, on what, and never beside a phantom's numbers."""

import json

import pytest

from medhash.analysis.numbers.context import Context
from medhash.analysis.tables.make import make_table
from medhash.errors import MedhashError
from medhash.papers.reported import ReportedPaper
from medhash.records.sources import READERS


def measurement(dataset, bits, milliseconds, scale="small", load=1.0):
    return {
        "schema": 1,
        "scale": scale,
        "cell": {
            "paper": "ach",
            "dataset": dataset,
            "method": "adsh",
            "variant": "ach",
            "bits": bits,
            "seed": 0,
        },
        "database": 597,
        "query_pixels": {"median_width": 400.0, "median_height": 300.0},
        "network_pixels": 64,
        "single": {
            "queries": 200,
            "median_seconds": milliseconds / 1000,
            "p95_seconds": milliseconds / 500,
            "fps": 1000 / milliseconds,
        },
        "batched": {"batch_size": 64, "images_per_second": 900.0},
        "device": {"type": "cpu", "name": "A processor"},
        "threads": 2,
        "cores": 4,
        "load_average": load,
        "precision": "float32",
        "environment": {"torch": "2.11", "platform": "Linux"},
        "measured": "2026-01-02T03:04:05+00:00",
    }


@pytest.fixture
def make(tmp_path, table_spec, paper):
    reported = ReportedPaper.model_validate(
        {
            "paper": "ach",
            "tables": {
                "VIII": {
                    "title": "Speed",
                    "metric": "FPS",
                    "regenerated_by": "table8",
                    "columns": {"COVID-CT-Dataset": [8, 32]},
                    "rows": {"ACH": "77.56 78.38"},
                }
            },
        }
    )

    def make(measurements, datasets=("covid_ct",), **keys):
        paths = [tmp_path / "missing.json"]
        for number, content in enumerate(measurements):
            paths.append(tmp_path / f"{number}.json")
            paths[-1].write_text(json.dumps(content))
        spec = table_spec(
            kind="fps",
            name="table8",
            title="Speed",
            datasets=datasets,
            methods=["adsh"],
            variants=["ach"],
            bits=[8, 32],
            seeds=[0, 1],
            **keys,
        )
        context = Context(paper, "small", "tie-aware", reported=reported)
        stem = tmp_path / "table"
        files = make_table(
            spec, [READERS["speed"](path) for path in paths if path.is_file()], context, stem
        )
        return [file.read_text() for file in files]

    return make


def test_latency_and_fps_are_printed_with_the_machine(make):
    csv, text, tex = make([measurement("covid_ct", 8, 12.5)])
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["ADSH+ACH: FPS, one image at a time", "80.00", "not run"] in lines
    assert ["ADSH+ACH: median latency (ms)", "12.50", "not run"] in lines
    assert ["ADSH+ACH: 95th percentile (ms)", "25.00", "not run"] in lines
    assert ["ADSH+ACH: images per second in batches", "900.00", "not run"] in lines
    assert ["FPS reported by the paper", "77.56", "78.38"] in lines
    assert "Measured on A processor (2 threads, float32)." in text
    assert "A processor" in tex
    rows = [line.split(",") for line in csv.splitlines()]
    assert len(rows) == 3
    first = dict(zip(rows[0], rows[1], strict=True))
    assert (first["fps"], first["median_ms"], first["p95_ms"]) == ("80.0000", "12.5000", "25.0000")
    assert (first["reported_fps"], first["seed"], first["status"]) == ("77.56", "0", "ran")


STEPS = {
    "encode_seconds": 4.018,
    "index_seconds": 0.00123,
    "query_seconds": 0.034,
    "encoded": 585,
    "queries": 65,
    "returned": 10,
}


def test_the_steps_of_a_search_are_printed_where_a_table_asks_for_them(make):
    timed = measurement("covid_ct", 8, 12.5) | {"steps": STEPS}
    names = ["encode_seconds", "index_seconds", "query_milliseconds"]
    csv, text, _ = make([timed], measures=names)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["ADSH+ACH: encoding the database (s)", "4.02", "not run"] in lines
    assert ["ADSH+ACH: making its index (s)", "0.0012", "not run"] in lines
    assert ["ADSH+ACH: answering all queries (ms)", "34.00", "not run"] in lines
    assert "585 stored images are encoded" in text
    assert "65 queries" in text
    assert "Measured on A processor" in text
    assert "FPS, one image" not in text
    assert "decoded pixels" not in text
    first = dict(zip(*(line.split(",") for line in csv.splitlines()[:2]), strict=True))
    steps = first["encode_seconds"], first["index_seconds"], first["all_queries_ms"]
    assert steps == ("4.0180", "0.001230", "34.0000")


def test_a_measurement_without_steps_has_none(make):
    text = make([measurement("covid_ct", 8, 12.5)], measures=["encode_seconds", "fps"])[1]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["ADSH+ACH: encoding the database (s)", "not run", "not run"] in lines
    assert ["ADSH+ACH: FPS, one image at a time", "80.00", "not run"] in lines


def test_a_quantity_of_another_kind_is_refused(make):
    with pytest.raises(ValueError, match="no measure of speed 'map'"):
        make([], measures=["map"])


def test_a_phantom_stands_beside_no_reported_number(make):
    csv, text, _ = make([measurement("phantom_covid_ct", 8, 10.0)], ["phantom_covid_ct"])
    assert "100.00" in text
    assert "77.56" not in text + csv
    assert text.startswith("**Synthetic phantoms")


def test_a_busy_machine_is_said_to_be_one(make):
    assert "Other work" not in make([measurement("covid_ct", 8, 10.0)])[1]
    busy = make([measurement("covid_ct", 8, 10.0, load=9.0)])[1]
    assert "load average up to 9.0 on 4 cores" in busy


def test_scales_never_mix(make):
    with pytest.raises(MedhashError, match="its scale is 'demo', but 'small' is asked for"):
        make([measurement("covid_ct", 8, 10.0, scale="demo")])


def test_half_a_measurement_is_refused(make):
    content = measurement("covid_ct", 8, 10.0)
    del content["single"]["p95_seconds"]
    with pytest.raises(MedhashError, match=r"0\.json: .*single\.p95_seconds"):
        make([content])
