"""Training end to end: every method with every variant, determinism, kill and resume, errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from tiny_settings import make_settings

from medhash import methods
from medhash.configuration import relevant_settings
from medhash.configuration.declarations import declaration_of
from medhash.data.splits.manifest import rows_of
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow.code import fingerprint
from medhash.methods.families.hashing import Coded
from medhash.retrieval.codes import Codes
from medhash.retrieval.evaluation import evaluate
from medhash.schema.cell import Cell
from medhash.schema.settings import OptimisationSettings, Settings
from medhash.schema.variants import VARIANTS
from medhash.training.cells import train_cell
from medhash.training.devices import choose_device
from medhash.training.encoding import encode_split
from medhash.training.families.hashing import HashingEncoder, build_objective
from medhash.training.loop import PausedError, Run, after, fit
from medhash.training.task import CellInputs

CELL = Cell("ach", "toy", "hashnet", "ach", 8, 0)


def train_labels(files: CellInputs) -> torch.Tensor:
    labels = torch.from_numpy(np.load(files.data_folder / "labels.npy")).float()
    return labels[rows_of(files.split, "train")]


def states_of(folder: Path) -> list[str]:
    states: list[str] = json.loads((folder / "training.json").read_text())["states"]
    return states


def map_of(codes: Codes) -> float:
    return evaluate(codes).metrics["map"]


HASHING = [name for name in methods.names() if declaration_of(name).family == "hashing"]
PAIRS = [
    (method, variant)
    for method in HASHING
    for variant, parts in VARIANTS.items()
    if set(parts) <= declaration_of(method).plugs
]


@pytest.mark.parametrize(("method", "variant"), PAIRS)
def test_every_method_trains_with_every_variant_that_it_takes(
    method, variant, settings, files, out
):
    train_cell(Cell("ach", "toy", method, variant, 8, 0), settings, files, out, device="cpu")
    losses = pd.read_csv(out / "train.csv")
    parts = set(VARIANTS[variant])
    expected = {"epoch", "learning_rate", "similarity", *further_terms(method, settings, files)}
    expected |= {"counterfactual"} if "lcr" in parts else set()
    expected |= {"factual"} if "lfr" in parts else set()
    assert set(losses.columns) == expected
    assert losses["epoch"].tolist() == [1, 2, 3, 4]
    assert Codes.load(out / "codes.npz").bits == 8


def test_the_six_methods_of_ach_take_everything():
    everything = {"dsh", "hashnet", "adsh", "csq", "dbdh", "transhash"}
    assert {(method, variant) for method in everything for variant in VARIANTS} <= set(PAIRS)


def further_terms(method: str, settings: Settings, files: CellInputs) -> set[str]:
    """The names of a method's terms beside the similarity."""
    labels, device = train_labels(files), choose_device("cpu", precision="float32", threads=1)
    built = build_objective(
        Cell("ach", "toy", method, "none", 8, 0), settings, labels, device
    ).method
    rows = torch.arange(4).repeat(1 + built.companions_each)
    codes, pooled = torch.zeros(len(rows), 8), torch.zeros(len(rows), settings.network.width)
    return set(built.further_terms(Coded(codes, pooled, labels[rows], rows, 4)))


@pytest.mark.parametrize("method", HASHING)
def test_training_learns_what_is_easy(method, files, out):
    hashing = {"epochs": 25, "batch_size": 16, "learning_rate": 3e-3}
    cell = Cell("ach", "toy", method, "none", 8, 0)
    quick = make_settings(hashing=hashing, methods={"osdh": {"stage_epochs": 8}})
    train_cell(cell, quick, files, out, device="cpu")
    assert map_of(Codes.load(out / "codes.npz")) > 0.85


