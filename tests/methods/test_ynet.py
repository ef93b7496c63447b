import pytest
import torch
from torch.nn.functional import log_softmax

from medhash.errors import MedhashError
from medhash.methods import ynet, ynet_no_fpn, ynet_reals
from medhash.models.metric_losses import circle_loss
from medhash.schema.settings import NetworkSettings

NETWORK = NetworkSettings(kind="ynet_main", image_size=64, width=0.125)
LABELS = torch.eye(2)[[0, 1, 0, 1, 0, 1]]


def method_of(length=16, module=ynet, seed=0, **settings):
    torch.manual_seed(seed)
    own = module.Method.Settings(**{"region_channels": 24} | settings)
    generator = torch.Generator().manual_seed(seed + 1)
    return module.Method(own, NETWORK, length, 2, generator, 3)


def batch(seed=3):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(6, 3, 64, 64, generator=generator)
    return pixels, torch.randint(3, (6, 64, 64), generator=generator).to(torch.uint8)


def used_to_images(method):
    """After batch normalisation has seen images; a new network's maps are almost nothing."""
    for module in method.train().modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        method.look(batch()[0])
    return method.eval()


def losses_of(method, masks=None):
    pixels, drawn = batch()
    outputs = method.train().look(pixels)
    return outputs, method.losses(outputs, LABELS, drawn if masks is None else masks)


def core_gradient(method, name):
    """What one loss alone does to the last convolution of the main branch."""
    method.zero_grad()
    losses_of(method)[1][name].sum().backward()
    weight = next(method.network.stages[3].parameters())
    return 0.0 if weight.grad is None else weight.grad.abs().max().item()


def test_the_coupled_loss_is_made_of_both():
    outputs, sums = losses_of(method_of(loss="sum"))
    _, coupled = losses_of(method_of(omega=0.25))
    scores, masks = outputs.pixels.detach(), batch()[1].long()
    pixels = -log_softmax(scores, dim=1).gather(1, masks[:, None])[:, 0]
    assert torch.allclose(sums["segmentation"], pixels.flatten(1).mean(dim=1))
    circle = circle_loss(outputs.regions, LABELS, scale=32, margin=0.25)
    assert torch.equal(sums["classification"], circle)
    assert torch.allclose(coupled["segmentation"], 0.25 * sums["segmentation"])
    assert torch.allclose(coupled["classification"], 0.75 * sums["classification"])


@pytest.mark.parametrize("name", ["segmentation", "classification"])
def test_each_branch_alone_reaches_the_core(name):
    assert core_gradient(method_of(), name) > 0
    cut = {"segmentation": {"segmentation": False}, "classification": {"classification": "none"}}
    _, left = losses_of(method_of(**cut[name]))
    assert list(left) == [{"segmentation": "classification"}.get(name, "segmentation")]


def test_a_branch_alone_has_its_whole_loss():
    outputs, alone = losses_of(method_of(segmentation=False))
    assert torch.equal(
        alone["classification"], circle_loss(outputs.regions, LABELS, scale=32, margin=0.25)
    )
    assert outputs.pixels is None


def test_cross_entropy_in_place_of_the_circle_loss():
    method = method_of(classification="cross-entropy", loss="sum")
    outputs, losses = losses_of(method)
    expected = -log_softmax(method.classes(outputs.regions), dim=1)[LABELS.bool()]
    assert torch.allclose(losses["classification"], expected)
    assert core_gradient(method, "classification") > 0


def test_without_branches_triplets_train_the_hash_layer():
    cut = {"segmentation": False, "classification": "none"}
    method = method_of(**cut)
    outputs, losses = losses_of(method)
    numbers = method.hashing(outputs.core)
    d = (numbers[0] - numbers).square().mean(dim=1)
    missed = [max(0, (d[p] - d[n]).item() + 8) for p in (2, 4) for n in (1, 3, 5)]
    assert losses["triplet"][0].item() == pytest.approx(sum(missed) / 6)
    assert core_gradient(method, "triplet") > 0
    losses["triplet"].sum().backward()
    assert method.hashing[1].weight.grad.abs().max() > 0
    both = losses_of(method_of(**cut, main="triplet-cross-entropy"))[1]
    assert list(both) == ["triplet", "cross_entropy"]
    untrained = method_of(**cut, main="untrained")
    assert not untrained.is_trained()
    assert losses_of(untrained)[1] == {}


