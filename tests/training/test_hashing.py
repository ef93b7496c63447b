"""How the objective plugs a method, DBW and LCR together (ACH Algorithm 1)."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_settings import make_settings

from medhash.causal.dbw import DebiasedWeighting
from medhash.causal.lcr import Scene, counterfactual_targets
from medhash.methods.families.hashing import similarity
from medhash.schema.cell import Cell
from medhash.training.devices import choose_device
from medhash.training.families.hashing import HashingEncoder, build_objective
from medhash.training.hashing import HashingObjective
from medhash.training.images import Batch

LABELS = torch.eye(2)[torch.arange(24) % 2]


def objective_of(method: str, variant: str, **changes: object) -> HashingObjective:
    # without augmentation, so that codes can be computed again
    hashing = {"epochs": 4, "batch_size": 16, "learning_rate": 3e-3}
    settings = make_settings(hashing=hashing, **changes)
    device = choose_device("cpu", precision="float32", threads=1)
    return build_objective(Cell("ach", "toy", method, variant, 8, 0), settings, LABELS, device)


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (10, 16, 16, 3), dtype=torch.uint8, generator=generator)
    rows = torch.randperm(24, generator=generator)[:10]
    return Batch(images, LABELS[rows], rows)


def terms(objective: HashingObjective, batch: Batch) -> dict[str, torch.Tensor]:
    return objective.terms(batch, torch.Generator().manual_seed(1))


def per_sample(objective: HashingObjective, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The codes and each sample's similarity loss, computed apart from the objective."""
    method = objective.method
    codes = method.relax(objective.network(batch.images))
    references = method.references(codes, batch.labels)
    target = similarity(batch.labels, references.labels)
    return codes, method.similarity_loss(codes, references, target)


@pytest.mark.parametrize("method", ["hashnet", "csq", "adsh"])
def test_without_plug_ins_the_loss_is_the_mean(method, batch):
    objective = objective_of(method, "none")
    _, losses = per_sample(objective, batch)
    assert terms(objective, batch)["similarity"].item() == pytest.approx(losses.mean().item())


@pytest.mark.parametrize("variant", ["dbw", "ach", "dbw+lfr"])
def test_dbw_reduces_the_same_values(variant, batch):
    objective = objective_of("csq", variant)
    codes, losses = per_sample(objective, batch)
    found = terms(objective, batch)["similarity"].item()
    weighting = DebiasedWeighting(objective.settings.dbw, objective.class_codes)
    expected = weighting.reduce(losses, codes, batch.labels, batch.rows).item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != pytest.approx(losses.mean().item(), rel=1e-5)


@pytest.mark.parametrize("method", ["dsh", "adsh", "csq", "dbdh"])
@pytest.mark.parametrize("population", ["train", "batch"])
def test_dbw_weighs_the_whole_loss_of_a_sample(method, population, batch):
    objective = objective_of(method, "dbw", dbw={"population": population})
    found = terms(objective, batch)["regularisation"].item()
    codes = objective.method.relax(objective.network(batch.images))
    costs = objective.method.regularisation(codes, batch.rows)
    weighting = DebiasedWeighting(objective.settings.dbw, objective.class_codes)
    assert found == pytest.approx(
        weighting.reduce(costs, codes, batch.labels, batch.rows).item(), rel=1e-5
    )
    assert found != pytest.approx(costs.mean().item(), rel=1e-5)


