"""Schedules, augmentation, and the pretraining stages."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from tiny_settings import make_settings

from medhash.errors import MedhashError, PausedError
from medhash.models import backbones
from medhash.schema.settings import Augmentation, OptimisationSettings, VitSettings
from medhash.training.checkpoints import load_tensors
from medhash.training.devices import choose_device
from medhash.training.images import ImageSet, augment, load_images, training_view
from medhash.training.loop import Objective, Run, after, fit, learning_rate_factor
from medhash.training.machine import seed_for
from medhash.training.pausing import never
from medhash.training.pretraining import pretrain


def optimisation(**changes: object) -> OptimisationSettings:
    return OptimisationSettings.model_validate({"epochs": 10, "learning_rate": 1.0} | changes)


def test_constant_schedule():
    assert {learning_rate_factor(optimisation(), epoch) for epoch in range(10)} == {1.0}


def test_cosine_schedule_with_warm_up():
    settings = optimisation(schedule="cosine", warmup_epochs=2)
    found = [learning_rate_factor(settings, epoch) for epoch in range(10)]
    assert found[:2] == pytest.approx([1 / 3, 2 / 3])
    for step in range(8):
        assert found[2 + step] == pytest.approx((1 + math.cos(math.pi * step / 8)) / 2)


def test_step_schedule_with_warm_up():
    settings = optimisation(schedule="step", step_epochs=3, step_factor=0.6, warmup_epochs=1)
    found = [learning_rate_factor(settings, epoch) for epoch in range(10)]
    assert found == pytest.approx([0.5, 1, 1, 1, 0.6, 0.6, 0.6, 0.36, 0.36, 0.36])


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule": "step"},
        {"schedule": "step", "step_epochs": 3},
        {"schedule": "step", "step_factor": 0.5},
    ],
)
def test_a_step_schedule_needs_its_steps(changes):
    with pytest.raises(ValidationError, match="needs step_epochs and step_factor"):
        optimisation(**changes)


class Line(Objective):
    """Half the squared distance of w x to 3 x, for a weight matrix w of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1, 1))

    def terms(self, batch, generator):
        x = batch.labels[:, :1]
        return {"distance": ((x @ self.weight - 3 * x) ** 2).mean() / 2}


def ones(count: int = 4) -> ImageSet:
    images = torch.zeros(count, 2, 2, 3, dtype=torch.uint8)
    return ImageSet(images, torch.ones(count, 1), np.arange(count))


def trained(tmp_path, **changes: object) -> float:
    """The weight after three steps, one an epoch, whose gradient is w - 3."""
    settings = optimisation(**({"epochs": 3, "batch_size": 4, "learning_rate": 0.1} | changes))
    device = choose_device("cpu", precision="float32", threads=1)
    line = Line()
    fit(line, ones(), settings, Run("line", 0, device, tmp_path / "resume", "x"))
    return line.weight.item()


class TestOptimisers:
    def test_sgd_with_momentum_and_decay(self, tmp_path):
        weight, speed = 1.0, 0.0
        for _ in range(3):
            speed = 0.9 * speed + (weight - 3) + 0.05 * weight
            weight -= 0.1 * speed
        found = trained(tmp_path, optimiser="sgd", momentum=0.9)
        assert found == pytest.approx(weight, rel=1e-6)

    @pytest.mark.parametrize("optimiser", ["adam", "adamw"])
    def test_adam_and_adamw_differ_in_where_decay_goes(self, optimiser, tmp_path):
        weight, first, second = 1.0, 0.0, 0.0
        for step in range(1, 4):
            gradient = weight - 3
            if optimiser == "adam":
                gradient += 0.5 * weight
            else:
                weight -= 0.1 * 0.5 * weight
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            corrected = (second / (1 - 0.999**step)) ** 0.5 + 1e-8
            weight -= 0.1 * first / (1 - 0.9**step) / corrected
        found = trained(tmp_path, optimiser=optimiser, weight_decay=0.5)
        assert found == pytest.approx(weight, rel=1e-5)

    def test_without_a_word_it_is_adamw(self, tmp_path):
        assert trained(tmp_path / "a") == trained(tmp_path / "b", optimiser="adamw")


