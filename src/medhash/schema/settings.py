"""The models that every configuration file is validated against.

A *scale* file and a *paper* file both hold a (partial) :class:`Settings` tree; the scale's
values override the paper's. Units: sizes of images in pixels, sizes of windows, segments
and masks in patches.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from medhash.schema.base import Count, Fraction, NaturalNumber, PatchSize2D, StrictModel
from medhash.schema.later import later

Start = Literal["pretrained", "classifier", "scratch"]
"""Where a network's weights come from: the backbone that MAE and classification pretrained on the
cell's training images, a classifier that several methods share, or random numbers."""


class NetworkSettings(BaseModel):
    """A backbone: a file of ``medhash/models/backbones``, which checks the keys of its own.

    ``image_size`` is what the network sees, in pixels. Of larger stored images it sees a crop, at
    random in training and the centre in coding, or all of it, shrunk by the mean over areas.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field(json_schema_extra={"not": {"const": "vit"}})
    image_size: Count
    resize: Literal["crop", "shrink"] = "crop"

    @property
    def grid(self) -> int | None:
        """Patches along one side of the image, if its tokens are patches."""
        return None


class VitSettings(NetworkSettings):
    """The Vision Transformer backbone (ACH Eq. 1-2, Table II: ViT-Base, 128x128, patch 8)."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["vit"] = "vit"
    image_size: Count = 128
    patch_size: Count = 8
    width: Count = Field(768, description="token dimension D")
    depth: Count = 12
    heads: Count = 12

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self

    @property
    def grid(self) -> int:
        """Patches along one side of the image (H = W of Eq. 14)."""
        return self.image_size // self.patch_size


def _kind_of(network: Any) -> str:
    """The tag of a network's settings; vit is the kind of a tree that names none."""
    named = network.get("kind", "vit") if isinstance(network, dict) else network.kind
    return f"<{'vit' if named == 'vit' else 'other'}>"


AnyNetwork = Annotated[
    Annotated[VitSettings, Tag("<vit>")] | Annotated[NetworkSettings, Tag("<other>")],
    Discriminator(_kind_of),
]


class Augmentation(StrictModel):
    """Random changes of a training image, made on the device. The papers are silent on them."""

    flip: Fraction = Field(0.0, description="probability of a horizontal flip")
    least_area: Fraction = Field(1.0, description="least area of a random square crop; 1 is none")


class OptimisationSettings(StrictModel):
    """How one stage is trained (ACH Table II)."""

    epochs: Count
    batch_size: Count = 64
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    decay_tokens: bool = later(
        True, "whether a ViT's position embedding, class token and mask token are decayed"
    )
    warmup_epochs: NaturalNumber = 0
    schedule: Literal["constant", "cosine", "step"] = "constant"
    step_epochs: Count | None = Field(None, description="of schedule step: epochs at one rate")
    step_factor: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="of schedule step: what the rate is multiplied by after them"
    )
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="of optimiser sgd")
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _steps_are_given(self) -> Self:
        if self.schedule == "step" and None in (self.step_epochs, self.step_factor):
            raise ValueError("schedule: step needs step_epochs and step_factor")
        return self


class MaeSettings(OptimisationSettings):
    """Masked-autoencoder pretraining (He et al. 2022)."""

    mask_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.75
    decoder_width: Count = 512
    decoder_depth: Count = 8
    decoder_heads: Count = 16


class DbwSettings(StrictModel):
    """Debiased weighting (ACH Eq. 10-12); see docs/fidelity.md for the alternatives."""

    population: Literal["train", "batch"] = Field(
        "train", description="over which samples of the class Eq. 10-11 run"
    )


