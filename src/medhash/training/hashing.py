"""The hashing objective: a method, plugged together with DBW, LCR or LFR (ACH Algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from medhash.causal.class_codes import ClassCodes
from medhash.causal.dbw import DebiasedWeighting, mean_reduction
from medhash.causal.lcr import LesionReasoning, Scene
from medhash.errors import MedhashError
from medhash.methods.families.hashing import Coded, HashingMethod, References
from medhash.models.heads import HashingNetwork
from medhash.schema.settings import Settings
from medhash.schema.variants import parts_of, reasons_about_lesions
from medhash.training.devices import Device
from medhash.training.images import Batch, ImageSet, training_view
from medhash.training.loop import Objective


class HashingObjective(Objective):
    """Loss of a batch: the method's, reduced by DBW or the mean, plus LCR's or LFR's.

    Args:
        network: backbone and hash layer.
        method: any hashing method.
        variant: a name of :data:`medhash.schema.variants.VARIANTS`, or an ablation of one.
        settings: ``dbw``, ``lcr`` and ``hashing`` are read.
        labels: float (n, C), 0/1, of the training images.
        device: precision of the network.
    """

    def __init__(
        self,
        network: HashingNetwork,
        method: HashingMethod,
        variant: str,
        settings: Settings,
        labels: Tensor,
        device: Device,
    ) -> None:
        super().__init__()
        self.network = network
        self.method = method
        self.settings = settings
        self.coder = Coder(network, method, device)
        self.class_codes = ClassCodes(labels, method.bits)
        parts = parts_of(variant)
        self.weighting = (
            DebiasedWeighting(settings.dbw, self.class_codes) if "dbw" in parts else None
        )
        self.reasoning = None
        if reasons_about_lesions(variant):
            factual = "lfr" in parts
            self.reasoning = LesionReasoning(
                settings.lcr, self.class_codes, factual=factual, weighted="dbw" in parts
            )
        self.epoch = 0

    def start_epoch(self, epoch: int) -> None:
        """Advance the method's schedule."""
        self.epoch = epoch
        self.method.start_epoch(epoch)

    def batches(self, images: ImageSet, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Batches of ``size`` images, of which a method with companions has fewer anchors."""
        each = self.method.companions_each
        if not each:
            return images.batches(size, generator)
        return images.batches(max(1, size // (1 + each)), generator, self.method.companions)

    def terms(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch's loss terms (Eq. 24)."""
        augmentation = self.settings.hashing.augmentation
        pixels, _ = training_view(batch, self.network.backbone, augmentation, generator)
        tokens, features = self.coder.look(pixels)
        pooled = self.network.backbone.pool(features)
        codes = self.method.relax(self.network.head(features, pooled))
        anchored, rows = _first(codes, batch.anchors), _first(batch.rows, batch.anchors)
        self.class_codes.remember(rows, anchored)
        self.method.before_batch(anchored.detach(), rows)
        references = self.method.references(codes, batch.labels)
        wished = self.method.target(_first(batch.labels, batch.anchors), references)
        per_sample = {"similarity": self.method.similarity_loss(anchored, references, wished)}
        coded = Coded(codes, pooled, batch.labels, batch.rows, batch.anchors)
        per_sample |= self.method.further_terms(coded)
        terms = {name: self._reduce(values, coded) for name, values in per_sample.items()}
        if self.reasoning and self.epoch >= self.settings.lcr.start_epoch:
            scene = Scene(pixels, tokens, features, batch.labels)
            name = "factual" if self.reasoning.factual else "counterfactual"
            terms[name] = self._reason(self.reasoning, scene, references, generator)
        self.method.after_batch(anchored.detach(), rows)
        return terms

    def end_epoch(self, epoch: int) -> None:
        """Let the method take its discrete step."""
        self.method.after_epoch(epoch)

    def _reduce(self, values: Tensor, coded: Coded) -> Tensor:
        """One value a sample, of all or of the anchors, to a scalar."""
        if self.weighting is None:
            return mean_reduction(values)
        parts = (_first(part, len(values)) for part in (coded.codes, coded.labels, coded.rows))
        return self.weighting.reduce(values, *parts)

    def _reason(
        self,
        reasoning: LesionReasoning,
        scene: Scene,
        references: References,
        generator: torch.Generator,
    ) -> Tensor:
        fixed = references.detached()

        def loss_of_codes(codes: Tensor, others: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
            return self.method.similarity_loss(codes, References(*others), target)

        constants = (fixed.codes, fixed.labels)
        return reasoning.loss(scene, self.coder, loss_of_codes, constants, generator)


class Coder:
    """The hashing network as LCR and the objective use it: tokens in, relaxed codes out.

    The network runs in the device's precision; tokens, features and codes come out as float32,
    so that losses are formed in full precision.
    """

    def __init__(self, network: HashingNetwork, method: HashingMethod, device: Device) -> None:
        self.network = network
        self.method = method
        self.device = device
        encode = network.backbone.encode
        self.encode = torch.compile(encode) if device.compile else encode

    @property
    def grid(self) -> int:
        """Patches along one side of the image; a MedhashError for a backbone without patches."""
        grid = self.network.backbone.grid
        if grid is None:
            kind = type(self.network.backbone).__module__.rpartition(".")[2]
            raise MedhashError(
                f"the backbone '{kind}' has no grid of patch tokens, so that no place in the image "
                "can be blanked or explained"
            )
        return grid

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (B, 3, S, S) to tokens and features; of patches (B, N, D) each."""
        with self.device.autocast():
            tokens = self.embed(pixels)
            return tokens, self.encode(tokens).float()

    def embed(self, pixels: Tensor) -> Tensor:
        """Normalised images (B, 3, S, S) to patch tokens (B, N, D)."""
        with self.device.autocast():
            return self.network.backbone.embed(pixels).float()

    def blank_tokens(self) -> Tensor:
        """Patch tokens (1, N, D) of an image of zeros."""
        return self.network.backbone.blank_tokens()

    def code(self, tokens: Tensor) -> Tensor:
        """Patch tokens (B, n, D) to relaxed codes (B, q)."""
        with self.device.autocast():
            features = self.encode(tokens).float()
        return self.code_of_features(features)

    def code_of_features(self, features: Tensor) -> Tensor:
        """Patch features (B, n, D) to relaxed codes (B, q), in full precision."""
        return self.method.relax(self.network.project(features))


def _first(tensor: Tensor, count: int) -> Tensor:
    """The first samples. All of them are the tensor itself: gradients add up as without a slice."""
    return tensor if count == len(tensor) else tensor[:count]
