"""Descriptor and fitted cells: trained, loaded, encoded and measured through the same doors."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_data import write_stripes
from tiny_settings import make_settings, write_receipt

from medhash import methods
from medhash.configuration.relevant_settings import modules_of
from medhash.data.gist import write_gist
from medhash.errors import MedhashError
from medhash.methods import crow
from medhash.models import backbones
from medhash.models.aggregation import crow as aggregated
from medhash.models.aggregation import unit
from medhash.query.encoding import encode_image
from medhash.retrieval.codes import Codes
from medhash.retrieval.descriptors import Descriptors
from medhash.retrieval.evaluation import evaluate
from medhash.retrieval.reading import load
from medhash.schema.cell import Cell
from medhash.trained import speed
from medhash.trained.cell import encode_again, load_encoder
from medhash.trained.explanation import load_cell
from medhash.training.cells import train_cell
from medhash.training.pretraining import pretrain
from medhash.training.task import CellInputs, Task

ITQ = Cell("osdh", "toy", "itq", "none", 6, 0)
CROW = Cell("ynet", "toy", "crow", "none", 26, 0)
NETWORK = {"kind": "vgg16_bn", "image_size": 64, "width": 0.05}
SMALL = {"epochs": 8, "batch_size": 16, "learning_rate": 1e-3}


def settings_of(cell, **changes):
    if cell.method == "crow":
        changes = {"network": NETWORK, "stored_size": 64, "classification": SMALL} | changes
    else:
        changes = {"stored_size": 64} | changes
    return make_settings(**changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stripes")
    write_stripes(folder, 60)
    write_gist(folder / "images.npy", folder / "gist.npy")
    pd.DataFrame({"image_id": range(60), "width": 70, "height": 80}).to_csv(
        folder / "index.csv", index=False
    )
    out = folder / "pretrain" / "vgg16_bn.safetensors"
    pretrain("vgg16_bn", settings_of(CROW), folder, folder / "split.csv", out)
    return folder


def inputs_of(cell, data):
    if cell.method == "itq":
        return CellInputs(data, data / "split.csv", needs=("gist",))
    return CellInputs(data, data / "split.csv", data / "pretrain" / "vgg16_bn.safetensors")


@pytest.fixture(scope="module", params=[ITQ, CROW], ids=str)
def trained(request, data, tmp_path_factory):
    cell, folder = request.param, tmp_path_factory.mktemp("family") / "cell"
    train_cell(cell, settings_of(cell), inputs_of(cell, data), folder, device="cpu")
    return cell, inputs_of(cell, data), folder


def vectors_of(folder):
    (path,) = [*folder.glob("codes.npz"), *folder.glob("descriptors.npz")]
    return load(path)


def test_a_cell_has_codes_or_descriptors_of_its_split(trained):
    cell, _inputs, folder = trained
    vectors = vectors_of(folder)
    assert type(vectors) is (Codes if cell == ITQ else Descriptors)
    assert vectors.length == cell.bits
    assert vectors.query_rows.tolist() == list(range(12))
    assert vectors.database_rows.tolist() == list(range(12, 60))
    facts = json.loads((folder / "training.json").read_text())
    name = {"itq": "codes", "crow": "descriptors"}[cell.method]
    assert facts["epochs"] == len(facts["states"]) == 0
    assert facts["method_settings"] == methods.method_class(cell.method).Settings().model_dump()
    assert {path.name for path in folder.iterdir()} == {
        *("checkpoint.safetensors", "training.json", "train.csv", f"{name}.npz")
    }


def test_what_is_easy_is_retrieved(trained):
    assert evaluate(vectors_of(trained[2])).metrics["map"] > 0.9


def test_the_same_cell_is_the_same_bytes(trained, tmp_path):
    cell, inputs, folder = trained
    train_cell(cell, settings_of(cell), inputs, tmp_path / "again", device="cpu")
    for name in ("checkpoint.safetensors", "train.csv", f"{vectors_of(folder).NOUN}.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_the_checkpoint_gives_the_same_vectors(trained):
    cell, inputs, folder = trained
    task = Task(cell, settings_of(cell), inputs, folder, "cpu")
    kept, again = vectors_of(folder), encode_again(task)
    assert np.array_equal(again.query_vectors, kept.query_vectors)
    assert np.array_equal(again.database_vectors, kept.database_vectors)


def test_one_image_is_encoded_as_its_split_was(trained, data, tmp_path):
    cell, inputs, folder = trained
    receipt = write_receipt(folder).rename(tmp_path / "receipt.json")
    images, kept = np.load(data / "images.npy"), vectors_of(folder)
    for place in (0, 7):
        task = Task(cell, settings_of(cell), inputs, folder, "cpu")
        found = encode_image(task, receipt, images[place])
        assert found == pytest.approx(kept.query_vectors[place], abs=1e-5)


def test_speed_is_measured_through_the_same_door(trained, data, tmp_path, monkeypatch):
    cell, inputs, folder = trained
    monkeypatch.setattr(speed, "WARM_UP", 1)
    monkeypatch.setattr(speed, "TIMED", 3)
    monkeypatch.setattr(speed, "BATCH_SIZE", 2)
    monkeypatch.setattr(speed, "BATCHES", 1)
    receipt = write_receipt(folder).rename(tmp_path / "receipt.json")
    path, task = tmp_path / "speed.json", Task(cell, settings_of(cell), inputs, folder, "cpu")
    speed.measure_speed(task, receipt, path, "small")
    facts = json.loads(path.read_text())
    assert facts["database"] == 48
    assert facts["device"]["type"] == "cpu"


def test_a_checkpoint_of_another_cell_is_refused(trained):
    cell, inputs, folder = trained
    other = replace(cell, seed=1)
    with pytest.raises(MedhashError, match=r"is of the cell toy/.*/0, not toy/.*/1"):
        load_encoder(Task(other, settings_of(cell), inputs, folder, "cpu"))


def test_what_has_no_patches_is_not_explained(trained):
    cell, inputs, folder = trained
    with pytest.raises(MedhashError, match=f"{cell.method} is a (fitted|descriptor) method"):
        load_cell(Task(cell, settings_of(cell), inputs, folder, "cpu"))


def test_itq_s_losses_are_its_objective(data, tmp_path):
    own = settings_of(ITQ, methods={"itq": {"iterations": 7}})
    train_cell(ITQ, own, inputs_of(ITQ, data), tmp_path, device="cpu")
    losses = pd.read_csv(tmp_path / "train.csv")
    assert losses["iteration"].tolist() == [*range(1, 8)]
    assert (losses["objective"].diff().dropna() <= 1e-9).all()


def test_itq_s_codes_are_the_signs_of_its_projection(data, tmp_path):
    train_cell(ITQ, settings_of(ITQ), inputs_of(ITQ, data), tmp_path, device="cpu")
    encoder = load_encoder(Task(ITQ, settings_of(ITQ), inputs_of(ITQ, data), tmp_path))
    features = np.load(data / "gist.npy").astype(np.float64)
    p = encoder.parameters
    signs = (features - p["mean"]) @ p["directions"] @ p["rotation"] >= 0
    assert np.array_equal(vectors_of(tmp_path).query_codes, np.packbits(signs[:12], axis=1))


def test_training_a_fitted_cell_imports_no_torch(data, tmp_path):
    code = (
        "import sys, pathlib; sys.path.insert(0, 'tests/training')\n"
        "from tiny_settings import make_settings\n"
        "from medhash.schema.cell import Cell\n"
        "from medhash.training.cells import train_cell\n"
        "from medhash.trained.cell import encode_again\n"
        "from medhash.training.task import CellInputs, Task\n"
        "data, out = map(pathlib.Path, sys.argv[1:])\n"
        "cell = Cell.parse('osdh/toy/itq/none/6/0')\n"
        "inputs = CellInputs(data, data / 'split.csv', needs=('gist',))\n"
        "train_cell(cell, make_settings(), inputs, out)\n"
        "encode_again(Task(cell, make_settings(), inputs, out))\n"
        "sys.exit(bool({'torch', 'timm', 'torchvision'} & set(sys.modules)))\n"
    )
    subprocess.run([sys.executable, "-c", code, data, tmp_path], check=True)


def test_a_protocol_that_chooses_epochs_does_not_fit(data, tmp_path):
    own = settings_of(ITQ, evaluation={"selection": "best-query-map"})
    with pytest.raises(MedhashError, match="a fitted method has none"):
        train_cell(ITQ, own, inputs_of(ITQ, data), tmp_path, device="cpu")


def test_crow_describes_by_the_shared_classifiers_map(data, tmp_path):
    train_cell(CROW, settings_of(CROW), inputs_of(CROW, data), tmp_path, device="cpu")
    encoder = load_encoder(Task(CROW, settings_of(CROW), inputs_of(CROW, data), tmp_path, "cpu"))
    network = encoder.method.network
    images = torch.from_numpy(np.load(data / "images.npy")[:12])
    with torch.no_grad():
        features = network.features(network.normalise(images))
    maps = features.flatten(2).transpose(1, 2)
    assert maps.shape == (12, 4, 26)
    expected = unit(aggregated(maps)).numpy()
    assert vectors_of(tmp_path).query_descriptors == pytest.approx(expected, abs=1e-5)
    assert np.linalg.norm(expected, axis=1) == pytest.approx(np.ones(12))
    lines = (tmp_path / "train.csv").read_text().splitlines()
    assert lines == ["epoch,learning_rate"]


def test_crow_whitens_by_the_training_images(data, tmp_path):
    own = settings_of(CROW, methods={"crow": {"whiten": "train"}})
    cell = replace(CROW, bits=3)
    train_cell(cell, own, inputs_of(cell, data), tmp_path, device="cpu")
    encoder = load_encoder(Task(cell, own, inputs_of(cell, data), tmp_path, "cpu"))
    method, images = encoder.method, torch.from_numpy(np.load(data / "images.npy")[12:])
    with torch.no_grad():
        network = method.network
        vectors = unit(aggregated(method.look(network.normalise(images)))).double()
        white = (vectors - method.mean) @ method.directions.double()
    assert white.T.cov().numpy() == pytest.approx(np.eye(3), abs=1e-2)
    assert vectors_of(tmp_path).database_descriptors == pytest.approx(unit(white).numpy(), abs=1e-4)


@pytest.mark.parametrize("bits", [25, 512])
def test_a_length_that_the_network_does_not_have_is_refused(data, tmp_path, bits):
    cell = replace(CROW, bits=bits)
    with pytest.raises(MedhashError, match=f"vgg16_bn gives descriptors of 26 .*, not {bits}"):
        train_cell(cell, settings_of(CROW), inputs_of(CROW, data), tmp_path, device="cpu")


def test_crow_needs_its_classifier(data, tmp_path):
    inputs = replace(inputs_of(CROW, data), pretrained=None)
    with pytest.raises(MedhashError, match="no weights were named that its network starts from"):
        train_cell(CROW, settings_of(CROW), inputs, tmp_path, device="cpu")


class Losses(crow.Method):
    """CroW's network, trained to put its first number near the class."""

    def losses(self, outputs, labels, masks):
        assert masks is None
        return {"toy": (outputs.mean(dim=(1, 2)) - labels[:, 0]).square()}


