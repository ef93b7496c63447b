"""Drawing the further training images that methods of lists and triplets ask for."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(mask: Tensor, generator: torch.Generator) -> Tensor:
    """One place of each row where the mask is set, else any: bool (A, n) to int64 (A, 1)."""
    order = (mask | ~mask.any(dim=1, keepdim=True)).cumsum(dim=1)
    share = torch.rand(len(mask), 1, dtype=torch.float64, generator=generator)
    chosen = (share * order[:, -1:]).long() + 1
    return torch.searchsorted(order, chosen)
