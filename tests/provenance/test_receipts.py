"""Receipts: written by commands, and what makes one fit no more."""

import json
import os
import shutil
from pathlib import Path

import pytest

from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json
from medhash.flow.hashes import FileHashes
from medhash.flow.receipts import Receipts, read, recorded, seal_of
from medhash.flow.steps import Steps

PROJECT = Path(__file__).resolve().parents[2]
DATASET = "phantom_covid_ct"


@pytest.fixture(autouse=True)
def in_an_empty_project(tmp_path, monkeypatch):
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)


def steps_of(**settings):
    return Steps(load(overrides={"scale": "demo", "settings": settings}))


def make(steps, step, content=b"one"):
    """Write a step's files without its work: receipts know only bytes."""
    with recorded(steps, step):
        for name, path in step.outputs.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"{}" if path.suffix == ".json" else content + name.encode())


@pytest.fixture
def chain():
    """Steps, and three of them that are made: a phantom, its split, its leakage table."""
    steps = steps_of()
    made = [
        steps.of("prepare", DATASET, 32),
        steps.of("split", "ach", DATASET),
        steps.of("leakage", "ach", DATASET),
    ]
    for step in made:
        make(steps, step)
    return steps, *made


def fits(step):
    """Judged by someone who knows nothing yet."""
    steps = steps_of()
    return Receipts(steps).fits(steps.find(step.rule, step.key))


def rewrite(step, **changes):
    """Change a receipt and seal it again."""
    receipt = read(step) | changes
    write_json(step.receipt, receipt | {"seal": seal_of(receipt)})


def test_a_receipt_says_what_went_in_and_came_out(chain):
    _, phantom, split, _ = chain
    receipt = json.loads(Path(f"results/demo/receipts/split/ach/{DATASET}/0.json").read_text())
    assert receipt["rule"] == "split"
    assert receipt["key"] == f"ach/{DATASET}/0"
    assert receipt["version"] == split.version
    labels = receipt["inputs"]["labels"]
    assert labels["path"] == f"results/demo/data/{DATASET}/32/labels.npy"
    assert labels["sha256"] == sha256_of_file(Path(labels["path"]))
    assert receipt["outputs"]["manifest"]["sha256"] == sha256_of_file(split.outputs["manifest"])
    assert receipt["upstream"] == {str(phantom): seal_of(read(phantom))}
    assert receipt["settings"]["seed"] == 0
    assert "medhash.data.splits.making" in receipt["code"]["modules"]
    assert receipt["seconds"] >= 0


def test_what_was_made_fits(chain):
    assert all(fits(step).ok for step in chain[1:])


def test_nothing_made_is_absent():
    assert fits(steps_of().of("split", "ach", DATASET)).state == "absent"


def test_files_that_are_elsewhere_and_times_do_not_matter(chain):
    _, phantom, split, leakage = chain
    phantom.outputs["images"].unlink()
    split.outputs["manifest"].unlink()
    for path in leakage.outputs.values():
        os.utime(path, (1, 1))
    assert fits(leakage).ok


def test_an_edited_file_is_refused_by_name_and_all_behind_it_is_outdated(chain):
    _, phantom, split, leakage = chain
    phantom.outputs["labels"].write_bytes(b"other")
    fit = fits(phantom)
    assert fit.state == "refused"
    assert str(phantom.outputs["labels"]) in fit.reason
    assert fits(leakage).state == "outdated"
    assert (fits(leakage).cause.rule, fits(split).cause.rule) == ("phantom", "phantom")


def test_a_file_with_its_old_time_and_size_is_still_read_again(chain):
    phantom = chain[1]
    path = phantom.outputs["images"]
    path.write_bytes(bytes(2_000_000))
    hashes = FileHashes()
    before, times = hashes.of(path), path.stat()
    path.write_bytes(bytes(1_999_999) + b"1")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert hashes.of(path) == sha256_of_file(path) != before


