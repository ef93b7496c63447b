"""MTH's triplets and terms against loops over the text's Section 3.3."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from medhash.methods.families.hashing import Coded, References
from medhash.methods.mth import Method, MthSettings

BITS, WIDTH = 6, 10
CLASSES = [0, 0, 1, 1, 1, 2]
LABELS = torch.eye(3)[CLASSES]


def make(labels=LABELS, **own) -> Method:
    torch.manual_seed(3)
    method = Method(MthSettings(**own), BITS, labels, torch.Generator().manual_seed(0))
    method.stand_on(WIDTH)
    return method


def batch(method: Method, dtype=torch.float64) -> Coded:
    """All six images as anchors, behind them their positives and negatives."""
    generator = torch.Generator().manual_seed(5)
    rows = torch.arange(6)
    if method.companions_each:
        rows = torch.cat([rows, method.companions(rows, generator).flatten()])
    codes = torch.rand(len(rows), BITS, generator=generator, dtype=dtype) * 2 - 1
    features = torch.rand(len(rows), WIDTH, generator=generator, dtype=dtype)
    method.to(dtype)
    return Coded(codes, features, LABELS[rows].to(dtype), rows, 6)


def length(vector) -> float:
    return math.sqrt(sum(float(x) ** 2 for x in vector))


def class_cost(scores, own: int) -> float:
    values = [math.exp(float(score)) for score in scores]
    return -math.log(values[own] / sum(values))


def code_terms(method: Method, coded: Coded) -> torch.Tensor:
    references = References(coded.codes, coded.labels)
    target = method.target(coded.labels[: coded.anchors], references)
    return method.similarity_loss(coded.codes[: coded.anchors], references, target)


@pytest.mark.parametrize("power", [1, 2])
def test_drawn_triplets_cost_what_the_text_says(power):
    own = {"code_margin": 0.7, "feature_margin": 0.3, "code_weight": 0.5, "feature_weight": 2.0}
    method = make(**own, distance="norm" if power == 1 else "squared-norm")
    coded = batch(method)
    found = code_terms(method, coded)
    features = method.further_terms(coded)["features"]
    for anchor in range(6):
        positive, negative = 6 + 2 * anchor, 7 + 2 * anchor
        for values, costs, margin, weight in (
            (coded.codes, found, 0.7, 0.5),
            (coded.pooled, features, 0.3, 2.0),
        ):
            near = length(values[anchor] - values[positive]) ** power
            far = length(values[anchor] - values[negative]) ** power
            assert costs[anchor].item() == pytest.approx(weight * max(0, near - far + margin))


def test_all_triplets_of_a_batch_are_averaged():
    method = make(triplets="batch", code_margin=1.0)
    coded = batch(method)
    assert len(coded.rows) == 6
    found = code_terms(method, coded)
    for anchor in range(6):
        costs = []
        for positive, negative in product(range(6), repeat=2):
            same = positive != anchor and CLASSES[positive] == CLASSES[anchor]
            if same and CLASSES[negative] != CLASSES[anchor]:
                near = length(coded.codes[anchor] - coded.codes[positive])
                far = length(coded.codes[anchor] - coded.codes[negative])
                costs.append(max(0.0, near - far + 1.0))
        expected = sum(costs) / len(costs) if costs else 0.0
        assert found[anchor].item() == pytest.approx(expected)
    assert found[5].item() == 0.0  # alone in its class


@pytest.mark.parametrize("triplets", ["drawn", "batch"])
def test_both_class_terms_are_summed_over_a_triplet(triplets):
    method = make(triplets=triplets, semantic_weight=0.4, category_weight=1.5)
    coded = batch(method)
    terms = method.further_terms(coded)
    layers = {"semantic": (method.projection, coded.codes, 0.4)}
    layers["category"] = (method.category, coded.pooled, 1.5)
    for name, (layer, values, weight) in layers.items():
        for anchor in range(6):
            members = [anchor]
            if triplets == "drawn":
                members += [6 + 2 * anchor, 7 + 2 * anchor]
            cost = 0.0
            for member in members:
                scores = [
                    sum(w * x for w, x in zip(row, values[member].tolist(), strict=True)) + bias
                    for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
                ]
                cost += class_cost(scores, CLASSES[coded.rows[member]])
            assert terms[name][anchor].item() == pytest.approx(weight * cost)


def test_the_codes_margin_is_the_root_of_their_length_by_default():
    assert make().code_margin == pytest.approx(math.sqrt(BITS))
    assert make(code_margin=0.0).code_margin == 0.0


def test_positives_share_the_class_and_negatives_do_not():
    method, rows = make(), torch.arange(6)
    drawn = torch.stack(
        [method.companions(rows, torch.Generator().manual_seed(seed)) for seed in range(400)]
    )
    for anchor in range(6):
        positives, negatives = (set(drawn[:, anchor, place].tolist()) for place in (0, 1))
        alike = {row for row in range(6) if CLASSES[row] == CLASSES[anchor]}
        assert positives == (alike - {anchor} or alike)
        assert negatives == set(range(6)) - alike
    counts = torch.bincount(drawn[:, 2, 0], minlength=6)
    assert abs(int(counts[3]) - int(counts[4])) < 80


def test_gradients_reach_codes_and_features():
    method = make(code_margin=3.0, feature_margin=3.0)
    coded = batch(method)

    def total(codes, features):
        moved = Coded(codes, features, coded.labels, coded.rows, coded.anchors)
        return code_terms(method, moved).sum() + sum(
            values.sum() for values in method.further_terms(moved).values()
        )

    inputs = tuple(part.clone().requires_grad_() for part in (coded.codes, coded.pooled))
    assert torch.autograd.gradcheck(total, inputs)


def test_an_image_that_is_its_own_positive_has_a_finite_gradient():
    method = make(code_margin=3.0)
    codes = torch.zeros(3, BITS, requires_grad=True)
    target = torch.tensor([[1.0, 1.0, -1.0]])
    method.similarity_loss(codes[:1], References(codes, LABELS[[0, 0, 2]]), target).sum().backward()
    assert torch.isfinite(codes.grad).all()


@pytest.mark.parametrize(
    ("ablation", "gone"),
    [
        ({"code_weight": 0, "feature_weight": 0}, {"similarity", "features"}),
        ({"feature_weight": 0}, {"features"}),
        ({"semantic_weight": 0}, {"semantic"}),
        ({"category_weight": 0}, {"category"}),
    ],
)
def test_ablations_leave_terms_out(ablation, gone):
    method = make(**ablation, code_margin=9.0, feature_margin=9.0)
    coded = batch(method)
    terms = {"similarity": code_terms(method, coded)} | method.further_terms(coded)
    assert {name for name, values in terms.items() if not values.any()} == gone