def test_a_batch_of_one_class_trains_by_masks_alone():
    method = method_of()
    pixels, masks = batch()
    losses = method.losses(method.train().look(pixels), torch.eye(2)[[0] * 6], masks)
    assert losses["classification"].tolist() == [0] * 6
    sum(each.sum() for each in losses.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


def test_a_class_of_pixels_that_no_mask_holds():
    masks = batch()[1].clamp(max=1)
    method = method_of()
    _, losses = losses_of(method, masks)
    losses["segmentation"].sum().backward()
    assert method.fpn.masks.weight.grad.isfinite().all()


def test_omega_is_trained_only_where_it_is_asked_for():
    fixed, learned = method_of(), method_of(learned_omega=True)
    names = [{name for name, _ in method.named_parameters()} for method in (fixed, learned)]
    assert names[1] - names[0] == {"omega"}
    losses_of(learned)[1]["segmentation"].sum().backward()
    assert learned.omega.grad > 0


def test_the_number_of_bits_changes_no_trained_weight():
    states = [dict(method_of(bits).named_parameters()) for bits in (4, 16, 36)]
    assert {len(state) for state in states} == {len(states[0])}
    for name, weight in states[0].items():
        assert all(torch.equal(weight, state[name]) for state in states[1:]), name
    # With the network's, the global generator is where it was: what comes next is the same, too.
    after = [(method_of(bits), torch.rand(3))[1] for bits in (4, 36)]
    assert torch.equal(*after)


def test_the_code_is_of_the_main_branch_alone():
    method = used_to_images(method_of())
    pixels = batch()[0]
    with torch.no_grad():
        outputs = method.look(pixels)
        described = method.aggregate(outputs)
    assert outputs.pixels is None
    assert outputs.regions is None
    assert torch.equal(described, method.hashing(outputs.core))
    assert 0 < (described >= 0).float().mean() < 1


def test_means_without_a_threshold_give_one_code_and_with_one_several():
    pixels = batch()[0]
    thresholds = ("zero", "train-mean")
    zero, mean = (used_to_images(method_of(hash="mean", threshold=t)) for t in thresholds)
    with torch.no_grad():
        assert (zero.aggregate(zero.look(pixels)) >= 0).all()
        assert not zero.is_fitted()
        assert mean.is_fitted()
        mean.fit(mean.fit_sees(mean.look(pixels)))
        numbers = mean.aggregate(mean.look(pixels))
    assert numbers.mean(dim=0).tolist() == pytest.approx([0] * 16, abs=1e-6)
    assert len(set(map(tuple, (numbers >= 0).tolist()))) > 1


def test_real_numbers_are_those_before_the_sign():
    pixels = batch()[0]
    methods = method_of(), method_of(module=ynet_reals, cosine=False), method_of(module=ynet_reals)
    bits, plain, unit = map(used_to_images, methods)
    with torch.no_grad():
        numbers = bits.aggregate(bits.look(pixels))
        assert torch.equal(plain.aggregate(plain.look(pixels)), numbers)
        lengths = unit.aggregate(unit.look(pixels)).norm(dim=1)
    assert lengths.tolist() == pytest.approx([1] * 6)
    assert (bits.distance, plain.distance) == ("hamming", "euclidean")


def test_without_masks_there_is_no_fpn_branch():
    method = method_of(module=ynet_no_fpn)
    assert method.fpn is None
    assert "masks" not in method.needs
    with pytest.raises(ValueError, match="segmentation"):
        method_of(module=ynet_no_fpn, segmentation=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"region_levels": 5}, "Y-Net: a map of 2x2 places has no 5 levels"),
        ({"hash": "mean", "shape": "deep", "length": 9}, "Y-Net: the means of 32 channels"),
    ],
)
def test_what_the_network_cannot_give_is_refused(settings, message):
    with pytest.raises(MedhashError, match=message):
        method_of(**settings)
