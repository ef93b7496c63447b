"""One finished run for all tests of a worker, and a copy of it for each."""

from __future__ import annotations

import pytest
from finished_tree import build, copy_of, working_in


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    with working_in(tmp_path_factory.mktemp("finished")) as root:
        return build(root, "real", "synthetic")


@pytest.fixture
def tree(finished, tmp_path):
    with copy_of(finished, tmp_path) as root:
        yield root
