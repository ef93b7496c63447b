"""Eq. 21-23 under every reading, against loops, with three classes; and what carries a gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from medhash.causal.class_codes import ClassCodes
from medhash.causal.dbw import DebiasedWeighting
from medhash.causal.lcr import LesionReasoning, Scene, costs_within_classes
from medhash.schema.settings import DbwSettings, LcrSettings

GRID, BITS, WIDTH, CLASSES = 4, 6, 5, 3
SCALES = ((1, 1), (2, 2), (3, 3))
IMAGES, REFERENCES, KNOWN = [0, 1, 2, 0], [0, 1, 1, 2, 0, 2, 1], [0, 0, 1, 2, 1, 2, 2, 0]
EYE = torch.eye(CLASSES, dtype=torch.float64)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Encoder:
    """The mean token, projected, tanh; the projection learns."""

    grid = GRID

    def __init__(self) -> None:
        self.weight = (2 * normal(2, WIDTH, BITS)).requires_grad_()
        self.blank = normal(4, 1, GRID**2, WIDTH)

    def code(self, tokens: torch.Tensor) -> torch.Tensor:
        return (tokens.mean(dim=1) @ self.weight).tanh()

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def blank_tokens(self) -> torch.Tensor:
        return self.blank


SCENE = Scene(
    normal(6, 4, 3, 8, 8), normal(7, 4, GRID**2, WIDTH), normal(8, 4, GRID**2, WIDTH), EYE[IMAGES]
)
V = normal(9, len(REFERENCES), BITS).tanh()


def memory() -> ClassCodes:
    codes = ClassCodes(EYE[KNOWN], BITS)
    codes.remember(torch.arange(len(KNOWN)), normal(10, len(KNOWN), BITS).tanh())
    return codes


def cubic(codes: torch.Tensor, others: tuple, target: torch.Tensor) -> torch.Tensor:
    """A method's own loss, as unlike Eq. 23's square as can be."""
    return (codes @ others[0].T / BITS - target).abs().pow(3).mean(dim=1)


def masked(image: int, point: list[int], size: int) -> torch.Tensor:
    tokens = SCENE.tokens[image].clone()
    top, left = point[0] - size // 2, point[1] - size // 2
    for patch in range(GRID**2):
        h, w = divmod(patch, GRID)
        if top <= h < top + size and left <= w < left + size:
            tokens[patch] = Encoder().blank[0, patch]
    return tokens


def r_of(code: torch.Tensor, label: int, known: ClassCodes) -> float:
    """Eq. 10 within a class."""
    own = [b for b, c in zip(known.codes, KNOWN, strict=True) if c == label]
    return sum((float(code @ b) / BITS - 1) ** 2 for b in own) / len(own)


def cost_of(code: torch.Tensor, label: int, settings: LcrSettings) -> torch.Tensor:
    """One masked image against V (Eq. 8, 21), its targets plain numbers."""
    present = [float(code.detach() @ v) / BITS for v in V]
    own = [s for s, c in zip(present, REFERENCES, strict=True) if c == label]
    pairs = []
    for v, c, s in zip(V, REFERENCES, present, strict=True):
        if c != label and settings.other_classes == "ignore":
            continue
        other = s if settings.other_classes == "keep" else sum(own) / len(own)
        error = code @ v / BITS - (0.0 if c == label else other)
        pairs.append(error**2 if settings.loss == "squared" else error.abs() ** 3)
    return torch.stack(pairs).mean()


def equation_23(settings: LcrSettings, weighted: bool, encoder: Encoder) -> torch.Tensor:
    """Masks, targets and weights one by one; only codes carry a gradient."""
    known = memory()
    found = LesionReasoning(settings, known).locate(SCENE, encoder, generator())
    total = torch.zeros((), dtype=torch.float64)
    groups = [SCALES] if settings.softmax == "all-scales" else [(scale,) for scale in SCALES]
    for label in range(CLASSES):
        for group in groups:
            powers, costs = [], []
            for image in (i for i, c in enumerate(IMAGES) if c == label):
                for size, _ in group:
                    tokens = masked(image, found.key_point[image].tolist(), size)
                    code = encoder.code(tokens[None])[0]
                    sign = {"intraclass": -1, "intraclass-far": 1, "uniform": 0}[settings.weights]
                    powers.append(math.exp(sign * r_of(code.detach(), label, known)))
                    costs.append(cost_of(code, label, settings))
            for power, cost in zip(powers, costs, strict=True):
                total = total + power / sum(powers) * cost
    share = {"equal": 1 / CLASSES, "mean": 1.0, "sum": 1 / len(IMAGES)}
    return settings.strength * share["equal" if weighted else settings.share] * total


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"strength": 0.25},
        {"share": "sum"},
        {"share": "mean"},
        {"softmax": "each-scale"},
        {"weights": "intraclass-far"},
        {"weights": "uniform", "softmax": "each-scale"},
        {"loss": "squared"},
        {"other_classes": "keep"},
        {"other_classes": "ignore"},
        {"other_classes": "keep", "loss": "squared"},
        {"other_classes": "ignore", "loss": "squared", "share": "sum", "softmax": "each-scale"},
    ],
)
def test_a_reading_is_its_loop_and_so_is_its_gradient(change: dict[str, Any], weighted):
    """Targets and weights are constants: the loop whose gradient it is has them as numbers."""
    base = LcrSettings(window=(3, 3), segment=(2, 2), key_points=3, mask_scales=SCALES)
    settings = base.model_copy(update=change)
    values, gradients = [], []
    for by_hand in (False, True):
        encoder = Encoder()
        if by_hand:
            loss = equation_23(settings, weighted, encoder)
        else:
            reasoning = LesionReasoning(settings, memory(), weighted=weighted)
            constants = V, EYE[REFERENCES]
            loss = reasoning.loss(SCENE, encoder, cubic, constants, generator())
        values.append(loss.item())
        gradients.append(torch.autograd.grad(loss, encoder.weight)[0])
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-7, atol=1e-12)
    assert gradients[0].abs().max() > 1e-4


def test_keeping_every_other_similarity_costs_nothing_there():
    """With Eq. 23's square, only the own class is pushed."""
    kept, ignored = (
        LcrSettings(
            window=(3, 3), segment=(2, 2), mask_scales=SCALES, loss="squared", other_classes=name
        )
        for name in ("keep", "ignore")
    )
    one_class = torch.zeros(1, CLASSES, dtype=torch.float64)
    one_class[0, 0] = 1
    scene = Scene(*(each[:1] for each in (SCENE.pixels, SCENE.tokens, SCENE.features)), one_class)
    losses = [
        LesionReasoning(settings, memory())
        .loss(scene, Encoder(), cubic, (V, EYE[REFERENCES]), generator())
        .item()
        for settings in (kept, ignored)
    ]
    own = REFERENCES.count(0)
    assert losses[0] == pytest.approx(losses[1] * own / len(REFERENCES), rel=1e-9)


