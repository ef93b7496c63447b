"""A training step of each variant against a bare loop: time, operations, images a second, MFU.

    python benchmarks/bench_variants.py [--device cuda] [--scale small|paper] [--peak TFLOPS]

The bare loop is what one writes for HashNet alone: augment, encode, the loss in three lines,
backward, AdamW. Floating-point operations of one step (matrix products and convolutions, forward
and backward) are counted by torch. Steps of the bare loop and of all variants are timed in turn,
in one process; medians are compared. MFU, a share of the peak that the device's maker names, is
printed where --peak says that: 989 for an H100 or H200 in bf16 without sparsity.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from tabulate import tabulate
from torch import Tensor
from torch.nn.functional import softplus
from torch.utils.flop_counter import FlopCounterMode

from medhash.configuration.loading import load
from medhash.schema.cell import Cell
from medhash.schema.settings import Settings
from medhash.schema.variants import VARIANTS
from medhash.training.devices import Device, choose_device
from medhash.training.families.hashing import build_objective
from medhash.training.hashing import HashingObjective
from medhash.training.images import Batch, training_view

# Taken before a configuration is loaded, which declares the papers' ablations too.
BASE_VARIANTS = tuple(VARIANTS)
BARE = "bare loop"
CLASSES = 4
TRAINING_IMAGES = 2000
WARM_UP = 2

Step = Callable[[], None]


def main() -> None:
    arguments = parse_arguments()
    settings = load(overrides={"scale": arguments.scale}).settings["ach"].shared
    precision = arguments.precision or settings.precision
    device = choose_device(
        arguments.device,
        precision=precision,
        threads=settings.threads,
        compile=settings.compile,
    )
    size = arguments.batch_size or settings.hashing.batch_size
    batch = random_batch(settings.network.image_size, size, device)
    print(f"scale {arguments.scale}, HashNet, batches of {size}, {device.machine()}\n")
    steps = {BARE: training_step(new_objective("none", settings, arguments, device), batch, True)}
    for variant in arguments.variants:
        objective = new_objective(variant, settings, arguments, device)
        steps[variant] = training_step(objective, batch, False)
    operations = {name: counted(step) for name, step in steps.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(arguments.repeats + WARM_UP):
        for name, step in steps.items():
            elapsed = timed(step, device)
            if repeat >= WARM_UP:
                seconds[name].append(elapsed)
    report(seconds, operations, size, arguments.peak)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--scale", default="small")
    parser.add_argument("--precision", help="float32 or bfloat16 instead of the scale's")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--variants", nargs="+", choices=BASE_VARIANTS, default=BASE_VARIANTS)
    parser.add_argument("--peak", type=float, help="operations a second of the device, in 10^12")
    return parser.parse_args()


def new_objective(
    variant: str, settings: Settings, arguments: argparse.Namespace, device: Device
) -> HashingObjective:
    labels = torch.eye(CLASSES)[torch.arange(TRAINING_IMAGES) % CLASSES]
    cell = Cell("ach", "random", "hashnet", variant, arguments.bits, 0)
    return build_objective(cell, settings, labels, device).to(device.torch_device).train()


def random_batch(size: int, count: int, device: Device) -> Batch:
    images = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)
    labels = torch.eye(CLASSES)[torch.arange(count) % CLASSES]
    where = device.torch_device
    return Batch(images.to(where), labels.to(where), torch.arange(count).to(where))


def training_step(objective: HashingObjective, batch: Batch, bare: bool) -> Step:
    """One step: loss, gradients and AdamW, of the package's objective or of a bare loop."""
    fused = batch.images.is_cuda
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-5, fused=fused)
    loss_of = bare_loss if bare else loss

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss_of(objective, batch).backward()
        optimiser.step()

    return step


def loss(objective: HashingObjective, batch: Batch) -> Tensor:
    terms = objective.terms(batch, torch.Generator().manual_seed(0))
    return torch.stack(list(terms.values())).sum()


def bare_loss(objective: HashingObjective, batch: Batch) -> Tensor:
    """HashNet's weighted pairwise loss of a batch, with nothing around it."""
    network, device = objective.network, objective.coder.device
    generator = torch.Generator().manual_seed(0)
    augmentation = objective.settings.hashing.augmentation
    pixels, _ = training_view(batch, network.backbone, augmentation, generator)
    with device.autocast():
        features = objective.coder.encode(network.backbone.embed(pixels))
    codes = torch.tanh(network.project(features.float()))
    similar = (batch.labels @ batch.labels.T > 0).float()
    share = similar.mean()
    weights = similar / share + (1 - similar) / (1 - share)
    logits = objective.method.settings.sharpness / codes.shape[1] * codes @ codes.T
    return (weights * (softplus(logits) - similar * logits)).mean()


def counted(step: Step) -> int:
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def timed(step: Step, device: Device) -> float:
    """Seconds; on a CPU those of its processors, which other people's jobs do not lengthen."""
    if device.torch_device.type == "cpu":
        start = time.process_time()
        step()
        return time.process_time() - start
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def report(
    seconds: dict[str, list[float]], operations: dict[str, int], size: int, peak: float | None
) -> None:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    headers = ["step", "seconds", "images/s", "GFLOP", "TFLOP/s", "of bare loop", "by operations"]
    rows = []
    for name, median in medians.items():
        ratio = statistics.median(map(float.__truediv__, seconds[name], seconds[BARE]))
        predicted, speed = operations[name] / operations[BARE], operations[name] / median / 1e12
        rows.append([name, median, size / median, operations[name] / 1e9, speed, ratio, predicted])
        if peak:
            rows[-1].append(100 * speed / peak)
    headers += ["MFU (%)"] if peak else []
    formats = ("", ".4f", ".1f", ".2f", ".3f", ".3f", ".3f", ".1f")
    print(tabulate(rows, headers, floatfmt=formats))


if __name__ == "__main__":
    main()
