"""Positioning, masking, counterfactual targets and weights against loops over ACH Eq. 14-26."""

from __future__ import annotations

import math

import pytest
import torch

from medhash.causal.class_codes import ClassCodes
from medhash.causal.lcr import (
    LesionReasoning,
    Scene,
    counterfactual_targets,
    crop_segments,
    frequency_scores,
    gather_tokens,
)
from medhash.causal.masking import blank_out, lesion_boxes
from medhash.causal.positioning import (
    active_map,
    choose_key_points,
    draw_key_points,
    salient_area,
    segment_corners,
    segment_patches,
)
from medhash.schema.settings import LcrSettings

GRID, BITS, WIDTH = 5, 6, 7


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_active_map_is_equation_14(generator):
    features = torch.randn(2, GRID * GRID, WIDTH, generator=generator)
    found = active_map(features, GRID)
    for image in range(2):
        for h in range(GRID):
            for w in range(GRID):
                channels = [features[image, h * GRID + w, d].item() for d in range(WIDTH)]
                assert found[image, h, w].item() == pytest.approx(sum(channels) / WIDTH, abs=1e-6)


def test_salient_area_is_equation_15(generator):
    activity = torch.randn(6, GRID, GRID, generator=generator)
    found = salient_area(activity, (3, 2))
    for image in range(6):
        sums = {
            (top, left): activity[image, top : top + 3, left : left + 2].sum().item()
            for top in range(GRID - 2)
            for left in range(GRID - 1)
        }
        assert tuple(found[image].tolist()) == max(sums, key=sums.__getitem__)


def test_key_points_fill_the_area_and_nothing_else(generator):
    area = torch.tensor([[1, 2], [0, 0]])
    points = draw_key_points(area, (3, 2), 500, generator)
    assert points.shape == (2, 500, 2)
    for image, (top, left) in enumerate(area.tolist()):
        expected = {(top + i, left + j) for i in range(3) for j in range(2)}
        assert set(map(tuple, points[image].tolist())) == expected


def test_segments_have_their_size_and_stay_inside():
    points = torch.tensor([[h, w] for h in range(GRID) for w in range(GRID)])
    corners = segment_corners(points, (3, 2), GRID)
    places = segment_patches(corners, (3, 2), GRID)
    for point, corner, found in zip(points.tolist(), corners.tolist(), places, strict=True):
        assert 0 <= corner[0] <= GRID - 3
        assert 0 <= corner[1] <= GRID - 2
        expected = [(corner[0] + i) * GRID + corner[1] + j for i in range(3) for j in range(2)]
        assert found.tolist() == expected
        assert point[0] * GRID + point[1] in expected
        if 1 <= point[0] <= GRID - 2 and 1 <= point[1] <= GRID - 1:
            assert corner == [point[0] - 1, point[1] - 1]


def test_choice_is_the_nearest_segment():
    points = torch.tensor([[[0, 0], [1, 1], [2, 2]], [[3, 3], [4, 4], [0, 1]]])
    distances = torch.tensor([[0.5, 0.2, 0.9], [0.1, 0.1, 0.3]])
    assert choose_key_points(points, distances).tolist() == [[1, 1], [3, 3]]


@pytest.mark.parametrize("point", [(0, 0), (2, 3), (4, 4)])
def test_boxes_are_equation_18(point):
    scales = ((1, 1), (2, 2), (3, 2), (4, 4))
    boxes = lesion_boxes(torch.tensor([point]), scales, GRID)[0]
    for scale, (height, width) in enumerate(scales):
        for h in range(GRID):
            for w in range(GRID):
                top, left = point[0] - height // 2, point[1] - width // 2
                inside = top <= h < top + height and left <= w < left + width
                assert boxes[scale, h * GRID + w] == inside


def test_blanking_goes_scale_by_scale(generator):
    tokens = torch.randn(2, 4, 3, generator=generator)
    blank = torch.randn(1, 4, 3, generator=generator)
    hidden = torch.rand(2, 3, 4, generator=generator) < 0.5
    found = blank_out(tokens, blank, hidden)
    assert found.shape == (6, 4, 3)
    for image in range(2):
        for scale in range(3):
            for patch in range(4):
                source = blank[0] if hidden[image, scale, patch] else tokens[image]
                assert torch.equal(found[image * 3 + scale, patch], source[patch])


