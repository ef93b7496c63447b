"""The hashing objective: a method, plugged together with DBW, LCR or LFR (ACH Algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from medhash.causal.class_codes import ClassCodes
from medhash.causal.dbw import DebiasedWeighting, mean_reduction
from medhash.causal.lcr import LesionReasoning, Scene
from medhash.methods.families.hashing import HashingMethod, References, similarity
from medhash.models.heads import HashingNetwork
from medhash.schema.settings import Settings
from medhash.schema.variants import parts_of, reasons_about_lesions
from medhash.training.devices import Device
from medhash.training.images import Batch, augment
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
            self.reasoning = LesionReasoning(settings.lcr, self.class_codes, factual=factual)
        self.epoch = 0

    def start_epoch(self, epoch: int) -> None:
        """Advance the method's schedule."""
        self.epoch = epoch
        self.method.start_epoch(epoch)

    def terms(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """The batch's loss terms (Eq. 24)."""
        pixels = self.network.backbone.normalise(batch.images)
        pixels = augment(pixels, self.settings.hashing.augmentation, generator)
        tokens, features = self.coder.look(pixels)
        codes = self.coder.code_of_features(features)
        self.class_codes.remember(batch.rows, codes)
        references = self.method.references(codes, batch.labels)
        terms = self._method_terms(batch, codes, references)
        if self.reasoning and self.epoch >= self.settings.lcr.start_epoch:
            scene = Scene(pixels, tokens, features, batch.labels)
            name = "factual" if self.reasoning.factual else "counterfactual"
            terms[name] = self._reason(self.reasoning, scene, references, generator)
        self.method.after_batch(codes.detach(), batch.rows)
        return terms

    def end_epoch(self, epoch: int) -> None:
        """Let the method take its discrete step."""
        self.method.after_epoch(epoch)

    def _method_terms(
        self, batch: Batch, codes: Tensor, references: References
    ) -> dict[str, Tensor]:
        target = similarity(batch.labels, references.labels)
        per_sample = {
            "similarity": self.method.similarity_loss(codes, references, target),
            "regularisation": self.method.regularisation(codes, batch.rows),
        }
        if self.weighting is None:
            return {name: mean_reduction(values) for name, values in per_sample.items()}
        return {
            name: self.weighting.reduce(values, codes, batch.labels, batch.rows)
            for name, values in per_sample.items()
        }

    def _reason(
        self,
        reasoning: LesionReasoning,
        scene: Scene,
        references: References,
        generator: torch.Generator,
    ) -> Tensor:
        fixed = references.detached()

        def loss_of_codes(codes: Tensor, target: Tensor) -> Tensor:
            return self.method.similarity_loss(codes, fixed, target)

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
        self.grid = network.backbone.settings.grid
        encode = network.backbone.encode
        self.encode = torch.compile(encode) if device.compile else encode

    def look(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (B, 3, S, S) to patch tokens and patch features, (B, N, D) each."""
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