class TestResumeFile:
    """A file of an unfinished training is whole or refused."""

    def train(self, folder, pause):
        device = choose_device("cpu", precision="float32", threads=1)
        line, settings = Line(), optimisation(epochs=4, batch_size=4, learning_rate=0.1)
        run = Run("line", 0, device, folder / "resume", "x", pause=pause)
        history = fit(line, ones(), settings, run)
        return line.weight.item(), history

    def test_any_damaged_byte_is_named_and_changes_nothing(self, tmp_path, capsys):
        whole = self.train(tmp_path / "whole", pause=never)
        with pytest.raises(PausedError):
            self.train(tmp_path, after(2))
        resume = tmp_path / "resume"
        content = resume.read_bytes()
        good = load_tensors(resume)
        random, accepted = np.random.default_rng(0), 0
        places = {*range(len(content) - 24, len(content)), *random.integers(len(content), size=200)}
        for place in map(int, places):
            changed = bytearray(content)
            changed[place] ^= int(random.integers(1, 256))
            resume.write_bytes(changed)
            assert self.train(tmp_path, pause=never) == whole, place
            said = capsys.readouterr().err
            if "resume is damaged" not in said:
                resume.write_bytes(changed)
                assert load_tensors(resume) == good
                accepted += 1
        assert accepted < 5

    @pytest.mark.parametrize("length", [0, 7, 100, -1])
    def test_a_cut_file_is_named_and_changes_nothing(self, length, tmp_path, capsys):
        whole = self.train(tmp_path / "whole", pause=never)
        with pytest.raises(PausedError):
            self.train(tmp_path, after(2))
        resume = tmp_path / "resume"
        resume.write_bytes(resume.read_bytes()[:length])
        assert self.train(tmp_path, pause=never) == whole
        said = capsys.readouterr().err
        assert f"line: {resume} is damaged" in said
        assert "training starts from the beginning" in said

    def test_a_whole_file_is_used_without_a_word(self, tmp_path, capsys):
        with pytest.raises(PausedError):
            self.train(tmp_path, after(2))
        capsys.readouterr()
        self.train(tmp_path, pause=never)
        assert "damaged" not in capsys.readouterr().err


def test_seeds_are_stable_and_differ():
    assert seed_for(0, "epoch", 1) == seed_for(0, "epoch", 1)
    assert len({seed_for(s, "epoch", e) for s in range(20) for e in range(20)}) == 400
    assert seed_for(0, "epoch", 1) == 123735704575244949


class TestAugmentation:
    def pixels(self) -> torch.Tensor:
        return torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def test_nothing_asked_nothing_done(self):
        pixels = self.pixels()
        assert augment(pixels, Augmentation(), torch.Generator()) is pixels

    def test_flip_mirrors_some_images_and_no_other(self):
        pixels = self.pixels()
        changed = augment(pixels, Augmentation(flip=0.5), torch.Generator().manual_seed(1))
        mirrored = [
            torch.allclose(c, p.flip(2), atol=1e-5) for c, p in zip(changed, pixels, strict=True)
        ]
        same = [torch.allclose(c, p, atol=1e-5) for c, p in zip(changed, pixels, strict=True)]
        assert all(m != s for m, s in zip(mirrored, same, strict=True))
        assert 16 < sum(mirrored) < 48

    def test_crop_keeps_values_inside_the_image(self):
        pixels = self.pixels()
        changed = augment(pixels, Augmentation(least_area=0.3), torch.Generator().manual_seed(1))
        assert changed.shape == pixels.shape
        assert (changed.amax(dim=(2, 3)) <= pixels.amax(dim=(2, 3)) + 1e-5).all()
        assert not torch.allclose(changed, pixels)

    def test_crop_enlarges_a_square_of_the_right_size(self):
        """On an image that shows its own column numbers, the crop's span is its side."""
        ramp = torch.linspace(0, 1, 64).expand(500, 1, 64, 64).clone()
        changed = augment(ramp, Augmentation(least_area=0.25), torch.Generator().manual_seed(3))
        sides = changed[:, 0, 0, -1] - changed[:, 0, 0, 0]
        assert 0.47 < sides.min() < 0.56
        assert 0.97 < sides.max() <= 1.0

    def test_same_generator_same_images(self):
        first, second = (
            augment(self.pixels(), Augmentation(flip=0.5), torch.Generator().manual_seed(4))
            for _ in range(2)
        )
        assert torch.equal(first, second)