def test_a_descriptor_method_with_losses_is_trained_and_resumed(data, tmp_path, monkeypatch):
    monkeypatch.setattr(crow, "Method", Losses)
    own = settings_of(CROW, hashing=SMALL | {"epochs": 3})
    inputs = inputs_of(CROW, data)
    train_cell(CROW, own, inputs, tmp_path / "whole", device="cpu")
    losses = pd.read_csv(tmp_path / "whole" / "train.csv")
    assert losses.columns.tolist() == ["epoch", "learning_rate", "toy"]
    assert losses["toy"].iloc[-1] < losses["toy"].iloc[0]
    asked = iter([True, False, False])
    with pytest.raises(MedhashError, match="epoch 1"):
        train_cell(CROW, own, inputs, tmp_path / "parts", device="cpu", pause=lambda: next(asked))
    train_cell(CROW, own, inputs, tmp_path / "parts", device="cpu")
    for name in ("checkpoint.safetensors", "descriptors.npz", "train.csv"):
        parts, whole = tmp_path / "parts" / name, tmp_path / "whole" / name
        assert parts.read_bytes() == whole.read_bytes()


def test_families_are_read_without_importing_them():
    code = (
        "import sys; from medhash import methods\n"
        "found = {name: methods.family(name) for name in methods.names()}\n"
        "assert found['crow'] == 'descriptor' and found['itq'] == 'fitted', found\n"
        "assert found['hashnet'] == 'hashing'\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", methods.names())