def test_a_class_that_v_lacks_costs_nothing():
    codes, labels, only = normal(12, 4, BITS).tanh(), EYE[IMAGES], EYE[[1] * len(REFERENCES)]
    found = costs_within_classes(codes, labels, cubic, (V, only))
    expected = (codes[1] @ V.T / BITS).abs().pow(3).mean()
    assert found.tolist() == pytest.approx([0.0, expected.item(), 0.0, 0.0])


class TestDbwOfAPartlySeenTrainingSet:
    """In the first epoch the memory holds some of the samples."""

    SEEN = torch.tensor([0, 2, 3, 5, 6, 7])

    def loop(self, losses: torch.Tensor) -> float:
        """Eq. 12 over what was seen, divided by the number of classes."""
        known, total = memory(), 0.0
        for label in range(CLASSES):
            inside = [i for i in self.SEEN.tolist() if KNOWN[i] == label]
            own = [known.codes[i] for i in inside]
            r = [
                sum((float(known.codes[i] @ b) / BITS - 1) ** 2 for b in own) / len(own)
                for i in inside
            ]
            powers = [math.exp(value) for value in r]
            total += sum(
                p / sum(powers) * float(losses[i]) for p, i in zip(powers, inside, strict=True)
            )
        return total / CLASSES

    def test_batches_average_to_equation_12_over_what_was_seen(self):
        whole, partly = memory(), ClassCodes(EYE[KNOWN], BITS)
        partly.remember(self.SEEN, whole.codes[self.SEEN])
        weighting = DebiasedWeighting(DbwSettings(), partly)
        losses = torch.rand(len(KNOWN), generator=generator(), dtype=torch.float64)
        parts = [
            weighting.reduce(losses[rows], whole.codes[rows], EYE[KNOWN][rows], rows).item()
            for rows in self.SEEN.split(2)
        ]
        assert sum(parts) / 3 == pytest.approx(self.loop(losses), rel=1e-9)
