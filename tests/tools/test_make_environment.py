import runpy
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
environment_text = runpy.run_path(str(PROJECT / "tools/make_environment.py"))["environment_text"]


def test_the_committed_environment_is_that_of_the_lock_file():
    committed = (PROJECT / "environment.yml").read_text()
    assert committed == environment_text(), "run `make environment`"


def test_every_locked_package_is_in_it():
    lock = (PROJECT / "requirements.lock").read_text()
    packages = {line.split("==")[0] for line in lock.splitlines() if "==" in line}
    pins = yaml.safe_load(environment_text())["dependencies"][-1]["pip"]
    assert {pin.split("==")[0] for pin in pins} == packages
    assert len(packages) > 50
