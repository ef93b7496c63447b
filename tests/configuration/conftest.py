import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def config_path(tmp_path, monkeypatch):
    """A copy of the project's config folder; the working folder is above it."""
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return Path("config/config.yaml")