def test_gathering_tokens(generator):
    tokens = torch.randn(2, 6, 3, generator=generator)
    places = torch.tensor([[[0, 5], [2, 2]], [[1, 3], [4, 0]]])
    found = gather_tokens(tokens, places)
    for image in range(2):
        for segment in range(2):
            expected = tokens[image, places[image, segment]]
            assert torch.equal(found[image * 2 + segment], expected)


def test_crops_are_enlarged_segments():
    pixels = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(1, 3, 1, 1)
    crop = crop_segments(pixels, torch.tensor([[[1, 0]]]), (1, 1), grid=2)
    assert crop.shape == (1, 3, 4, 4)
    inside = pixels[0, 0, 2:4, 0:2]
    assert crop.min() >= inside.min()
    assert crop.max() <= inside.max()
    whole = crop_segments(pixels, torch.tensor([[[0, 0]]]), (2, 2), grid=2)
    assert torch.equal(whole, pixels)


def test_targets_are_equation_21(generator):
    codes = torch.randn(4, BITS, generator=generator).tanh()
    reference_codes = torch.randn(5, BITS, generator=generator).tanh()
    classes, reference_classes = [0, 1, 2, 0], [0, 0, 1, 1, 0]
    eye = torch.eye(3)
    found = counterfactual_targets(codes, eye[classes], reference_codes, eye[reference_classes])
    for i, own in enumerate(classes):
        alike = [j for j, c in enumerate(reference_classes) if c == own]
        left = [float(codes[i] @ reference_codes[j]) / BITS for j in alike]
        mean = sum(left) / len(left) if left else 0.0
        for j, c in enumerate(reference_classes):
            expected = 0.0 if c == own else mean
            assert found[i, j].item() == pytest.approx(expected, abs=1e-6)


def test_frequency_scores_are_equation_22():
    distances = torch.tensor([[1.0, 5.0], [3.0, 2.0], [2.0, 4.0]])
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    scores = frequency_scores(distances, labels)
    assert scores[:2, 0].tolist() == [2.0, 0.0]
    assert scores[2, 1] == 0.0


class LinearEncoder:
    """A hashing network that can be followed by hand: the mean token, projected, tanh."""

    grid = GRID

    def __init__(self) -> None:
        self.weight = torch.randn(WIDTH, BITS, generator=torch.Generator().manual_seed(2))
        self.learning: list[bool] = []
        self.blank = torch.randn(1, GRID**2, WIDTH, generator=torch.Generator().manual_seed(4))

    def code(self, tokens: torch.Tensor) -> torch.Tensor:
        self.learning.append(torch.is_grad_enabled())
        return (tokens.mean(dim=1) @ self.weight).tanh()

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.flatten(2).mean(dim=2)[:, :1, None].expand(-1, GRID**2, WIDTH)

    def blank_tokens(self) -> torch.Tensor:
        return self.blank


def squares(codes: torch.Tensor, others: tuple, target: torch.Tensor) -> torch.Tensor:
    return (codes @ others[0].T / BITS - target).pow(2).sum(dim=1)


@pytest.fixture
def scene(generator) -> Scene:
    labels = torch.eye(2)[[0, 1, 0]]
    pixels = torch.randn(3, 3, 10, 10, generator=generator)
    tokens = torch.randn(3, GRID**2, WIDTH, generator=generator)
    features = torch.randn(3, GRID**2, WIDTH, generator=generator)
    return Scene(pixels, tokens, features, labels)


@pytest.fixture
def memory(generator) -> ClassCodes:
    labels = torch.eye(2)[[0, 1, 0, 1, 1]]
    memory = ClassCodes(labels, BITS)
    memory.remember(torch.arange(5), torch.randn(5, BITS, generator=generator).tanh())
    return memory


SETTINGS = LcrSettings(window=(3, 3), segment=(2, 3), key_points=4, mask_scales=((1, 1), (3, 3)))


def test_lesion_is_the_segment_nearest_to_the_class(scene, memory):
    """Eq. 16-17: redraw the same key points and try every segment."""
    encoder = LinearEncoder()
    found = LesionReasoning(SETTINGS, memory).locate(
        scene, encoder, torch.Generator().manual_seed(11)
    )
    area = salient_area(active_map(scene.features, GRID), (3, 3))
    points = draw_key_points(area, (3, 3), 4, torch.Generator().manual_seed(11))
    for image in range(3):
        own = [j for j in range(5) if memory.labels[j] @ scene.labels[image] > 0]
        distances = []
        for point in points[image]:
            corner = segment_corners(point, (2, 3), GRID)
            patches = [(corner[0] + i) * GRID + corner[1] + j for i in range(2) for j in range(3)]
            code = encoder.code(scene.tokens[image, patches][None])[0]
            pulls = [(float(code @ memory.codes[j]) / BITS - 1) ** 2 for j in own]
            distances.append(sum(pulls) / len(pulls))
        best = min(range(4), key=distances.__getitem__)
        assert found.key_point[image].tolist() == points[image, best].tolist()


