"""Names become files, folders and words of commands: none may be more than a name."""

import shutil
from pathlib import Path

import pytest
import yaml

from medhash.configuration.loading import load
from medhash.errors import MedhashError

PROJECT = Path(__file__).resolve().parents[2]
HOSTILE = ["d;id>x;", "$(id)", "a b", "../up", "-n", "a\nb", "a'b"]
CHOICES = ["papers", "datasets", "methods", "variants"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def renamed(path, *keys):
    """Give what stands under some keys of a YAML file a hostile name."""

    def rename(name):
        tree = yaml.safe_load(path.read_text())
        place = tree
        for key in keys[:-1]:
            place = place[key]
        place[name] = place.pop(keys[-1])
        path.write_text(yaml.safe_dump(tree))

    return rename


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("key", ["scale", "run", *CHOICES])
def test_what_is_chosen_has_a_name(project, key, name):
    if key == "scale" and "/" not in name:
        shutil.copy(project / "config/scales/demo.yaml", project / f"config/scales/{name}.yaml")
    choice = {key: [name] if key in CHOICES else name}
    with pytest.raises(MedhashError, match=rf"{key}.*has characters that a name cannot have"):
        load(overrides={"scale": "demo", "run": "mine"} | choice)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    ("file", "keys"),
    [
        ("datasets.yaml", ["covid_ct"]),
        ("papers/ach.yaml", ["tables", "table3"]),
        ("papers/ach.yaml", ["figures", "fig7"]),
        ("papers/ach.yaml", ["methods", "dsh"]),
        ("papers/ach.yaml", ["datasets", "covid_ct"]),
        ("papers/ach.yaml", ["variants", "dbw"]),
        ("papers/ach.yaml", ["ablations", "window-4"]),
    ],
)
def test_what_a_file_names_has_a_name(project, file, keys, name):
    renamed(project / "config" / file, *keys)(name)
    with pytest.raises(MedhashError, match="has characters that a name cannot have"):
        load(overrides={"scale": "demo"})


@pytest.mark.parametrize("name", [name for name in HOSTILE if "/" not in name])
def test_the_file_of_a_paper_has_a_name(project, name):
    paper = yaml.safe_load((project / "config/papers/ach.yaml").read_text())
    path = project / f"config/papers/{name}.yaml"
    path.write_text(yaml.safe_dump(paper | {"paper": name}))
    (project / "config/scales/every.yaml").write_text("title: every paper that has a file\n")
    with pytest.raises(MedhashError, match="has characters that a name cannot have"):
        load(overrides={"scale": "every"})