def test_the_family_that_is_read_is_the_one_that_is_declared(name):
    assert methods.family(name) == methods.method_class(name).family


def test_a_cell_s_version_knows_its_own_family_alone():
    modules = modules_of(settings_of(ITQ), ITQ)
    assert modules == ("medhash.training.families.fitted", "medhash.methods.itq")
    from medhash.flow.code import fingerprint

    reached = fingerprint("medhash.training.cells", *modules)["modules"]
    assert not [name for name in reached if name.startswith("medhash.models")]
    assert "medhash.training.families.hashing" not in reached
    own = Cell("ach", "toy", "hashnet", "none", 8, 0)
    reached = fingerprint("medhash.training.cells", *modules_of(make_settings(), own))["modules"]
    others = {"medhash.training.families.fitted", "medhash.data.gist", "medhash.methods.itq"}
    assert not others & set(reached)
    assert "medhash.models.backbones.vgg16_bn" not in reached


def test_the_backbone_has_torchvision_s_layers():
    import torchvision

    kind = backbones.backbone_class("vgg16_bn")
    settings = kind.Settings(image_size=64)
    torch.manual_seed(0)
    ours = backbones.build(settings)
    theirs = torchvision.models.vgg16_bn(weights=None, init_weights=False)
    shapes = [p.shape for p in theirs.features.parameters()]
    assert [p.shape for p in ours.features.parameters()] == shapes
    hidden = [p.shape for p in theirs.classifier[:6].parameters()]
    assert [p.shape for p in ours.hidden.parameters()] == hidden
    theirs.features.load_state_dict(ours.features.state_dict())
    theirs.classifier[:6].load_state_dict(
        {str(int(n.split(".")[0]) - 2) + n[1:]: t for n, t in ours.hidden.state_dict().items()}
    )
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        pixels = ours.eval().normalise(images)
        expected = theirs.eval().classifier[:6](theirs.avgpool(theirs.features(pixels)).flatten(1))
        assert torch.allclose(ours(images), expected, atol=1e-5)