def test_same_seed_same_bytes(settings, files, tmp_path):
    for name in ("first", "second"):
        train_cell(CELL, settings, files, tmp_path / name, device="cpu")
    for file in ("codes.npz", "checkpoint.safetensors", "train.csv"):
        first, second = (tmp_path / name / file for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_other_seed_other_weights(settings, files, tmp_path):
    for seed in (0, 1):
        cell = Cell("ach", "toy", "hashnet", "none", 8, seed)
        train_cell(cell, settings, files, tmp_path / str(seed), device="cpu")
    hashes = {sha256_of_file(tmp_path / str(seed) / "checkpoint.safetensors") for seed in (0, 1)}
    assert len(hashes) == 2


def test_training_file_tells_what_only_training_knows(settings, files, out):
    train_cell(CELL, settings, files, out, device="cpu")
    facts = json.loads((out / "training.json").read_text())
    assert facts["selection"] == "last-epoch"
    assert facts["epochs"] == facts["evaluated_epoch"] == len(set(facts["states"])) == 4
    assert facts["method_settings"] == {"sharpness": 10.0, "continuation_epochs": 20}
    assert facts["parameters"] > 1000
    assert facts["device"]["type"] == "cpu"
    assert len(facts) == 7
    assert not list(out.glob(".*"))


def test_codes_are_the_sign_of_the_checkpoint(settings, files, out):
    """Rebuild the network from its checkpoint and code one image by hand."""
    train_cell(CELL, settings, files, out, device="cpu")
    device = choose_device("cpu", precision="float32", threads=1)
    labels = train_labels(files)
    objective = build_objective(CELL, settings, labels, device)
    with safe_open(out / "checkpoint.safetensors", framework="pt") as stream:
        state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    network = objective.network
    network.load_state_dict(
        {n.removeprefix("network."): t for n, t in state.items() if n.startswith("network.")}
    )
    codes = Codes.load(out / "codes.npz")
    images = torch.from_numpy(np.load(files.data_folder / "images.npy"))
    network.eval()
    for rows, packed in (
        (codes.query_rows, codes.query_codes),
        (codes.database_rows, codes.database_codes),
    ):
        for row, code in zip(rows, packed, strict=True):
            bits = (network(images[row][None])[0] >= 0).numpy()
            assert (np.packbits(bits) == code).all()


class TestResume:
    @pytest.mark.parametrize("method", HASHING)
    def test_killed_and_resumed_ends_in_the_same_bytes(self, method, files, tmp_path):
        """A process is killed after its second epoch; a second one goes on."""
        variant = "ach" if (method, "ach") in PAIRS else "dbw"
        cell = f"ach/toy/{method}/{variant}/8/0"
        whole, killed = tmp_path / "whole", tmp_path / "killed"
        train_cell(Cell.parse(cell), make_settings(), files, whole, device="cpu")
        self._kill_after_two_epochs(cell, files, killed)
        assert not (killed / "codes.npz").exists()
        train_cell(Cell.parse(cell), make_settings(), files, killed, device="cpu")
        for file in ("codes.npz", "checkpoint.safetensors", "train.csv"):
            assert (whole / file).read_bytes() == (killed / file).read_bytes()
        states = [
            json.loads((at / "training.json").read_text())["states"] for at in (whole, killed)
        ]
        assert states[0] == states[1]
        assert len(set(states[0])) == 4
        assert not list(killed.glob(".*"))

    def _kill_after_two_epochs(self, cell: str, files: CellInputs, folder: Path) -> None:
        slow = Path(__file__).with_name("slow_training.py")
        arguments = [cell, files.data_folder, files.split, files.pretrained, folder]
        process = subprocess.Popen([sys.executable, slow, *arguments])
        deadline = time.monotonic() + 120
        while not (folder / "two_epochs_done").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def test_the_state_of_other_settings_is_left_aside(self, files, tmp_path):
        other = make_settings(dbw={"population": "batch"})
        self._kill_after_two_epochs("ach/toy/hashnet/ach/8/0", files, tmp_path / "cell")
        train_cell(CELL, other, files, tmp_path / "cell", device="cpu")
        train_cell(CELL, other, files, tmp_path / "fresh", device="cpu")
        first, second = (tmp_path / n / "codes.npz" for n in ("cell", "fresh"))
        assert first.read_bytes() == second.read_bytes()

    @pytest.mark.parametrize("epochs", [1, 3])
    def test_the_first_epochs_suffice_to_compare_states(self, epochs, settings, files, tmp_path):
        whole, first = tmp_path / "whole", tmp_path / "first"
        train_cell(CELL, settings, files, whole, device="cpu")
        with pytest.raises(PausedError, match=f"stopped after epoch {epochs} of 4") as paused:
            train_cell(CELL, settings, files, first, device="cpu", pause=after(epochs))
        assert paused.value.states == states_of(whole)[:epochs]
        scratch = Cell("ach", "toy", "hashnet", "ach", 8, 0, "scratch")
        with pytest.raises(PausedError) as paused:
            train_cell(scratch, settings, files, tmp_path / "other", device="cpu", pause=after(1))
        assert paused.value.states[0] not in states_of(whole)

    def test_it_really_goes_on(self, settings, files, tmp_path, capfd):
        self._kill_after_two_epochs("ach/toy/hashnet/ach/8/0", files, tmp_path / "cell")
        capfd.readouterr()
        train_cell(CELL, settings, files, tmp_path / "cell", device="cpu")
        lines = capfd.readouterr().err
        assert "1 of 4" not in lines
        assert "4 of 4" in lines


class TestErrors:
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_non_finite_loss_names_epoch_batch_and_term(self, bad, settings, files, out):
        device = choose_device("cpu", precision="float32", threads=1)
        from medhash.training.images import load_images

        images = load_images(files.data_folder, files.split, "train", device.torch_device)
        objective = build_objective(CELL, settings, images.labels, device)
        count = iter(range(100))
        honest = objective.terms

        def broken(batch, generator):
            terms = honest(batch, generator)
            # three batches an epoch: this is the second batch of the third epoch
            return terms | (
                {"regularisation": terms["similarity"] * bad} if next(count) == 7 else {}
            )

        objective.terms = broken
        run = Run("train toy", 0, device, out / ".resume.safetensors", "x")
        with pytest.raises(
            MedhashError, match=r"'regularisation' is (nan|inf) in epoch 3, batch 2"
        ):
            fit(objective, images, settings.hashing, run)
        with safe_open(out / ".resume.safetensors", framework="pt") as stream:
            kept = [stream.get_tensor(name) for name in stream.keys()]  # noqa: SIM118
        assert all(tensor.isfinite().all() for tensor in kept)

    def test_diverging_training_stops_and_leaves_no_result(self, files, out):
        hashing = {"epochs": 3, "batch_size": 16, "learning_rate": 1e30}
        with pytest.raises(MedhashError, match=r"loss term .* in epoch"):
            train_cell(CELL, make_settings(hashing=hashing), files, out, device="cpu")
        assert not (out / "codes.npz").exists()
        assert not (out / "training.json").exists()

    def test_backbone_of_another_shape(self, files, out):
        network = {"image_size": 16, "patch_size": 4, "width": 32, "depth": 1, "heads": 2}
        with pytest.raises(MedhashError, match=r"classification\.safetensors: this backbone"):
            train_cell(CELL, make_settings(network=network), files, out, device="cpu")

    def test_damaged_backbone(self, settings, files, out, tmp_path):
        broken = tmp_path / "classification.safetensors"
        broken.write_bytes(files.pretrained.read_bytes()[:1000])
        inputs = CellInputs(files.data_folder, files.split, broken)
        with pytest.raises(MedhashError, match="the checkpoint cannot be read"):
            train_cell(CELL, settings, inputs, out, device="cpu")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_absent_gpu(self, settings, files, out):
        with pytest.raises(MedhashError, match="torch sees no GPU"):
            train_cell(CELL, settings, files, out, device="cuda")


class TestSelection:
    def test_best_epoch_is_kept_and_named(self, files, out):
        evaluation = {"selection": "best-query-map"}
        scores = iter([0.3, 0.9, 0.5, 0.4])
        settings = make_settings(evaluation=evaluation)
        train_cell(CELL, settings, files, out, device="cpu", score=lambda codes: next(scores))
        facts = json.loads((out / "training.json").read_text())
        assert facts["selection"] == "best-query-map"
        assert facts["evaluated_epoch"] == 2
        short = out.with_name("short")
        hashing = settings.hashing.model_copy(update={"epochs": 2})
        train_cell(CELL, make_settings(hashing=hashing.model_dump()), files, short, device="cpu")
        assert (short / "codes.npz").read_bytes() == (out / "codes.npz").read_bytes()

    @pytest.mark.parametrize("file", [".resume.safetensors", ".best.safetensors"])
    def test_a_damaged_state_is_named_and_training_begins_again(self, file, files, out, capsys):
        settings = make_settings(evaluation={"selection": "best-query-map"})
        whole = out.with_name("whole")
        train_cell(CELL, settings, files, whole, device="cpu", score=map_of)
        with pytest.raises(PausedError):
            train_cell(CELL, settings, files, out, device="cpu", score=map_of, pause=after(2))
        content = bytearray((out / file).read_bytes())
        content[-9] ^= 1
        (out / file).write_bytes(content)
        train_cell(CELL, settings, files, out, device="cpu", score=map_of)
        assert f"{file} is damaged" in capsys.readouterr().err
        for name in ("codes.npz", "checkpoint.safetensors", "train.csv"):
            assert (whole / name).read_bytes() == (out / name).read_bytes()
        assert not list(out.glob(".*"))

    def test_needs_a_score(self, files, out):
        settings = make_settings(evaluation={"selection": "best-query-map"})
        with pytest.raises(MedhashError, match="no score"):
            train_cell(CELL, settings, files, out, device="cpu")


def test_learned_database_codes_replace_the_networks(settings, files):
    device = choose_device("cpu", precision="float32", threads=1)
    labels = train_labels(files)
    own = make_settings(methods={"adsh": {"learned_database": True}})
    objective = build_objective(Cell("ach", "toy", "adsh", "none", 8, 0), own, labels, device)
    encoder = HashingEncoder(objective, device)
    codes = encode_split(encoder, files.data_folder, files.split)
    expected = np.packbits(objective.method.database_codes.numpy() > 0, axis=1)
    assert (codes.database_codes == expected).all()


class TestOnAlexNet:
    """A network without patches, of smaller images than the stored ones, from random weights."""

    @pytest.fixture
    def larger(self, files, tmp_path) -> CellInputs:
        folder = tmp_path / "larger"
        folder.mkdir()
        images = np.load(files.data_folder / "images.npy").repeat(5, axis=1).repeat(5, axis=2)
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", np.load(files.data_folder / "labels.npy"))
        return CellInputs(folder, files.split, None)

    @pytest.fixture
    def alexnet(self) -> Settings:
        network = {"kind": "alexnet", "image_size": 67, "width": 0.02, "initialisation": "torch"}
        hashing = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01}
        hashing |= {"optimiser": "sgd", "momentum": 0.9}
        hashing |= {"schedule": "step", "step_epochs": 2, "step_factor": 0.6}
        own = {"network": network, "hashing": hashing, "stored_size": 80}
        return make_settings(**own, methods={"osdh": {"stage_epochs": 2, "scales": [1, 2, 4]}})

    @pytest.mark.parametrize("cell", ["ach/toy/osdh/none/8/0", "ach/toy/osdh/dbw/8/0"])
    def test_osdh_trains_and_resumes_to_the_same_bytes(self, cell, alexnet, larger, tmp_path):
        whole, paused = tmp_path / "whole", tmp_path / "paused"
        train_cell(Cell.parse(cell), alexnet, larger, whole, device="cpu")
        with pytest.raises(PausedError):
            train_cell(Cell.parse(cell), alexnet, larger, paused, device="cpu", pause=after(3))
        train_cell(Cell.parse(cell), alexnet, larger, paused, device="cpu")
        for file in ("codes.npz", "checkpoint.safetensors", "train.csv"):
            assert (whole / file).read_bytes() == (paused / file).read_bytes()
        losses = pd.read_csv(whole / "train.csv")
        assert losses["learning_rate"].tolist() == pytest.approx(
            [0.01, 0.01, 0.006, 0.006, 0.0036, 0.0036]
        )

    def test_it_learns_what_is_easy(self, alexnet, larger, tmp_path):
        network = alexnet.network.model_copy(update={"width": 0.1, "dropout": 0.0})
        quick = OptimisationSettings(epochs=10, batch_size=16, learning_rate=2e-3)
        settings = alexnet.model_copy(
            update={"network": network, "hashing": quick, "methods": {"osdh": {"scales": [1]}}}
        )
        train_cell(
            Cell.parse("ach/toy/osdh/none/8/0"), settings, larger, tmp_path / "c", device="cpu"
        )
        assert map_of(Codes.load(tmp_path / "c" / "codes.npz")) > 0.85

    def test_another_hashing_method_stands_on_it_but_cannot_blank_patches(
        self, alexnet, larger, tmp_path
    ):
        settings = alexnet.model_copy(update={"start": "scratch"})
        train_cell(
            Cell.parse("ach/toy/csq/dbw/8/0"), settings, larger, tmp_path / "dbw", device="cpu"
        )
        assert Codes.load(tmp_path / "dbw" / "codes.npz").bits == 8
        cell = Cell.parse("ach/toy/csq/lcr/8/0")
        with pytest.raises(MedhashError, match="'alexnet' has no grid of patch tokens"):
            train_cell(cell, settings, larger, tmp_path / "lcr", device="cpu")

    def test_dsh_trains_its_own_network_from_scratch(self, alexnet, larger, tmp_path):
        """As OSDH's comparator: linear outputs, and stored images that are shrunk."""
        quick = OptimisationSettings(epochs=10, batch_size=16, learning_rate=2e-3)
        settings = make_settings(
            network={"kind": "dsh", "image_size": 32, "resize": "shrink"},
            hashing=quick.model_dump(),
            stored_size=80,
            start="scratch",
            methods={"dsh": {"activation": "linear"}},
        )
        cell = Cell.parse("osdh/toy/dsh/none/8/0")
        train_cell(cell, settings, larger, tmp_path, device="cpu")
        assert map_of(Codes.load(tmp_path / "codes.npz")) > 0.85

    def test_osdh_trains_with_lists_of_the_batch(self, alexnet, larger, tmp_path):
        network = alexnet.network.model_copy(update={"width": 0.1, "dropout": 0.0})
        quick = OptimisationSettings(epochs=10, batch_size=16, learning_rate=2e-3)
        own = {"scales": [1], "lists": "batch"}
        settings = alexnet.model_copy(
            update={"network": network, "hashing": quick, "methods": {"osdh": own}}
        )
        cell = Cell.parse("ach/toy/osdh/none/8/0")
        train_cell(cell, settings, larger, tmp_path, device="cpu")
        assert map_of(Codes.load(tmp_path / "codes.npz")) > 0.85

    def test_the_version_knows_this_backbone_and_no_other(self, alexnet):
        cell = Cell.parse("ach/toy/osdh/none/8/0")
        modules = relevant_settings.modules_of(alexnet, cell)
        reached = set(fingerprint("medhash.training.cells", *modules)["modules"])
        assert "medhash.models.backbones.alexnet" in reached
        assert "medhash.models.backbones.vit" not in reached
        assert "medhash.models.mae" not in reached