def test_batches_cover_every_image_once(files):
    images = load_images(files.data_folder, files.split, "train", torch.device("cpu"))
    batches = list(images.batches(16, torch.Generator().manual_seed(0)))
    assert [len(batch.rows) for batch in batches] == [16, 16, 16]
    rows = torch.cat([batch.rows for batch in batches])
    assert sorted(rows.tolist()) == list(range(48))
    for batch in batches:
        assert torch.equal(batch.images, images.images[batch.rows])
        assert torch.equal(batch.labels, images.labels[batch.rows])


def test_companions_stand_behind_their_anchors(files):
    images = load_images(files.data_folder, files.split, "train", torch.device("cpu"))

    def companions(rows, generator):
        return torch.stack([(rows + 1) % 48, torch.randint(48, rows.shape, generator=generator)], 1)

    batches = list(images.batches(20, torch.Generator().manual_seed(0), companions))
    assert [(batch.anchors, len(batch.rows)) for batch in batches] == [(20, 60), (20, 60), (8, 24)]
    anchors = torch.cat([batch.rows[: batch.anchors] for batch in batches])
    assert sorted(anchors.tolist()) == list(range(48))
    for batch in batches:
        own, others = batch.rows[: batch.anchors], batch.rows[batch.anchors :].view(-1, 2)
        assert torch.equal(others[:, 0], (own + 1) % 48)
        assert torch.equal(batch.images, images.images[batch.rows])
    again = list(images.batches(20, torch.Generator().manual_seed(0), companions))
    assert all(torch.equal(a.rows, b.rows) for a, b in zip(batches, again, strict=True))