def test_hashes_are_remembered_by_another_process_and_safe_to_lose(tmp_path, monkeypatch):
    path = tmp_path / "large"
    path.write_bytes(bytes(2_000_000))
    right = FileHashes().of(path)
    with monkeypatch.context() as patch:
        patch.setattr("medhash.flow.hashes.sha256_of_file", lambda path: "read again")
        assert FileHashes().of(path) == right
        assert FileHashes(remembers=False).of(path) == "read again"
    for entry in Path(".cache").rglob("*.json"):
        entry.write_text("[")
    assert FileHashes().of(path) == right == sha256_of_file(path)
    with monkeypatch.context() as patch:
        patch.setattr("medhash.memory.MEMORY", Path("/proc/medhash"))
        assert FileHashes().of(path) == right
    assert FileHashes().of(tmp_path / "none") is None


def test_a_changed_setting_is_named(chain):
    scale = Path("config/scales/demo.yaml")
    scale.write_text(scale.read_text().replace("images: 320", "images: 40"))
    steps = steps_of()
    fit = Receipts(steps).fits(steps.of("leakage", "ach", DATASET))
    assert fit.state == "outdated"
    assert fit.cause.rule == "phantom"
    assert "images was 320, is 40" in Receipts(steps).fits(steps.of("prepare", DATASET, 32)).reason


def test_changed_code_is_named(chain):
    split = chain[2]
    code = read(split)["code"]
    modules = code["modules"] | {"medhash.data.splits.making": "0" * 64}
    rewrite(split, version="another", code=code | {"modules": modules})
    assert "changed code in medhash.data.splits.making" in fits(split).reason


def test_a_receipt_of_an_older_schema_is_outdated(chain):
    split = chain[2]
    rewrite(split, schema=0)
    fit = fits(split)
    assert fit.state == "outdated"
    assert f"{split.receipt}: is of schema 0, wanted is 1" in fit.reason


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": 1, "rule": "split"}'])
def test_what_is_no_receipt_is_refused(chain, text):
    split = chain[2]
    split.receipt.write_text(text)
    fit = fits(split)
    assert fit.state == "refused"
    assert str(split.receipt) in fit.reason


def test_a_receipt_without_its_keys_is_refused(chain):
    split = chain[2]
    receipt = {key: value for key, value in read(split).items() if key != "inputs"}
    write_json(split.receipt, receipt)
    assert "not a whole receipt" in fits(split).reason


def test_files_without_a_receipt_are_refused(chain):
    split = chain[2]
    split.receipt.unlink()
    fit = fits(split)
    assert fit.state == "refused"
    assert str(split.outputs["manifest"]) in fit.reason


def test_a_changed_receipt_does_not_fit_its_seal(chain):
    split = chain[2]
    receipt = json.loads(split.receipt.read_text())
    write_json(split.receipt, receipt | {"seconds": 0.5})
    fit = fits(split)
    assert fit.state == "refused"
    assert "was changed after it was written" in fit.reason


def test_the_same_content_of_another_machine_is_accepted_and_other_content_refused(chain):
    steps, phantom, split, leakage = chain
    make(steps, phantom)
    assert fits(leakage).ok
    make(steps, phantom, b"two")
    assert fits(phantom).ok
    fit = fits(split)
    assert fit.state == "refused"
    assert "labels.npy" in fit.reason
    assert str(split.outputs["manifest"]) in fit.reason


def test_a_table_of_fewer_records_is_outdated(chain):
    split = chain[2]
    inputs = read(split)["inputs"]
    rewrite(split, inputs={name: file for name, file in inputs.items() if name != "labels"})
    assert "was made without" in fits(split).reason
    rewrite(split, inputs=inputs | {"more": inputs["labels"]})
    assert "was made with more" in fits(split).reason


def test_work_that_fails_leaves_no_receipt_and_one_of_before_does_not_fit(chain):
    steps, phantom, split, _ = chain

    def work(step):
        with recorded(steps, step):
            step.outputs["manifest"].write_text("half of the outputs")
            raise MedhashError("no room")

    with pytest.raises(MedhashError):
        work(split)
    assert fits(split).state == "refused"
    split.receipt.unlink()
    with pytest.raises(MedhashError):
        work(split)
    assert not split.receipt.exists()
    assert fits(phantom).ok


def test_work_that_leaves_a_file_out_is_an_error(chain):
    steps, _, split, _ = chain
    split.outputs["facts"].unlink()
    with pytest.raises(RuntimeError, match=r"0\.json"), recorded(steps, split):
        pass