PROJECT = Path(__file__).parents[2]


def test_the_command_that_trains_a_fitted_cell_imports_no_torch(data, tmp_path):
    """As ``medhash train`` does: the configuration, the step, the training."""
    code = (
        "import sys, pathlib\n"
        "from medhash.commands.options import configuration_of\n"
        "configuration = configuration_of('demo', ['papers=[ynet]', 'run=families'])\n"
        "before = 'torch' in sys.modules\n"  # the first time, methods are asked what they are
        "from medhash.flow.steps import Steps\n"
        "step = Steps(configuration).of('train', 'ynet/phantom_covid_ct/itq/none/8/0')\n"
        "cell = step.cell\n"
        "assert set(step.inputs) == {'gist', 'labels', 'split'}, step.inputs\n"
        "from medhash.training.cells import train_cell\n"
        "from medhash.training.task import CellInputs, Task\n"
        "data, out = map(pathlib.Path, sys.argv[1:])\n"
        "inputs = CellInputs(data, data / 'split.csv', needs=('gist',))\n"
        "train_cell(cell, configuration.settings_of(cell), inputs, out)\n"
        "sys.exit('torch' in sys.modules and not before)\n"
    )
    for _ in range(2):
        command = [sys.executable, "-c", code, data, tmp_path]
        subprocess.run(command, check=True, cwd=PROJECT)
    last = [sys.executable, "-c", code.replace("and not before", ""), data, tmp_path]
    subprocess.run(last, check=True, cwd=PROJECT)
