"""The one training loop: pretraining and hashing run through it.

After each epoch the whole state goes to a file. A run that is killed goes on from there and ends
in the same bytes, because every epoch draws its random numbers from a seed of its own.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import torch
from timm.optim import param_groups_weight_decay
from torch import Tensor, nn

from medhash.errors import MedhashError, PausedError
from medhash.progress import progress, say
from medhash.schema.settings import OptimisationSettings
from medhash.training.checkpoints import (
    load_state,
    optimiser_tensors,
    restore_optimiser,
    save_state,
    sha256_of_tensors,
)
from medhash.training.devices import Device
from medhash.training.images import Batch, ImageSet
from medhash.training.machine import seed_for
from medhash.training.pausing import Pause, never

# The parameters without weight decay of timm's ViT, and the masked autoencoder's own token.
_TOKENS = ("*pos_embed", "*cls_token", "*mask_token")


class Objective(nn.Module):
    """What one stage minimises. Parameters and buffers are its whole state."""

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch, counted from 0."""

    def batches(self, images: ImageSet, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of an epoch, of ``size`` images each."""
        return images.batches(size, generator)

    def terms(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Named scalars whose sum is minimised, for one batch."""
        raise NotImplementedError

    def end_epoch(self, epoch: int) -> None:
        """Called after each epoch."""


def after(epochs: int) -> Pause:
    """The pause of a run of which the first epochs suffice."""
    asked = count(1)
    return lambda: next(asked) >= epochs


@dataclass(frozen=True)
class Run:
    """What a training run needs beside its objective and data.

    Attributes:
        title: for progress and errors.
        seed: decides every random choice.
        device: where and how.
        resume: file that holds the state after the last finished epoch, with its checksum; one
            that is damaged is named, and training starts from the beginning.
        identity: hash of all that the run depends on; a resume file of another identity is
            left aside.
        watch: called after each epoch with its number; it may look, not touch.
        keeps: files that ``watch`` writes, without which no run goes on.
        pause: asked after each epoch but the last, once its state is saved; to say yes ends the
            run with :class:`PausedError`.
    """

    title: str
    seed: int
    device: Device
    resume: Path
    identity: str
    watch: Callable[[int], None] = field(default=lambda epoch: None)
    keeps: tuple[Path, ...] = ()
    pause: Pause = never


@dataclass(frozen=True)
class History:
    """What happened in the epochs that are done.

    Attributes:
        losses: one dictionary an epoch: ``epoch`` (from 1), ``learning_rate``, each term's mean.
        states: SHA-256 of the whole training state after each epoch.
    """

    losses: list[dict[str, float]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def csv(self) -> str:
        """The losses as CSV text, one row an epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.losses[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.losses)
        return text.getvalue()


def fit(
    objective: Objective, images: ImageSet, settings: OptimisationSettings, run: Run
) -> History:
    """Train ``objective`` for ``settings.epochs`` epochs.

    Raises:
        MedhashError: a loss term is not finite; epoch, batch and term are named.
        PausedError: ``run.pause`` said so.
    """
    optimiser = _optimiser(objective, settings, run.device)
    history = _resume(objective, optimiser, run)
    generator = torch.Generator()
    with progress(run.title, settings.epochs, "epochs", done=len(history.losses)) as advance:
        for epoch in range(len(history.losses), settings.epochs):
            generator.manual_seed(seed_for(run.seed, "epoch", epoch))
            torch.manual_seed(seed_for(run.seed, "epoch", epoch))
            rate = _set_learning_rate(optimiser, settings, epoch)
            objective.train()
            objective.start_epoch(epoch)
            means = _epoch(objective, images, settings, optimiser, generator, run, epoch)
            objective.end_epoch(epoch)
            state = _state(objective, optimiser)
            history.losses.append({"epoch": epoch + 1, "learning_rate": rate, **means})
            history.states.append(sha256_of_tensors(state))
            run.watch(epoch)
            _save(state, history, run)
            advance(1, " ".join(f"{name} {value:.4g}" for name, value in means.items()))
            if epoch + 1 < settings.epochs and run.pause():
                raise PausedError(
                    f"{run.title}: stopped after epoch {epoch + 1} of {settings.epochs}; the next "
                    "start goes on from there",
                    history.states,
                )
    return history


def learning_rate_factor(settings: OptimisationSettings, epoch: int) -> float:
    """Share of the learning rate in an epoch: linear warm-up, then what the schedule says."""
    if epoch < settings.warmup_epochs:
        return (epoch + 1) / (settings.warmup_epochs + 1)
    since = epoch - settings.warmup_epochs
    if settings.schedule == "step" and settings.step_factor and settings.step_epochs:
        return settings.step_factor ** (since // settings.step_epochs)
    if settings.schedule == "cosine":
        remaining = settings.epochs - settings.warmup_epochs
        return 0.5 * (1 + math.cos(math.pi * since / remaining))
    return 1.0


def _epoch(
    objective: Objective,
    images: ImageSet,
    settings: OptimisationSettings,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    run: Run,
    epoch: int,
) -> dict[str, float]:
    """One pass over the images; the mean of each term over batches."""
    rows: list[Tensor] = []
    names: list[str] = []
    for batch in objective.batches(images, settings.batch_size, generator):
        optimiser.zero_grad(set_to_none=True)
        terms = objective.terms(batch, generator)
        total = torch.stack(list(terms.values())).sum()
        total.backward()
        optimiser.step()
        names = list(terms)
        rows.append(torch.stack([term.detach().float() for term in terms.values()]))
    # Looked at once an epoch: a look at each batch would make a GPU wait for the CPU.
    values = torch.stack(rows).cpu()
    _require_finite(values, names, run, epoch)
    return dict(zip(names, values.double().mean(dim=0).tolist(), strict=True))


def _require_finite(values: Tensor, names: list[str], run: Run, epoch: int) -> None:
    bad = (~values.isfinite()).nonzero()
    if len(bad):
        batch, term = bad[0].tolist()
        raise MedhashError(
            f"{run.title}: the loss term {names[term]!r} is {values[batch, term].item()} in "
            f"epoch {epoch + 1}, batch {batch + 1}; training stopped. A smaller learning rate "
            "(hashing.learning_rate of the scale) is the usual remedy."
        )


def _optimiser(
    objective: Objective, settings: OptimisationSettings, device: Device
) -> torch.optim.Optimizer:
    kept = () if settings.decay_tokens else _TOKENS
    groups = param_groups_weight_decay(objective, settings.weight_decay, no_weight_decay_list=kept)
    fused = device.torch_device.type == "cuda"
    rate = settings.learning_rate
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, fused=fused)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, lr=rate, fused=fused)


def _set_learning_rate(
    optimiser: torch.optim.Optimizer, settings: OptimisationSettings, epoch: int
) -> float:
    rate = settings.learning_rate * learning_rate_factor(settings, epoch)
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate


def _state(objective: Objective, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that the next epoch depends on, by name."""
    tensors = {f"objective.{name}": t for name, t in objective.state_dict().items()}
    return tensors | optimiser_tensors(optimiser)


def _save(state: dict[str, Tensor], history: History, run: Run) -> None:
    facts = {"identity": run.identity, "history": history.losses, "states": history.states}
    save_state(run.resume, state, facts, history.states[-1])


def _resume(objective: Objective, optimiser: torch.optim.Optimizer, run: Run) -> History:
    """Restore the state after the last finished epoch, if there is one of this very run."""
    if not run.resume.exists():
        return History()
    kept = load_state(run.resume)
    if kept is not None and kept[1]["identity"] != run.identity:
        return History()
    damaged = [path for path in run.keeps if load_state(path) is None]
    if kept is None or damaged:
        path = run.resume if kept is None else damaged[0]
        say(
            f"{run.title}: {path} is damaged or was cut off, and is not used; training starts from "
            "the beginning"
        )
        return History()
    tensors, facts = kept
    prefix = "objective."
    state = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    objective.load_state_dict(state)
    restore_optimiser(optimiser, tensors)
    return History(facts["history"], facts["states"])
