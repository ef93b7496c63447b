"""The fingerprint on small packages of our own, and on medhash against what Python really loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medhash.flow import code, code_memory
from medhash.flow.code import fingerprint

BASE = {
    "__init__.py": '"""Package."""\n',
    "entry.py": "from medhash.used import LIMIT\n\n\ndef step(x):\n    return x + LIMIT\n",
    "used.py": "LIMIT = 3\n",
    "unused.py": "OTHER = 1\n",
    "parts/__init__.py": "",
    "parts/inner.py": "from . import sibling\nfrom ..used import LIMIT\n",
    "parts/sibling.py": "VALUE = 1\n",
}


@pytest.fixture
def reread(tmp_path, monkeypatch):
    """Write a package's files and hash it; files not given are those of BASE."""
    monkeypatch.setattr(code, "_ROOT", tmp_path)

    def of(entry="medhash.entry", **files):
        for name, text in (BASE | files).items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        forget()
        return fingerprint(entry)

    yield of
    forget()


def forget():
    for cached in (code._hash, code._imports, code._tree, code._path):
        cached.cache_clear()


def test_it_names_the_modules_it_reaches(reread):
    modules = reread()["modules"]
    assert list(modules) == ["medhash", "medhash.entry", "medhash.used"]
    assert len(set(modules.values())) == 3


@pytest.mark.parametrize(
    "entry",
    [
        "# a comment\nfrom medhash.used import LIMIT  # another\ndef step(x): return x + LIMIT\n",
        '"""Docstring."""\nfrom medhash.used import LIMIT\n\n\ndef step(x):\n    """Adds."""\n'
        "    return (\n        x\n        + LIMIT\n    )\n",
        "from typing import TYPE_CHECKING\n",
    ],
    ids=["comments", "docstrings and line breaks", "an import"],
)
def test_what_counts_as_a_change(reread, entry):
    same = "import" not in entry.splitlines()[0]
    assert (reread()["fingerprint"] == reread(**{"entry.py": entry})["fingerprint"]) is same


@pytest.mark.parametrize("kind", ["def", "class"])
def test_a_body_of_only_a_docstring_equals_another_docstring(reread, kind):
    head = "def f():" if kind == "def" else "class F:"
    one = reread(**{"used.py": f'LIMIT = 3\n{head}\n    """One."""\n'})
    two = reread(**{"used.py": f'LIMIT = 3\n{head}\n    """Two."""\n'})
    assert one == two


def test_a_text_that_is_used_counts(reread):
    one = reread(**{"used.py": 'LIMIT = "one"\n'})
    two = reread(**{"used.py": 'LIMIT = "two"\n'})
    assert one["fingerprint"] != two["fingerprint"]


def test_a_changed_value_counts_where_it_is_reached(reread):
    before = reread()
    reached = reread(**{"used.py": "LIMIT = 4\n"})
    assert reached["fingerprint"] != before["fingerprint"]
    changed = [name for name, text in reached["modules"].items() if text != before["modules"][name]]
    assert changed == ["medhash.used"]
    assert reread(**{"unused.py": "OTHER = 2\n"}) == before


@pytest.mark.parametrize(
    "text",
    [
        "def step():\n    from medhash.parts.inner import LIMIT\n",
        "import medhash.parts.inner\n",
        "from medhash.parts import inner\n",
        "from .parts import inner\n",
        "def step():\n    from .parts.inner import LIMIT\n",
    ],
)
def test_every_way_to_import_is_followed(reread, text):
    assert list(reread(**{"entry.py": text})["modules"]) == [
        "medhash",
        "medhash.entry",
        "medhash.parts",
        "medhash.parts.inner",
        "medhash.parts.sibling",
        "medhash.used",
    ]


def test_what_only_type_checkers_import_is_not_followed(reread):
    text = (
        "from __future__ import annotations\nimport typing\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from medhash.used import LIMIT\n"
        "if typing.TYPE_CHECKING:\n    from medhash.unused import OTHER\n"
        "else:\n    OTHER = 1\n"
    )
    assert list(reread(**{"entry.py": text})["modules"]) == ["medhash", "medhash.entry"]


def test_imports_in_a_circle_end(reread):
    files = {"entry.py": "import medhash.used\n", "used.py": "import medhash.entry\n"}
    assert "medhash.used" in reread(**files)["modules"]


@pytest.mark.parametrize("name", ["medhash.nothing", "numpy"])
def test_an_entry_that_does_not_exist_is_an_error(name):
    with pytest.raises(ModuleNotFoundError, match=name):
        fingerprint(name)


STEPS = [
    ["medhash.data.preparation"],
    ["medhash.data.phantoms"],
    ["medhash.data.splits.making"],
    ["medhash.data.leakage"],
    ["medhash.training.cells", "medhash.methods.csq"],
    ["medhash.records.scoring"],
    ["medhash.analysis.tables.make", "medhash.analysis.figures.make"],
]


@pytest.mark.parametrize("entries", STEPS, ids=lambda entries: entries[0])
def test_all_that_python_loads_is_in_the_fingerprint(entries):
    program = (
        f"import sys, {', '.join(entries)}\n"
        "print(*[m for m in sys.modules if m.split('.')[0] == 'medhash'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert loaded
    assert loaded <= set(fingerprint(*entries)["modules"])


@pytest.fixture
def memory(reread, tmp_path, monkeypatch):
    """A memory of the small package, as a new process finds it; and how often it read the code."""
    reads = []

    def read(*modules):
        reads.append(modules)
        return fingerprint(*modules)

    def recall():
        forget_memory()
        return code_memory.remembered_fingerprint("medhash.entry"), len(reads)

    def forget_memory():
        forget()
        code_memory._state_of_package.cache_clear()
        code_memory.remembered_fingerprint.cache_clear()

    reread()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code_memory, "_PACKAGE", tmp_path)
    monkeypatch.setattr(code_memory, "fingerprint", read)
    yield recall
    forget_memory()


def test_it_is_remembered_while_all_texts_are_the_same(memory, tmp_path):
    first, reads = memory()
    assert reads == 1
    os.utime(tmp_path / "used.py", (0, 0))
    assert memory() == (first, 1)
    (tmp_path / "used.py").write_text("LIMIT = 4\n")
    changed, reads = memory()
    assert reads == 2
    assert changed["modules"].keys() == first["modules"].keys()
    assert changed["fingerprint"] != first["fingerprint"]
    (tmp_path / "further.py").write_text("LIMIT = 3\n")
    assert memory() == (changed, 3)


def test_a_cell_reaches_its_own_method_and_no_other():
    folder = Path(code.__file__).parents[1] / "methods"
    methods = {f"medhash.methods.{path.stem}" for path in folder.glob("[a-z]*.py")}
    reached = set(fingerprint("medhash.training.cells", "medhash.methods.csq")["modules"])
    assert reached & methods == {"medhash.methods.csq"}


def test_a_dataset_reaches_its_own_reader_and_no_other():
    entries = "medhash.data.preparation", "medhash.data.readers.brain_tumor_mri"
    reached = set(fingerprint(*entries)["modules"])
    folder = "medhash.data.readers"
    assert {name for name in reached if name.startswith(f"{folder}.")} == {
        f"{folder}.{name}" for name in ("brain_tumor_mri", "class_folders", "reading")
    }


def test_training_reads_a_split_and_does_not_depend_on_how_it_was_drawn():
    reached = set(fingerprint("medhash.training.cells", "medhash.methods.csq")["modules"])
    assert "medhash.data.splits.manifest" in reached
    assert "medhash.data.splits.drawing" not in reached
