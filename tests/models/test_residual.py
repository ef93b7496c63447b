import pytest
import torch
import torchvision

from medhash.models import backbones
from medhash.models.aggregation import unit
from medhash.schema.settings import NetworkSettings


def network(kind, **settings):
    torch.manual_seed(0)
    return backbones.build(NetworkSettings(kind=kind, **{"image_size": 64} | settings)).eval()


@pytest.mark.parametrize(("kind", "parameters"), [("resnet50", 23_508_032), ("resnet101", None)])
def test_the_layers_are_torchvision_s(kind, parameters):
    ours, theirs = network(kind), getattr(torchvision.models, kind)(weights=None).eval()
    own, other = ours.state_dict(), theirs.state_dict()
    for name in ("mean", "deviation"):
        own.pop(name)
    last = ("fc.weight", "fc.bias")
    tensors = [tensor for name, tensor in other.items() if name not in last]
    assert sorted(map(str, (t.shape for t in own.values()))) == sorted(
        map(str, (t.shape for t in tensors))
    )
    if parameters:
        assert sum(p.numel() for p in ours.parameters()) == parameters
    theirs.load_state_dict(renamed(own) | {name: other[name] for name in last})
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        pixels = ours.normalise(images)
        theirs.fc = torch.nn.Identity()
        assert torch.allclose(ours(images), theirs(pixels), rtol=1e-4)


def renamed(state):
    """Our names of tensors as torchvision's."""
    stem = {"stem.0": "conv1", "stem.1": "bn1"}
    names = {}
    for name in state:
        if name.startswith("stem"):
            prefix, suffix = name.rsplit(".", 1)
            names[f"{stem[prefix]}.{suffix}"] = state[name]
        else:
            _, stage, rest = name.split(".", 2)
            names[f"layer{int(stage) + 1}.{rest}"] = state[name]
    return names


@torch.no_grad()
def test_without_its_last_stage_the_map_is_twice_as_large():
    whole, cut = network("resnet50", width=0.1), network("resnet50", width=0.1, stages=3)
    pixels = torch.randn(2, 3, 64, 64)
    assert [whole.side, cut.side] == [2, 4]
    assert whole.encode(pixels).shape == (2, 4, 4 * 51)
    assert cut.encode(pixels).shape == (2, 16, 4 * 26)
    kind = backbones.backbone_class("resnet50")
    assert kind.feature_width(cut.settings) == 4 * 26
    assert unit(cut.pool(cut.encode(pixels))).shape == (2, 104)
