"""A batch of six items in three classes."""

from __future__ import annotations

import pytest
import torch

BITS = 8


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.randn(6, BITS, generator=torch.Generator().manual_seed(20))


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 1, 1]), 3).float()