@pytest.mark.parametrize("method", ["hashnet", "dsh", "csq", "adsh", "dbdh", "transhash"])
@pytest.mark.parametrize("variant", ["lcr", "ach"])
def test_the_counterfactual_loss_is_the_methods_own_against_equation_21(method, variant, batch):
    """Without a share or a strength of its own, whatever DBW does to the other terms."""
    objective = objective_of(method, variant)
    found = terms(objective, batch)["counterfactual"]
    pixels = objective.network.backbone.fit(objective.network.backbone.normalise(batch.images))
    tokens, features = objective.coder.look(pixels)
    scene = Scene(pixels, tokens, features, batch.labels)
    own = objective.method
    codes = own.relax(objective.network.project(features)).detach()
    references = own.references(codes, batch.labels)
    reasoning = objective.reasoning
    generator = torch.Generator().manual_seed(1)
    points = reasoning.locate(scene, objective.coder, generator).key_point
    masked = reasoning._masked_codes(scene, points, objective.coder)
    labels = batch.labels.repeat_interleave(2, dim=0)
    target = counterfactual_targets(masked, labels, references.codes, references.labels)
    assert ((target != 0) & (target.abs() < 1)).any()
    weights = reasoning._weights(masked, labels)
    expected = (weights * own.similarity_loss(masked, references, target)).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_share_is_of_variants_without_dbw(batch):
    lcr = {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1]]}
    values = {
        (variant, share): terms(objective_of("csq", variant, lcr=lcr | {"share": share}), batch)[
            "counterfactual"
        ].item()
        for variant in ("lcr", "ach")
        for share in ("equal", "mean", "sum")
    }
    assert values["lcr", "mean"] == pytest.approx(2 * values["lcr", "equal"])
    assert values["lcr", "sum"] == pytest.approx(0.2 * values["lcr", "equal"])
    assert values["ach", "mean"] == values["ach", "sum"] == values["ach", "equal"]


def test_a_batch_is_part_of_the_training_images_that_it_is_compared_with(batch):
    objective = objective_of("dbdh", "none", methods={"dbdh": {"pairs": "training"}})
    codes, _ = per_sample(objective, batch)
    assert terms(objective, batch)["similarity"].item() != pytest.approx(math.log(2), rel=1e-3)
    assert torch.allclose(objective.method.memory[batch.rows], codes)


def test_lcr_leaves_the_methods_own_terms_alone(batch):
    plain, with_lcr = (terms(objective_of("hashnet", v), batch) for v in ("none", "lcr"))
    for name in plain:
        assert plain[name].item() == with_lcr[name].item()
    assert set(with_lcr) - set(plain) == {"counterfactual"}


def test_batch_is_remembered(batch):
    objective = objective_of("hashnet", "none")
    codes, _ = per_sample(objective, batch)
    terms(objective, batch)
    assert torch.allclose(objective.class_codes.codes[batch.rows], codes, atol=1e-6)
    assert objective.class_codes.seen.sum() == 10


def test_lcr_waits_for_its_first_epoch(batch):
    lcr = {"window": [3, 3], "segment": [2, 2], "mask_scales": [[1, 1]], "start_epoch": 2}
    objective = objective_of("hashnet", "lcr", lcr=lcr)
    acts = []
    for epoch in range(4):
        objective.start_epoch(epoch)
        acts.append("counterfactual" in terms(objective, batch))
    assert acts == [False, False, True, True]


def test_the_methods_schedule_advances():
    objective = objective_of("hashnet", "none", methods={"hashnet": {"continuation_epochs": 3}})
    objective.start_epoch(3)
    assert objective.method.beta.item() == pytest.approx(2**0.5)


def test_references_are_constants_in_the_counterfactual_loss(batch, monkeypatch):
    objective = objective_of("hashnet", "lcr")
    honest, moving = objective.method.similarity_loss, []

    def watched(codes, references, target):
        moving.append(references.codes.requires_grad)
        return honest(codes, references, target)

    monkeypatch.setattr(objective.method, "similarity_loss", watched)
    terms(objective, batch)
    assert moving == [True, False]


def test_hyperparameters_reach_the_method():
    objective = objective_of("adsh", "none", methods={"adsh": {"quantisation": 3.0}})
    assert objective.method.settings.quantisation == 3.0


@pytest.mark.parametrize("method", ["csq", "dbdh"])
def test_an_output_of_zero_is_coded_as_plus_one(method, batch):
    objective = objective_of(method, "none")
    torch.nn.init.zeros_(objective.network.head.projection.weight)
    torch.nn.init.zeros_(objective.network.head.projection.bias)
    device = choose_device("cpu", precision="float32", threads=1)
    found = HashingEncoder(objective, device).encode(batch.images.numpy())
    assert found.tolist() == [[255]] * 10
