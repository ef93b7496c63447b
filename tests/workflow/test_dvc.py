"""DVC keeps what git does not, and agrees with Snakemake on what is up to date."""

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from project_tree import PROJECT, Tree

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow-dvc")]

RESULTS = Path("results/demo")
CELL = RESULTS / "ach/cells/phantom_covid_ct/csq/none/8/0"
IMAGES = RESULTS / "data/phantom_covid_ct/32/images.npy"
KEPT = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")
SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


class VersionedTree(Tree):
    """A copy of the project that git and DVC look after."""

    def dvc(self, *arguments, succeeds=True):
        result = self._run([sys.executable, "-m", "dvc", *arguments], 300)
        assert (result.returncode == 0) == succeeds, result.stdout
        return result.stdout

    def git(self, *arguments):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        result = self._run(["git", *identity, *arguments], 60)
        assert result.returncode == 0, result.stdout

    def outdated(self):
        """The stages that `dvc status` names, once versions are written anew."""
        assert self.medhash("versions", "--scale", "demo").returncode == 0
        text = self.dvc("status", "--json")
        return set(json.loads(text[text.index("{") :])) - {"versions"}

    def planned_jobs(self):
        return self.planned("--profile", "demo", "all")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run of two cells, made without DVC and then given to it."""
    folder = tmp_path_factory.mktemp("versioned") / "project"
    folder.mkdir()
    tree = VersionedTree(folder)
    tree.thin("covid_ct")
    for name in KEPT:
        tree.path(name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tree.path(name))
    # In the project itself it is the scale small whose light files git keeps.
    tree.edit(".gitignore", "/results/small", "/results/demo")
    tree.make_by_hand("demo")
    for command in ("dvc", "versions", "metrics"):
        assert tree.medhash(command, "--scale", "demo").returncode == 0
    tree.git("init", "--quiet")
    tree.dvc("commit", "--force")
    tree.git("add", "--all")
    tree.git("commit", "--quiet", "--message", "a run")
    return tree


@pytest.fixture
def tree(made):
    """The tree of :func:`made`; what a test changes in files of git is undone."""
    yield made
    made.git("checkout", "--quiet", ".")


def test_git_and_dvc_share_the_files_of_a_run(tree):
    listed = set(tree._run(["git", "ls-files", "results"], 60).stdout.split())
    pinned = yaml.safe_load(tree.path("dvc.lock").read_text())["stages"]
    cached = {
        out["path"]
        for stage in pinned.values()
        for out in stage.get("outs", ())
        if out["path"] not in listed
    }
    heavy = {path for path in cached if path.endswith((".npy", ".safetensors", ".html"))}
    assert cached == heavy
    assert {str(IMAGES), str(CELL / "checkpoint.safetensors")} < heavy
    assert {str(CELL / "codes.npz"), str(CELL / "record.json")} < listed
    # Leases and timings are nobody's: they say what happens on one machine.
    on_disk = {str(path.relative_to(tree.root)) for path in tree.path("results").rglob("*.*")}
    own = {path for path in on_disk if path.startswith(str(RESULTS / "running"))}
    assert own
    assert on_disk - own <= listed | cached


def test_what_snakemake_finds_up_to_date_is_so_for_dvc(tree):
    assert tree.outdated() == set()
    assert not tree.planned_jobs()
    output = tree.dvc("repro")
    assert output.count("Running stage") == 1
    assert "Running stage 'versions'" in output


def test_a_comment_changes_nothing_and_a_loss_its_own_stage(tree):
    losses = "src/medhash/methods/csq.py"
    source = tree.path(losses).read_text()
    tree.path(losses).write_text("# a remark\n" + source)
    assert tree.outdated() == set()
    tree.path(losses).write_text(source + "\nANOTHER = 1\n")
    assert tree.outdated() == {"cells_ach_phantom_covid_ct_csq"}
    assert tree.planned_jobs() == {
        "train": 1,
        "record": 1,
        "table": 1,
        "figure": 1,
        "report": 1,
        "all": 1,
    }


def test_a_clone_pulls_and_has_nothing_to_do(tree, tmp_path):
    tree.dvc("push")
    clone = cloned(tree, tmp_path / "clone")
    assert not clone.path(IMAGES).exists()
    clone.dvc("pull")
    for file in (IMAGES, CELL / "checkpoint.safetensors"):
        assert clone.path(file).read_bytes() == tree.path(file).read_bytes()
    restored = clone.medhash("restore", "--scale", "demo")
    assert restored.returncode == 0, restored.stdout
    assert not clone.planned_jobs()
    assert clone.outdated() == set()


def test_large_files_are_linked_not_copied(tree):
    """A hard link of the cache, or a copy-on-write clone, which no number of links shows."""
    tree.dvc("checkout", "--relink")
    cache = tree.path(".dvc/cache")
    probe = cache / "probe"
    probe.write_bytes(b"x")
    try:
        os.link(probe, tree.path("probe"))
    except OSError:
        pytest.skip("this file system has no hard links")
    sizes = [path.stat().st_nlink for path in cache.rglob("*") if path.is_file() and path != probe]
    assert all(links > 1 for links in sizes)


def test_a_linked_file_that_is_made_again_leaves_the_cache_alone(tree):
    tree.dvc("checkout", "--relink")
    file = tree.path(IMAGES)
    whole = file.read_bytes()
    file.unlink()
    result = tree.medhash("prepare", "phantom_covid_ct", "--scale", "demo")
    assert result.returncode == 0, result.stdout
    assert file.read_bytes() == whole
    tree.dvc("checkout", "--force")
    assert file.read_bytes() == whole


def test_metrics_are_shown_and_compared(tree):
    record = json.loads(tree.path(CELL / "record.json").read_text())
    shown = json.loads(last_line(tree.dvc("metrics", "show", "--json")))
    data = shown[""]["data"]["results/demo/metrics.json"]["data"]
    place = data["ach"]["phantom_covid_ct"]["csq"]["none"]["8 bits"]["seed 0"]
    assert place["map"] == record["metrics"]["map"]
    tree.edit(RESULTS / "metrics.json", str(place["map"]), "0.125")
    changes = json.loads(last_line(tree.dvc("metrics", "diff", "--json")))
    name = "ach.phantom_covid_ct.csq.none.8 bits.seed 0.map"
    changed = changes["results/demo/metrics.json"]
    assert changed == {
        name: {"old": place["map"], "new": 0.125, "diff": pytest.approx(0.125 - place["map"])}
    }


def test_plots_draw_the_points_of_the_figures(tree, tmp_path):
    tree.dvc("plots", "show", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert "ach_fig7" in page
    assert "precision" in page


@pytest.fixture
def ssh_server(tmp_path):
    """A real sshd on the loopback address, with keys of its own; port and private key."""
    if SSHD is None:
        if os.environ.get("MEDHASH_REQUIRE_SSHD"):
            pytest.fail("sshd is not installed, but MEDHASH_REQUIRE_SSHD is set")
        pytest.skip("sshd is not installed (Debian: apt-get install openssh-server)")
    for key in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)]
        subprocess.run(command, check=True)
    authorised = tmp_path / "authorized_keys"
    authorised.write_text((tmp_path / "user.pub").read_text())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": authorised,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    configuration = tmp_path / "sshd_config"
    configuration.write_text("".join(f"{key} {value}\n" for key, value in options.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(configuration)])
    wait_for(port)
    yield port, tmp_path / "user"
    server.terminate()
    server.wait(timeout=30)


def test_a_remote_over_ssh(tree, tmp_path, ssh_server):
    port, key = ssh_server
    store = tmp_path / "store"
    address = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{store}"
    clone = cloned(tree, tmp_path / "clone")
    for each in (tree, clone):
        each.dvc("remote", "add", "--local", "--force", "cluster", address)
        each.dvc("remote", "modify", "--local", "cluster", "keyfile", str(key))
    tree.dvc("push", "--remote", "cluster")
    assert any(store.rglob("*"))
    clone.dvc("pull", "--remote", "cluster")
    assert clone.path(IMAGES).read_bytes() == tree.path(IMAGES).read_bytes()
    tree.path(".dvc/config.local").unlink()


def cloned(tree, folder):
    """A clone by git; it finds the same remote, because that lies beside the project."""
    tree._run(["git", "clone", "--quiet", str(tree.root), str(folder)], 60)
    clone = VersionedTree.__new__(VersionedTree)
    clone.root = folder
    clone.dvc(
        "remote", "modify", "--local", "store", "url", str(tree.root.parent / "medhash-store")
    )
    return clone


def wait_for(port):
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail(f"sshd does not answer at port {port}")


def last_line(text):
    return text.strip().splitlines()[-1]
