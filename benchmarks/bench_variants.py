"""Step time of each variant over the baseline, against the ratio of their operation counts.

    python benchmarks/bench_variants.py [--device cuda] [--scale small|paper] [--bits 8]

Floating-point operations of one step (matrix products and convolutions, forward and backward) are
counted by torch; steps of all variants are timed in turn, in one process, and medians compared.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from medhash.configuration.loading import load
from medhash.schema.cell import Cell
from medhash.schema.variants import VARIANTS
from medhash.training.devices import Device, choose_device
from medhash.training.families.hashing import build_objective
from medhash.training.hashing import HashingObjective
from medhash.training.images import Batch

# Taken before a configuration is loaded, which declares the papers' ablations too.
BASE_VARIANTS = tuple(VARIANTS)
CLASSES = 4
TRAINING_IMAGES = 2000
WARM_UP = 2


def main() -> None:
    arguments = parse_arguments()
    settings = load(overrides={"scale": arguments.scale}).settings["ach"]
    device = choose_device(arguments.device, precision=settings.precision, threads=settings.threads)
    batch = random_batch(settings.network.image_size, settings.hashing.batch_size, device)
    labels = torch.eye(CLASSES)[torch.arange(TRAINING_IMAGES) % CLASSES]
    print(f"scale {arguments.scale}, {arguments.method}, {device.describe()}")
    objectives, operations = {}, {}
    for variant in BASE_VARIANTS:
        cell = Cell("ach", "random", arguments.method, variant, arguments.bits, 0)
        objective = build_objective(cell, settings, labels, device).to(device.torch_device)
        with FlopCounterMode(display=False) as counter:
            step(objective, batch)
        objectives[variant], operations[variant] = objective, counter.get_total_flops()
    seconds = {variant: [] for variant in BASE_VARIANTS}
    for repeat in range(arguments.repeats + WARM_UP):
        for variant, objective in objectives.items():
            elapsed = timed(objective, batch, device)
            if repeat >= WARM_UP:
                seconds[variant].append(elapsed)
    report(seconds, operations)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--scale", default="small")
    parser.add_argument("--method", default="hashnet")
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    return parser.parse_args()


def random_batch(size: int, count: int, device: Device) -> Batch:
    images = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)
    labels = torch.eye(CLASSES)[torch.arange(count) % CLASSES]
    where = device.torch_device
    return Batch(images.to(where), labels.to(where), torch.arange(count).to(where))


def step(objective: HashingObjective, batch: Batch) -> None:
    """Loss and gradients of one batch."""
    objective.zero_grad(set_to_none=True)
    terms = objective.terms(batch, torch.Generator().manual_seed(0))
    torch.stack(list(terms.values())).sum().backward()


def timed(objective: HashingObjective, batch: Batch, device: Device) -> float:
    start = time.perf_counter()
    step(objective, batch)
    if device.torch_device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def report(seconds: dict[str, list[float]], operations: dict[str, int]) -> None:
    baseline_time = statistics.median(seconds["none"])
    print(f"{'variant':8} {'step s':>9} {'GFLOP':>9} {'time':>7} {'predicted':>9} {'quotient':>9}")
    for variant, times in seconds.items():
        median = statistics.median(times)
        ratio = median / baseline_time
        predicted = operations[variant] / operations["none"]
        print(
            f"{variant:8} {median:9.4f} {operations[variant] / 1e9:9.2f} {ratio:7.3f} "
            f"{predicted:9.3f} {ratio / predicted:9.3f}"
        )


if __name__ == "__main__":
    main()
