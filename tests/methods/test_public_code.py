"""The losses against values obtained by running public code on the same inputs.

Sources: HashNet.py, CSQ.py and ADSH.py of github.com/swuxyj/DeepHash-pytorch, ``solve_dcc`` of
github.com/TreezzZ/ADSH_PyTorch, and the loss of train.py with my_pairwise_loss.py of
github.com/yuanli2333/Hadamard-Matrix-for-hashing, each run on the inputs below.

HashNet.py is published with alpha = 0.1 for every length; the authors' own code has 10 / q
(pytorch/src/train.py and caffe/models of github.com/thuml/HashNet).
"""

from __future__ import annotations

import pytest
import torch

from medhash import methods
from medhash.methods.adsh import discrete_step
from medhash.methods.families.hashing import Coded, similarity

BITS = 8
DEEPHASH_HASHNET_SCALE_1_5 = {0.1: 1.2594722509384155, 10 / BITS: 0.8932101726531982}
DEEPHASH_CSQ = 1.0323166847229004
AUTHORS_CSQ = 1.1890684366226196
DEEPHASH_ADSH = 342.7254943847656
ADSH_V_GAMMA_200 = [
    [1, 1, 1, -1, 1, -1, -1, -1],
    [1, -1, 1, 1, -1, 1, -1, -1],
    [-1, 1, -1, 1, -1, 1, -1, 1],
    [1, 1, -1, -1, 1, -1, 1, 1],
    [-1, -1, 1, -1, 1, 1, 1, -1],
    [-1, -1, 1, -1, -1, 1, -1, 1],
]
ADSH_V_GAMMA_2 = [
    [1, 1, -1, -1, 1, -1, 1, -1],
    [-1, -1, 1, 1, -1, 1, -1, -1],
    [-1, 1, -1, 1, -1, -1, -1, 1],
    [1, 1, -1, -1, 1, -1, 1, -1],
    [-1, -1, 1, 1, -1, 1, -1, -1],
    [-1, -1, 1, 1, -1, 1, -1, -1],
]


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs of the hash layer, labels, and database codes."""
    generator = torch.Generator().manual_seed(20)
    outputs = torch.randn(6, BITS, generator=generator)
    labels = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 1, 1]), 3).float()
    database = torch.where(torch.randn(6, BITS, generator=generator) < 0, -1.0, 1.0)
    return outputs, labels, database


def make(name: str, labels: torch.Tensor, **own: float):
    kind = methods.method_class(name)
    return kind(kind.Settings(**own), BITS, labels, torch.Generator().manual_seed(0))


def mean_loss(method, codes: torch.Tensor, labels: torch.Tensor) -> float:
    references = method.references(codes, labels)
    target = similarity(labels, references.labels)
    per_sample = method.similarity_loss(codes, references, target)
    return (per_sample + method.regularisation(codes, torch.arange(6))).mean().item()


@pytest.mark.parametrize(("own", "alpha"), [({}, 10 / BITS), ({"alpha": 0.1}, 0.1)])
def test_hashnet(own, alpha, inputs):
    outputs, labels, _ = inputs
    method = make("hashnet", labels, **own)
    method.beta.fill_(1.5)
    found = mean_loss(method, method.relax(outputs), labels)
    assert found == pytest.approx(DEEPHASH_HASHNET_SCALE_1_5[alpha], rel=1e-5)


def test_csq(inputs):
    outputs, labels, _ = inputs
    method = make("csq", labels)
    assert mean_loss(method, method.relax(outputs), labels) == pytest.approx(DEEPHASH_CSQ, rel=1e-5)


def test_csq_of_its_authors(inputs):
    """Their weights are 1, 0.2 for pairs of the batch's halves, and 0.05."""
    outputs, labels, _ = inputs
    method = make("csq", labels, quantisation=0.05, pairwise=0.2)
    codes = method.relax(outputs)
    further = method.further_terms(Coded(codes, codes, labels, torch.arange(6), 6))
    references = method.references(codes, labels)
    centre = method.similarity_loss(codes, references, similarity(labels, references.labels))
    total = sum(values.mean() for values in (centre, *further.values()))
    assert total.item() == pytest.approx(AUTHORS_CSQ, rel=1e-5)


def test_adsh(inputs):
    outputs, labels, database = inputs
    method = make("adsh", labels)
    method.database_codes.copy_(database)
    found = mean_loss(method, method.relax(outputs), labels)
    assert found == pytest.approx(DEEPHASH_ADSH, rel=1e-5)


@pytest.mark.parametrize(("gamma", "expected"), [(200.0, ADSH_V_GAMMA_200), (2.0, ADSH_V_GAMMA_2)])
def test_adsh_discrete_step(inputs, gamma, expected):
    outputs, labels, database = inputs
    target = make("adsh", labels).balance(similarity(labels, labels))
    found = discrete_step(database, outputs.tanh(), target, gamma, torch.arange(6))
    assert found.int().tolist() == expected
