"""What tests of the workflow share: fresh copies of the project, and one finished tree."""

import shutil

import pytest
from project_tree import Tree


@pytest.fixture(scope="session")
def copy_project(tmp_path_factory):
    """Makes a fresh copy at every call."""
    return lambda: Tree(tmp_path_factory.mktemp("project"))


@pytest.fixture
def tree(made):
    """The finished tree of a module's ``made``, as it was again after the test."""
    kept = made.root.with_name(f"{made.root.name}-kept")
    shutil.copytree(made.root, kept, symlinks=True)
    yield made
    shutil.rmtree(made.root)
    kept.rename(made.root)