def masked_by_hand(
    scene: Scene, encoder: LinearEncoder, image: int, point: list[int], size: tuple[int, int]
) -> dict[bool, torch.Tensor]:
    """Codes of one image with the box blanked (False) and with all else blanked (True)."""
    top, left = point[0] - size[0] // 2, point[1] - size[1] // 2
    codes = {}
    for factual in (False, True):
        tokens = scene.tokens[image].clone()
        for patch in range(GRID**2):
            h, w = divmod(patch, GRID)
            inside = top <= h < top + size[0] and left <= w < left + size[1]
            if inside != factual:
                tokens[patch] = encoder.blank[0, patch]
        codes[factual] = encoder.code(tokens[None])[0]
    return codes


def cost_by_hand(
    code: torch.Tensor, references: torch.Tensor, same: list[int], factual: bool
) -> float:
    """The squared loss of one masked image against every reference (Eq. 8, 21)."""
    left = sum(float(code @ references[j]) / BITS for j in same) / len(same)
    alike, unlike = (1.0, -1.0) if factual else (0.0, left)
    targets = [alike if j in same else unlike for j in range(len(references))]
    return sum(
        (float(code @ v) / BITS - target) ** 2
        for v, target in zip(references, targets, strict=True)
    )


@pytest.mark.parametrize("factual", [False, True])
@pytest.mark.parametrize("weights", ["intraclass", "uniform"])
def test_loss_is_equation_23(scene, memory, factual, weights):
    settings = SETTINGS.model_copy(update={"weights": weights})
    encoder, reasoning = LinearEncoder(), LesionReasoning(settings, memory, factual=factual)
    references = torch.randn(4, BITS, generator=torch.Generator().manual_seed(5)).tanh()
    reference_labels = torch.eye(2)[[0, 1, 1, 0]]
    seeds = (torch.Generator().manual_seed(11) for _ in range(2))
    found = reasoning.loss(
        scene,
        encoder,
        squares,
        (references, reference_labels),
        next(seeds),
    )
    points = reasoning.locate(scene, encoder, next(seeds)).key_point.tolist()
    total = 0.0
    for c in range(2):
        own = [memory.codes[j] for j in range(5) if memory.labels[j, c]]
        same = [j for j in range(4) if reference_labels[j, c]]
        distances, costs = [], []
        for image in (i for i in range(3) if scene.labels[i, c]):
            for size in settings.mask_scales:
                code = masked_by_hand(scene, encoder, image, points[image], size)[factual]
                distances.append(sum((float(code @ b) / BITS - 1) ** 2 for b in own) / len(own))
                costs.append(cost_by_hand(code, references, same, factual))
        strength = 1.0 if weights == "intraclass" else 0.0
        powers = [math.exp(strength * (max(distances) - r)) for r in distances]
        total += sum(p / sum(powers) * cost for p, cost in zip(powers, costs, strict=True))
    assert found.item() == pytest.approx(total / 2, rel=1e-4)


def test_crop_encoding_is_an_alternative(scene, memory):
    settings = SETTINGS.model_copy(update={"segment_encoding": "crop"})
    lesions = LesionReasoning(settings, memory).locate(
        scene, LinearEncoder(), torch.Generator().manual_seed(11)
    )
    assert lesions.key_point.shape == (3, 2)


def test_gradient_reaches_the_tokens_but_not_the_search(scene, memory):
    tokens = scene.tokens.clone().requires_grad_()
    features = scene.features.clone().requires_grad_()
    watched = Scene(scene.pixels, tokens, features, scene.labels)
    references = torch.ones(1, BITS), torch.tensor([[1.0, 0.0]])
    encoder = LinearEncoder()
    loss = LesionReasoning(SETTINGS, memory).loss(
        watched,
        encoder,
        squares,
        references,
        torch.Generator().manual_seed(1),
    )
    loss.backward()
    assert tokens.grad.abs().sum() > 0
    assert features.grad is None
    assert encoder.learning == [False, True]