class LcrSettings(StrictModel):
    """Lesion counterfactual reasoning (ACH Eq. 14-23, Table II); sizes in patches."""

    where: Literal["c2f-lp", "lesion", "random", "outside"] = later(
        "c2f-lp",
        "where key points are: as C2F-LP finds them, or, on phantoms, in the known lesion, "
        "anywhere, or where the masks cover least of it",
    )
    window: PatchSize2D = Field((12, 12), description="salient area, height and width (Eq. 15)")
    segment: PatchSize2D = Field((12, 12), description="candidate segment (Eq. 16)")
    key_points: Count = Field(4, description="K of Eq. 16")
    mask_scales: tuple[PatchSize2D, ...] = Field(
        ((2, 2), (4, 4), (6, 6), (8, 8)), min_length=1, description="(s_h, s_w) of Eq. 18"
    )
    segment_encoding: Literal["tokens", "crop"] = "tokens"
    weights: Literal["intraclass", "intraclass-far", "uniform"] = Field(
        "intraclass",
        description="Eq. 22; the opposite, greatest where the code changed most; or all the same",
    )
    softmax: Literal["all-scales", "each-scale"] = later(
        "all-scales", "which samples of a class have weights that add up to 1 (Eq. 22)"
    )
    share: Literal["equal", "sum", "mean"] = later(
        "equal",
        "without DBW, Eq. 23 to the loss of real images: 1 : 1, C : B (Eq. 7 is a sum), or C : 1 "
        "(the baseline averages)",
    )
    strength: Annotated[float, Field(gt=0)] = later(1.0, "Eq. 23 is multiplied by it")
    loss: Literal["method", "squared"] = later(
        "method", "of masked images: the method's own, or Eq. 23's squared error over q"
    )
    other_classes: Literal["remaining", "keep", "ignore"] = later(
        "remaining",
        "Eq. 21's target towards V of other classes: what remains to the own class, the present "
        "similarity, or none",
    )
    start_epoch: NaturalNumber = 0


class EvaluationSettings(StrictModel):
    """How codes are scored."""

    protocol: Literal["tie-aware", "stable"] = "tie-aware"
    cutoffs: tuple[Count, ...] = Field((1, 5, 10, 20, 50, 100, 200, 500, 1000), min_length=1)
    map_at: Literal["reachable", "found", "k"] = Field(
        "reachable",
        description="what mAP@K is divided by: min(K, relevant items), the relevant ones among "
        "the first K (protocol stable only), or K",
    )
    selection: Literal["last-epoch", "best-query-map"] = Field(
        "last-epoch",
        description="which epoch is evaluated; best-query-map looks at the query set",
    )

    graded: bool = later(
        False,
        "whether records keep mAP@K, NDCG, ACG and weighted AP of each query also where every "
        "image has one label",
    )
    attributes: bool = Field(
        False,
        description="whether records compare diagnoses and ratios of cup to disc, where the "
        "dataset's index tells them",
        exclude_if=lambda value: not value,
    )

    @model_validator(mode="after")
    def _has_that_denominator(self) -> Self:
        if self.map_at == "found" and self.protocol != "stable":
            raise ValueError("map_at: found divides by what one order finds: set protocol: stable")
        return self


class Settings(StrictModel):
    """Everything that decides what a cell computes, apart from its own name."""

    network: AnyNetwork = VitSettings()
    stored_size: Count | None = Field(
        None, description="pixels a side of the stored images; null is the network's image_size"
    )
    start: Start | None = Field(None, description="where weights come from; null asks the method")
    mae: MaeSettings | None = None
    classification: OptimisationSettings | None = None
    hashing: OptimisationSettings
    dbw: DbwSettings = DbwSettings()
    lcr: LcrSettings = LcrSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    methods: dict[str, dict[str, object]] = Field(
        default_factory=dict, description="method name -> its own hyperparameters"
    )
    threads: Count = Field(1, description="CPU threads of one cell; decides the last bits of sums")
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False

    @property
    def stored(self) -> int:
        """Pixels along one side of the stored images."""
        return self.stored_size or self.network.image_size

    @model_validator(mode="after")
    def _images_are_large_enough(self) -> Self:
        if self.stored < self.network.image_size:
            raise ValueError(
                f"stored_size {self.stored_size} is less than network.image_size "
                f"{self.network.image_size}"
            )
        return self

    @model_validator(mode="after")
    def _has_tokens(self) -> Self:
        for name in ("mae", "classification", "hashing"):
            stage = getattr(self, name)
            if stage and not stage.decay_tokens and self.network.grid is None:
                raise ValueError(
                    f"{name}.decay_tokens: the backbone '{self.network.kind}' has no tokens"
                )
        return self

    @model_validator(mode="after")
    def _fits_the_grid(self) -> Self:
        grid = self.network.grid
        if grid is None:
            return self
        sizes = [("window", self.lcr.window), ("segment", self.lcr.segment)]
        sizes += [("mask_scales", scale) for scale in self.lcr.mask_scales]
        for name, size in sizes:
            if max(size) > grid:
                raise ValueError(
                    f"lcr.{name} {list(size)} is larger than the image's {grid}x{grid} patches"
                )
        return self
