"""Write environment.yml, for users of conda, from requirements.lock and pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEADER = """\
# Made by `make environment` from requirements.lock and pyproject.toml; do not edit.
#   conda env create --file environment.yml
#   conda run --name medhash pip install --no-deps --editable .
name: medhash
channels: [conda-forge]
dependencies:
"""


def environment_text(root: Path = ROOT) -> str:
    """The text of environment.yml: the Python that medhash allows, and every pinned package."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (root / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([^\s#-].*?)\s*\\?$", lock, flags=re.MULTILINE)
    lines = [f'  - "python{project["requires-python"]}"', "  - pip", "  - pip:"]
    lines += [f'      - "{pin}"' for pin in pins]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "environment.yml").write_text(environment_text(), encoding="utf-8")
