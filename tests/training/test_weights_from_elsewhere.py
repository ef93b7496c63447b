"""A network starts from the weights of a file, whosever names its tensors have."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from tiny_settings import make_settings

from medhash.configuration.loading import check_weights, load
from medhash.errors import MedhashError
from medhash.files import sha256_of_file
from medhash.flow.receipts import Receipts, read
from medhash.flow.running import Job, run_step
from medhash.flow.steps import Steps
from medhash.models import backbones
from medhash.schema.settings import NetworkSettings, VitSettings
from medhash.training.checkpoints import load_backbone, load_tensors
from medhash.training.pretraining import pretrain
from medhash.training.weights_from_elsewhere import PUBLISHED_NAMES, renamed, take_weights

VIT = VitSettings(image_size=16, patch_size=4, width=12, depth=2, heads=3)


def timm_s_vit() -> torch.nn.Module:
    return timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=12, depth=2, num_heads=3, num_classes=5
    )


def file_of(network: torch.nn.Module, folder: Path) -> Path:
    file = folder / "elsewhere.safetensors"
    save_file(network.state_dict(), file)
    return file


@torch.no_grad()
def test_resnet_of_torchvision_gives_the_same_features(tmp_path):
    theirs = torchvision.models.resnet50(num_classes=3).eval()
    network = NetworkSettings(kind="resnet50", image_size=64)
    take_weights(file_of(theirs, tmp_path), network, tmp_path / "ours.safetensors")
    ours = backbones.build(network).eval()
    load_backbone(ours, tmp_path / "ours.safetensors")
    theirs.fc = torch.nn.Identity()
    images = torch.randint(256, (2, 64, 64, 3), dtype=torch.uint8)
    assert torch.allclose(ours(images), theirs(ours.normalise(images)), rtol=1e-4)


@torch.no_grad()
def test_vit_of_timm_gives_the_same_features(tmp_path):
    theirs = timm_s_vit().eval()
    take_weights(file_of(theirs, tmp_path), VIT, tmp_path / "ours.safetensors")
    ours = backbones.build(VIT).eval()
    load_backbone(ours, tmp_path / "ours.safetensors")
    pixels = torch.randn(2, 3, 16, 16)
    patches = theirs.norm(theirs.blocks(theirs._pos_embed(theirs.patch_embed(pixels))))[:, 1:]
    assert torch.allclose(ours.norm(ours.encode(ours.embed(pixels))), patches, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "own"), [("vgg16_bn", {}), ("resnet101", {}), ("alexnet", {"layout": "torchvision"})]
)
def test_every_tensor_of_torchvision_s_networks_has_its_place(kind, own):
    size = {"alexnet": 227, "vgg16_bn": 224}.get(kind, 256)
    with torch.device("meta"):
        theirs = getattr(torchvision.models, kind)(weights=None).state_dict()
        ours = backbones.build(NetworkSettings(kind=kind, image_size=size, **own)).state_dict()
    found = renamed(theirs, kind)
    assert {n: found[n].shape for n in ours if n not in ("mean", "deviation")} == {
        n: t.shape for n, t in ours.items() if n not in ("mean", "deviation")
    }
    # Only the layer of ImageNet's classes is left over.
    assert {n.rpartition(".")[0] for n in set(found) - set(ours)} <= {"classifier.6", "fc"}


def test_networks_with_published_names_exist():
    assert set(PUBLISHED_NAMES) <= set(backbones.kinds())


def test_pretraining_starts_from_them(files, tmp_path):
    settings = make_settings()
    network = backbones.build(settings.network)
    with torch.no_grad():
        network.norm.bias.fill_(7)
    take_weights(file_of(network, tmp_path), settings.network, tmp_path / "start.safetensors")
    frozen = settings.mae.model_copy(update={"learning_rate": 1e-9, "epochs": 1})
    pretrain(
        "mae",
        settings.model_copy(update={"mae": frozen}),
        files.data_folder,
        files.split,
        tmp_path / "mae.safetensors",
        previous=tmp_path / "start.safetensors",
    )
    trained, _ = load_tensors(tmp_path / "mae.safetensors")
    assert torch.allclose(trained["norm.bias"], torch.tensor(7.0), atol=1e-3)
    assert trained["mean"].min() > 1, "measured, not taken"


def test_what_does_not_fit_is_named(tmp_path):
    out = tmp_path / "ours.safetensors"
    whole = timm_s_vit()
    with pytest.raises(MedhashError, match=r"pos_embed' is of shape \[1, 17, 12\].*\[1, 65, 12\]"):
        take_weights(file_of(whole, tmp_path), VIT.model_copy(update={"image_size": 32}), out)
    del whole.blocks[1]
    with pytest.raises(MedhashError, match=r"no tensor 'transformer.blocks.1.norm1.weight'"):
        take_weights(file_of(whole, tmp_path), VIT, out)
    (tmp_path / "elsewhere.safetensors").write_bytes(b"PK\x03\x04")
    with pytest.raises(MedhashError, match=r"elsewhere.safetensors: the file of weights cannot"):
        take_weights(tmp_path / "elsewhere.safetensors", VIT, out)
    with pytest.raises(MedhashError, match=r"gone.safetensors: no such file; name a .safetensors"):
        take_weights(tmp_path / "gone.safetensors", VIT, out)
    assert not out.exists()


RUN = {"scale": "demo", "run": "elsewhere", "papers": ["ynet"]}
VIEW = "ynet/phantom_origa_fundus"


def configured(**weights: str):
    return load(overrides=RUN | {"weights": weights})


def test_the_shared_classifier_waits_for_them():
    configuration = configured(vgg16_bn="w/vgg.safetensors")
    steps = Steps(configuration)
    classifier = steps.of("pretrain", VIEW, "vgg16_bn")
    weights = steps.of("weights", "ynet/vgg16_bn")
    assert classifier.inputs["previous"] == weights.outputs["weights"]
    assert weights.inputs == {"file": Path("w/vgg.safetensors")}
    assert "previous" not in steps.of("pretrain", VIEW, "resnet50").inputs
    with pytest.raises(MedhashError, match="unknown network 'resnet50'"):
        steps.of("weights", "ynet/resnet50")


def test_the_receipt_names_the_file_by_hash(tmp_path, monkeypatch):
    (tmp_path / "config").symlink_to(Path("config").resolve())
    monkeypatch.chdir(tmp_path)
    configuration = configured(vgg16_bn="elsewhere.safetensors")
    network = backbones.build(configuration.starting_network("ynet", "vgg16_bn"))
    file = file_of(network, tmp_path)
    step = Steps(configuration).of("weights", "ynet/vgg16_bn")
    run_step(configuration, Steps(configuration), step, Job())
    assert read(step)["inputs"]["file"]["sha256"] == sha256_of_file(file)
    assert Receipts(Steps(configuration)).fits(step).ok
    save_file(network.state_dict() | {"further": torch.zeros(1)}, file)
    assert Receipts(Steps(configuration)).fits(step).state == "refused"
    file.unlink()
    assert Receipts(Steps(configuration)).fits(step).ok, "known by its receipt"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"vgg16_b": "a.safetensors"}, "weights.vgg16_b: unknown network 'vgg16_b'; did you mean"),
        ({"vgg16_bn": "a.pth"}, "weights.vgg16_bn: a.pth: is no .safetensors file"),
        ({"vit": "a.safetensors"}, "weights.vit: no network of this run is pretrained from it"),
    ],
)
def test_what_nothing_starts_from_is_refused(weights, said):
    with pytest.raises(MedhashError, match=said):
        configured(**weights)


def test_a_file_that_is_not_there_is_named_before_anything_runs():
    with pytest.raises(MedhashError, match=r"weights.vgg16_bn: a.safetensors: no such file"):
        check_weights(configured(vgg16_bn="a.safetensors"), ["vgg16_bn"])
