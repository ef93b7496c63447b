from __future__ import annotations

import pytest
from tiny_project import make_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A fresh project; the working folder is in it."""
    folder = make_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder
