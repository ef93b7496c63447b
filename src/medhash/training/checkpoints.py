"""Checkpoints as safetensors: nothing that is loaded can execute."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from medhash.errors import MedhashError
from medhash.files import written_whole

NETWORK_PREFIX = "network."
"""What the names of a network's tensors begin with in a cell's checkpoint."""


def save_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON-able facts, whole or not at all, the same bytes for the same input.

    Raises:
        MedhashError: the file could not be written, for want of room mostly.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(on_cpu, temporary, {"medhash": json.dumps(facts)})
    except SafetensorError as error:
        raise MedhashError(
            f"{path}: could not be written ({error}); make room and start again, finished epochs "
            "are kept"
        ) from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises:
        MedhashError: the file is damaged or is not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
            facts = json.loads((stream.metadata() or {})["medhash"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise MedhashError(
            f"{path}: not a checkpoint of medhash ({error}); delete it and run its step again"
        ) from error
    return tensors, facts


def sha256_of_tensors(tensors: dict[str, Tensor]) -> str:
    """One hash of names, types, shapes and bytes, whatever the order and the device."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def load_network(network: nn.Module, path: Path) -> None:
    """Put the network of a cell's checkpoint into another cell's, for fine-tuning.

    Raises:
        MedhashError: their shapes differ, so the two cells have other settings or code lengths.
    """
    tensors, _ = load_tensors(path)
    own = {
        name.removeprefix(NETWORK_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(NETWORK_PREFIX)
    }
    try:
        network.load_state_dict(own)
    except RuntimeError as error:
        raise MedhashError(
            f"{path}: this network does not fit the cell that is to be fine-tuned from it; "
            f"train both with the same settings ({error})"
        ) from error


def load_backbone(backbone: nn.Module, path: Path) -> None:
    """Put the weights of a pretraining checkpoint into a backbone.

    Raises:
        MedhashError: its shapes are not the backbone's, so it was pretrained with other settings.
    """
    tensors, _ = load_tensors(path)
    try:
        backbone.load_state_dict(tensors)
    except RuntimeError as error:
        raise MedhashError(
            f"{path}: this backbone does not fit the network of the settings; "
            f"delete it and pretrain again ({error})"
        ) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{key}": value if torch.is_tensor(value) else torch.tensor(value)
        for index, entries in state.items()
        for key, value in entries.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimiser_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
