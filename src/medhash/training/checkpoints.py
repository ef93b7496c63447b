"""Checkpoints as safetensors: nothing that is loaded can execute."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from medhash.errors import MedhashError
from medhash.files import sha256_of_value
from medhash.training import tensor_files

NETWORK_PREFIX = "network."
METHOD_PREFIX = "method."
"""What the names of a network's and of a method's tensors begin with in a cell's checkpoint."""
CLASSIFIER_PREFIX = "classifier."
"""What those of its last layer begin with in a shared classifier's; the others are its backbone."""


def save_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """See :func:`medhash.training.tensor_files.save`."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    tensor_files.save(path, on_cpu, facts, save_file)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """See :func:`medhash.training.tensor_files.load`."""
    return tensor_files.load(path, "pt")


def save_state(
    path: Path, tensors: dict[str, Tensor], facts: dict[str, Any], sha256: str = ""
) -> None:
    """Write what an unfinished training goes on from, with a checksum of all of it.

    Args:
        path: the file.
        tensors: name -> tensor.
        facts: what is told of them, JSON-able.
        sha256: of the tensors, where it is known.
    """
    sealed = facts | {"tensors": sha256 or sha256_of_tensors(tensors)}
    save_tensors(path, tensors, sealed | {"checksum": sha256_of_value(sealed)})


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read what :func:`save_state` wrote; None if a byte of it is another, or it is not there."""
    try:
        tensors, facts = load_tensors(path)
        said = facts.pop("checksum")
        whole = said == sha256_of_value(facts) and facts["tensors"] == sha256_of_tensors(tensors)
    except (MedhashError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return (tensors, facts) if whole else None


def load_part(module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    """Put the tensors whose names begin with a prefix into a module.

    Raises:
        RuntimeError: they do not fit.
    """
    own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    module.load_state_dict(own)


def sha256_of_tensors(tensors: dict[str, Tensor]) -> str:
    """One hash of names, types, shapes and bytes, whatever the order and the device."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def load_network(network: nn.Module, path: Path) -> None:
    """Put the network of a cell's checkpoint into another cell's, for fine-tuning.

    Raises:
        MedhashError: their shapes differ, so the two cells have other settings or code lengths.
    """
    tensors, _ = load_tensors(path)
    try:
        load_part(network, tensors, NETWORK_PREFIX)
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
        own = {n: t for n, t in tensors.items() if not n.startswith(CLASSIFIER_PREFIX)}
        backbone.load_state_dict(own)
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
