"""Speed of a cell: what is timed really answers queries, and the numbers are what they say."""

import io
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_settings import write_receipt

from medhash.data.preparation import prepare_image
from medhash.errors import MedhashError
from medhash.records.sources import READERS
from medhash.retrieval.codes import Codes
from medhash.schema.cell import Cell
from medhash.trained import speed
from medhash.trained.cell import load_encoder
from medhash.training.cells import train_cell
from medhash.training.task import CellInputs, Task
from told import description

CELL = Cell("ach", "toy", "adsh", "ach", 12, 0)


@pytest.fixture
def data(files, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(files.data_folder, folder)
    pd.DataFrame({"image_id": range(60), "width": 20, "height": 30}).to_csv(
        folder / "index.csv", index=False
    )
    (folder / "dataset.json").write_text(json.dumps(description(synthetic=True)))
    return folder


@pytest.fixture
def cell_folder(settings, files, out):
    train_cell(CELL, settings, files, out, device="cpu")
    return out


def test_the_list_is_the_stable_sort_of_the_stored_codes(settings, files, data, cell_folder):
    codes = Codes.load(cell_folder / "codes.npz")
    inputs = CellInputs(data, files.split)
    encoder = load_encoder(Task(CELL, settings, inputs, cell_folder, "cpu"))
    search = speed.Search(encoder, codes, 16)
    images = list(np.load(data / "images.npy")[codes.query_rows])
    assert (search.encode(images) == codes.query_codes).all()
    ranked = search.rank(images)
    assert ranked.shape == (len(images), len(codes.database_codes))
    database = np.unpackbits(codes.database_codes, axis=1)
    for query, places in zip(np.unpackbits(codes.query_codes, axis=1), ranked, strict=True):
        keys = [(int((query != item).sum()), place) for place, item in enumerate(database)]
        assert [place for _, place in sorted(keys)] == places.tolist()


def test_an_image_is_shrunk_as_it_is_prepared():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 31, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    search = SimpleNamespace(image_size=16)
    assert (speed.Search._shrink(search, pixels) == prepare_image(stream.getvalue(), 16)[0]).all()


def test_a_measurement_is_written_and_can_be_read(settings, files, data, cell_folder, monkeypatch):
    monkeypatch.setattr(speed, "TIMED", 15)
    monkeypatch.setattr(speed, "BATCHES", 2)
    path = cell_folder / "speed.json"
    receipt = write_receipt(cell_folder)
    task = Task(CELL, settings, CellInputs(data, files.split), cell_folder, "cpu")
    speed.measure_speed(task, receipt, path, "small")
    measurement = READERS["speed"](path)
    assert measurement.cell == CELL
    assert measurement.single.queries == 15
    assert 0 < measurement.single.median_seconds <= measurement.single.p95_seconds < 5
    assert measurement.single.fps == pytest.approx(1 / measurement.single.median_seconds)
    pixels = measurement.query_pixels
    assert (pixels.median_width, pixels.median_height) == (20, 30)
    assert measurement.database == 48
    steps = measurement.steps
    assert (steps.encoded, steps.queries, steps.returned) == (48, 12, 10)
    assert 0 < steps.query_seconds < 5
    assert 0 < steps.index_seconds < 5
    assert measurement.device.name


def test_codes_of_another_training_are_refused(settings, files, data, cell_folder):
    receipt = write_receipt(cell_folder)
    (cell_folder / "codes.npz").write_bytes(b"other")
    path = cell_folder / "speed.json"
    task = Task(CELL, settings, CellInputs(data, files.split), cell_folder)
    with pytest.raises(MedhashError, match=r"codes.npz: is not the file .* run its step again"):
        speed.measure_speed(task, receipt, path, "small")
    assert not path.exists()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until the test moves it."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now.seconds)
    return now


def test_median_and_percentile_leave_out_the_warm_up(clock):
    durations = [100.0, 100.0, *np.arange(1.0, 22.0)]
    asked = []

    def answer(images):
        asked.append(images)
        clock.seconds += durations[len(asked) - 1]

    images = ["a", "b", "c"]
    facts = speed.time_singles(answer, images, 2, 21)
    assert facts["median_seconds"] == pytest.approx(11)
    assert facts["p95_seconds"] == pytest.approx(20)
    assert facts["fps"] == pytest.approx(1 / 11)
    assert asked[:4] == [["a"], ["b"], ["c"], ["a"]]
    assert len(asked) == 23


def test_throughput_is_that_of_the_median_batch(clock):
    durations = iter([50.0, 2.0, 8.0, 4.0])
    sizes = []

    def answer(images):
        sizes.append(len(images))
        clock.seconds += next(durations)

    facts = speed.time_batches(answer, ["a", "b"], 5, 3)
    assert sizes == [5] * 4
    assert facts["images_per_second"] == pytest.approx(5 / 4)


class Timed(SimpleNamespace):
    """Vectors and an encoder that move the clock."""

    def encode_rows(self, folder, rows):
        assert (folder, list(rows)) == ("folder", list(range(12)))
        self.clock.seconds += 7.0

    def comparing(self, codes, vectors):
        self.clock.seconds += next(self.durations)
        return np.zeros((len(vectors), 12), np.uint16)


def test_steps_are_timed_each_for_all_of_its_images(clock, monkeypatch):
    shown = np.ones((3, 1), np.uint8), np.ones((12, 1), np.uint8), np.arange(3), np.arange(12)
    codes = Codes(np.zeros((3, 1), np.uint8), np.zeros((12, 1), np.uint8), 8, *shown)
    # An index, then three queries; the first round is slow and not counted.
    rounds = [[100.0] * 4, *[[seconds, 1.0, 2.0, 3.0] for seconds in (1.0, 2.0, 3.0, 40.0)]]
    timed = Timed(clock=clock, durations=iter([each for own in rounds for each in own]))
    monkeypatch.setattr(Codes, "distances", lambda own, vectors: timed.comparing(own, vectors))
    facts = speed.time_steps(timed, codes, "folder")
    assert facts == {
        "encode_seconds": 7.0,
        "index_seconds": 2.5,
        "query_seconds": 6.0,
        "encoded": 12,
        "queries": 3,
        "returned": 10,
    }


def test_ways_to_answer_take_turns_in_an_order_drawn_by_lot(clock):
    asked = []

    def answer(name, seconds):
        def take(query):
            asked.append((name, query))
            clock.seconds += seconds * (query + 1)

        return take

    answers = {"slow": answer("slow", 8.0), "quick": answer("quick", 1.0)}
    latencies = speed.time_in_turn(answers, [0, 1], 1, 40)
    pairs = list(zip(asked[::2], asked[1::2], strict=True))
    assert len(pairs) == 41
    for number, pair in enumerate(pairs):
        assert sorted(pair) == [("quick", number % 2), ("slow", number % 2)]
    first = [pair[0][0] for pair in pairs]
    assert 10 < first.count("slow") < 31
    assert first != first[:2] * 20 + first[:1]
    # 40 are timed: 20 of each query
    assert latencies["slow"]["queries"] == 40
    assert latencies["slow"]["median_seconds"] == pytest.approx(12)
    assert latencies["quick"]["median_seconds"] == pytest.approx(1.5)
    assert latencies["quick"]["p95_seconds"] == pytest.approx(2)
