"""Every fenced command of the README and of docs/ is run as it is printed, in a fresh copy.

What takes long is run dry (Snakemake, make), and what needs a store, a trained cell or another
machine is parsed: its options and arguments must exist.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]

PROGRAMS = ("medhash", "snakemake", "make", "dvc", "timeout", "cp", "git", "source")
"""What a line begins with that is a command; other fenced lines are output or pictures."""

PARSED = re.compile(
    r"medhash (query|train|pretrain|prepare|explain|fps|lesions|accept|dvc|versions|compare)\b"
    r"|medhash status --run short"
)
"""They need images, checkpoints or a named run, which no clone has, take long, or rewrite committed
files."""

ELSEWHERE = re.compile(r"(dvc|git|source)\b")
"""They need a store, the network, or the reader's own shell; the shell checks their syntax."""

PARSE = """
import sys
from typer.main import get_command
from medhash.commands.app import app

command, arguments, name = get_command(app), sys.argv[1:], "medhash"
while hasattr(command, "commands"):
    name = arguments.pop(0)
    command = command.commands[name]
command.make_context(name, arguments)
"""


def blocks(page):
    """The commands of each fenced block, with the line of the block."""
    text = page.read_text()
    for match in re.finditer(r"^```(?:bash|console)?\n(.*?)^```", text, re.M | re.S):
        lines = match[1].replace("\\\n", " ").splitlines()
        shown = [line[2:] for line in lines if line.startswith("$ ")] or lines
        commands = [line for line in shown if line.split(" ")[0] in PROGRAMS]
        if commands:
            yield text[: match.start()].count("\n") + 1, commands


BLOCKS = [
    pytest.param(commands, id=f"{page.name}:{line}")
    for page in PAGES
    for line, commands in blocks(page)
]


@pytest.fixture(scope="module")
def files():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (PROJECT / name).exists()]


@pytest.fixture
def clone(files, tmp_path):
    """What a clone has, and the files that the pages call the reader's own."""
    folder = tmp_path / "medhash"
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, folder / name, follow_symlinks=False)
    codes = next(folder.glob("results/small/**/codes.npz"))
    shutil.copy(codes, folder / "CODES.npz")
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(folder / "IMAGE.png")
    return folder


@pytest.mark.parametrize("commands", BLOCKS)
def test_the_commands_of_a_page_work(commands, clone):
    script = "\n".join(filter(None, map(as_run, commands)))
    variables = {name: text for name, text in os.environ.items() if name != "MEDHASH_ARCHIVES"}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    variables["PYTHONPATH"] = str(clone / "src")
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=clone,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, f"{script}\n{result.stdout[-3000:]}"


def as_run(command):
    """A printed command as this test runs it."""
    command = re.sub(r"\s+#.*$", "", command)
    if ELSEWHERE.match(command):
        subprocess.run(["bash", "-n", "-c", command], check=True)
        return ""
    if PARSED.match(command):
        arguments = command.removeprefix("medhash ")
        return f"{shlex.quote(sys.executable)} -c {shlex.quote(PARSE)} {arguments}"
    if command.startswith("make"):
        return command.replace("make", "make --dry-run", 1)
    return re.sub(r"\bsnakemake\b", "snakemake --dry-run --quiet", command)


def test_the_pages_have_commands():
    assert len(BLOCKS) > 20
    assert any("snakemake" in command for block in BLOCKS for command in block.values[0])


@pytest.mark.parametrize(
    "command", ["medhash train --no-such-option ach/covid_ct/csq/ach/8/0", "medhash nothing"]
)
def test_what_is_parsed_is_refused_where_it_is_wrong(command, clone):
    arguments = shlex.split(command.removeprefix("medhash "))
    result = subprocess.run(
        [sys.executable, "-c", PARSE, *arguments], cwd=clone, capture_output=True, check=False
    )
    assert result.returncode != 0
