"""From a trained network to packed binary codes (ACH Eq. 25)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from medhash.methods.families.hashing import HashingMethod
from medhash.models.heads import HashingNetwork
from medhash.retrieval.codes import Codes
from medhash.training.devices import Device
from medhash.training.images import rows_of

IMAGES_AT_ONCE = 256


def encode_split(
    network: HashingNetwork, method: HashingMethod, data_folder: Path, split: Path, device: Device
) -> Codes:
    """Codes of a split's query set and database, in the order of the manifest."""
    labels = np.load(data_folder / "labels.npy")
    query, database = rows_of(split, "query"), rows_of(split, "database")
    return Codes(
        query_codes=encode_rows(network, method, data_folder, query, device),
        database_codes=_database_codes(network, method, data_folder, split, device),
        bits=method.bits,
        query_labels=labels[query],
        database_labels=labels[database],
        query_rows=query,
        database_rows=database,
    )


@torch.no_grad()
def encode_rows(
    network: HashingNetwork,
    method: HashingMethod,
    data_folder: Path,
    rows: np.ndarray,
    device: Device,
) -> np.ndarray:
    """Packed codes, uint8 (n, ceil(q / 8)), of the images at ``rows``; bit 1 is +1, sign(0) = +1.

    Only ``IMAGES_AT_ONCE`` images are in memory at a time.
    """
    network.eval()
    images = np.load(data_folder / "images.npy", mmap_mode="r")
    packed = []
    for start in range(0, len(rows), IMAGES_AT_ONCE):
        chunk = torch.from_numpy(images[rows[start : start + IMAGES_AT_ONCE]])
        with device.autocast():
            outputs = network(chunk.to(device.torch_device))
        positive = method.relax(outputs.float()) >= 0
        packed.append(np.packbits(positive.cpu().numpy(), axis=1))
    return np.concatenate(packed)


def _database_codes(
    network: HashingNetwork, method: HashingMethod, data_folder: Path, split: Path, device: Device
) -> np.ndarray:
    """The network's codes; for images whose code the method learned itself, that one."""
    database = rows_of(split, "database")
    codes = encode_rows(network, method, data_folder, database, device)
    learned = method.learned_codes()
    if learned is not None:
        place = {row: index for index, row in enumerate(database)}
        for row, code in zip(rows_of(split, "train"), learned.cpu().numpy(), strict=True):
            if row in place:
                codes[place[row]] = np.packbits(code > 0)
    return codes