class TestMasks:
    """Masks move with their image."""

    @pytest.fixture
    def masked(self, files, tmp_path) -> ImageSet:
        """Masks that say in every pixel what the image says, in steps of 30 grey values."""
        images = np.load(files.data_folder / "images.npy")
        flat = np.broadcast_to(images[:, ::8, ::8, :1] // 30 * 30, (60, 2, 2, 3))
        images = flat.repeat(8, axis=1).repeat(8, axis=2)
        np.save(tmp_path / "images.npy", images)
        np.save(tmp_path / "masks.npy", images[..., 0] // 30)
        np.save(tmp_path / "labels.npy", np.load(files.data_folder / "labels.npy"))
        device = torch.device("cpu")
        return load_images(tmp_path, files.split, "train", device, masks=True)

    @pytest.mark.parametrize("own", [{"image_size": 16}, {"image_size": 8, "resize": "crop"}])
    def test_they_move_with_their_image(self, own, masked):
        network = {"patch_size": 4, "width": 8, "depth": 1, "heads": 1} | own
        backbone = backbones.build(VitSettings.model_validate(network))
        batch = next(masked.batches(48, torch.Generator().manual_seed(0)))
        change = Augmentation(flip=0.5, least_area=0.5)
        pixels, masks = training_view(batch, backbone, change, torch.Generator().manual_seed(1))
        size = own["image_size"]
        assert masks.shape == (48, size, size)
        assert masks.dtype == torch.uint8
        # between two blocks the image is a mixture, elsewhere it says what its mask says
        agree = (pixels[:, 0] / 30 - masks).abs() < 1e-3
        assert agree.float().mean() > 0.75
        assert set(masks.unique().tolist()) <= set(batch.masks.unique().tolist())
        still = batch.masks[:, :size, :size]
        assert not torch.equal(masks, still)

    def test_shrunk_masks_keep_their_class_ids(self, masked):
        network = {"image_size": 4, "patch_size": 4, "width": 8, "depth": 1, "heads": 1}
        backbone = backbones.build(VitSettings(**network, resize="shrink"))
        batch = next(masked.batches(8, torch.Generator().manual_seed(0)))
        _, masks = training_view(batch, backbone, Augmentation(), torch.Generator())
        assert torch.equal(masks, batch.masks[:, 2::4, 2::4])

    def test_they_are_read_only_if_asked_for(self, masked, files):
        assert masked.masks is not None
        images = load_images(files.data_folder, files.split, "train", torch.device("cpu"))
        assert images.masks is None
        assert next(images.batches(8, torch.Generator())).masks is None

    def test_a_dataset_without_masks_is_refused(self, files):
        with pytest.raises(MedhashError, match="this dataset has no masks"):
            load_images(files.data_folder, files.split, "train", torch.device("cpu"), masks=True)


def test_parts_of_a_split(files):
    for part, count in [("train", 48), ("query", 12), ("database", 48)]:
        assert (
            len(load_images(files.data_folder, files.split, part, torch.device("cpu")).rows)
            == count
        )


class TestPretraining:
    def test_classification_starts_from_the_mae(self, files, tmp_path):
        """With no step taken, classification's backbone is the MAE's."""
        mae = files.pretrained.with_name("mae.safetensors")
        still = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-30, "weight_decay": 0.0}
        out = tmp_path / "classification.safetensors"
        pretrain(
            "classification",
            make_settings(classification=still),
            files.data_folder,
            files.split,
            out,
            previous=mae,
        )
        before, after = load_tensors(mae)[0], load_tensors(out)[0]
        assert before.keys() == after.keys()
        assert all(torch.allclose(before[name], after[name], atol=1e-20) for name in before)

    @pytest.mark.parametrize("stage", ["mae", "classification"])
    def test_same_seed_same_bytes(self, stage, settings, files, tmp_path):
        previous = files.pretrained.with_name("mae.safetensors") if stage != "mae" else None
        out = tmp_path / f"{stage}.safetensors"
        pretrain(stage, settings, files.data_folder, files.split, out, previous=previous)
        expected = files.pretrained.with_name(f"{stage}.safetensors")
        assert out.read_bytes() == expected.read_bytes()
        facts = json.loads(out.with_suffix(".json").read_text())
        assert set(facts) == {"device", "epochs", "states"}
        assert len(pd.read_csv(out.with_suffix(".csv"))) == facts["epochs"] == len(facts["states"])

    def test_mae_learns(self, files, tmp_path):
        mae = make_settings().mae.model_copy(update={"epochs": 15, "learning_rate": 5e-3})
        out = tmp_path / "mae.safetensors"
        settings = make_settings(mae=mae.model_dump())
        pretrain("mae", settings, files.data_folder, files.split, out)
        losses = pd.read_csv(out.with_suffix(".csv"))["reconstruction"]
        assert losses.iloc[-1] < 0.95 * losses.iloc[0]

    def test_only_training_images_decide(self, settings, files, tmp_path):
        """Other pixels in the query images give the same weights."""
        folder = tmp_path / "toy"
        folder.mkdir()
        images = np.load(files.data_folder / "images.npy")
        images[:12] = 0
        np.save(folder / "images.npy", images)
        np.save(folder / "labels.npy", np.load(files.data_folder / "labels.npy"))
        out = tmp_path / "mae.safetensors"
        pretrain("mae", settings, folder, files.split, out)
        assert out.read_bytes() == files.pretrained.with_name("mae.safetensors").read_bytes()

    def test_classification_without_mae_is_refused(self, settings, files, tmp_path):
        with pytest.raises(MedhashError, match="starts from the MAE"):
            pretrain(
                "classification",
                settings,
                files.data_folder,
                files.split,
                tmp_path / "classification.safetensors",
            )


def test_bfloat16_runs_and_is_close(files):
    """Autocast changes the last digits of the network, not the loss's own precision."""
    from medhash.schema.cell import Cell
    from medhash.training.families.hashing import build_objective

    images = load_images(files.data_folder, files.split, "train", torch.device("cpu"))
    batch = next(images.batches(16, torch.Generator().manual_seed(0)))
    totals = {}
    for precision in ("float32", "bfloat16"):
        device = choose_device("cpu", precision=precision, threads=1)
        cell = Cell("ach", "toy", "csq", "ach", 8, 0)
        objective: Objective = build_objective(cell, make_settings(), images.labels, device)
        terms = objective.terms(batch, torch.Generator().manual_seed(0))
        assert all(term.dtype == torch.float32 for term in terms.values())
        totals[precision] = sum(terms.values()).item()
    assert totals["bfloat16"] == pytest.approx(totals["float32"], rel=0.05)
