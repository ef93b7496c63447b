"""An audit finds and names what was changed in a finished run, wherever that was."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from finished_tree import PROJECT, medhash
from forging import (
    CSQ,
    HASHNET,
    broken,
    edit,
    forge,
    other_digit,
    receipt_of,
    replace_text,
    reseal,
)
from matplotlib.axes import Axes
from PIL import Image
from rocrate.rocrate import ROCrate
from typer.testing import CliRunner

from medhash.audit.findings import Finding, State
from medhash.audit.run import audit
from medhash.commands.app import app
from medhash.configuration.loading import load
from medhash.files import sha256_of_file
from medhash.flow.receipts import seal_of
from medhash.retrieval.codes import Codes
from medhash.verdicts.claims import VERDICTS

# The tree is built once in the worker that runs these tests.
pytestmark = pytest.mark.xdist_group("audit")

RECORD = f"{HASHNET}/record.json"
TABLE = "results/real/mini/tables/table1"
FIGURE = "results/real/mini/figures/table2"
ROW, COLUMN = "HashNet+DBW", "COVID-CT-Dataset/8 bits"


def printed(row=ROW, column=COLUMN, field="map_percent"):
    import csv

    with Path(f"{TABLE}.csv").open() as stream:
        lines = [
            line
            for line in csv.DictReader(stream)
            if (line["row"], line["column"]) == (row, column)
        ]
    return lines[0][field]


@pytest.mark.parametrize("scale", ["real", "synthetic"])
def test_an_untouched_scale_is_verified_in_every_link(tree, scale):
    report = audit(load(overrides={"scale": scale}))
    assert [
        f.text for _, f in (*report.findings(State.BROKEN), *report.findings(State.MISSING))
    ] == []
    assert report.state == State.VERIFIED
    assert {link.rule for link in report.links} >= {
        *("split", "leakage", "pretrain", "train", "record", "table", "figure", "claims"),
        "prepare" if scale == "real" else "phantom",
    }


def test_one_number_is_followed_back_to_its_archives(tree):
    report = audit(load(), f"{TABLE}.csv", ROW, COLUMN)
    assert [link.name for link in report.links] == [
        "table mini/table1",
        "record mini/covid_ct/hashnet/dbw/8/1",
        "train mini/covid_ct/hashnet/dbw/8/1",
        "record mini/covid_ct/hashnet/dbw/8/0",
        "train mini/covid_ct/hashnet/dbw/8/0",
        "pretrain mini/covid_ct/classification",
        "pretrain mini/covid_ct/mae",
        "split mini/covid_ct/0",
        "prepare covid_ct/16",
    ]
    assert report.number.text == printed(field="printed")
    assert report.number.cells == ("mini/covid_ct/hashnet/dbw/8/0", "mini/covid_ct/hashnet/dbw/8/1")
    archives = report.links[-1].facts["archives"]
    assert [archive["file"] for archive in archives] == ["CT_COVID.zip", "CT_NonCOVID.zip"]
    assert archives[0]["sha256"] == sha256_of_file(tree / "data/archives/CT_COVID.zip")
    assert archives[0]["source"] == "https://github.com/UCSD-AI4H/COVID-CT"


def test_a_comparison_needs_both_of_its_variants(tree):
    report = audit(load(), "mini/table2", "HashNet+DBW vs. HashNet", COLUMN)
    assert set(report.number.cells) == {
        f"mini/covid_ct/hashnet/{variant}/8/{seed}"
        for variant in ("none", "dbw")
        for seed in (0, 1)
    }


class TestTables:
    def test_a_digit_is_named_with_its_row_and_column(self, tree):
        was = printed()
        replace_text(f"{TABLE}.csv", was, other_digit(was))
        found = broken(f"{TABLE}.csv")
        assert {check for _, check in found} == {"output", "table"}
        finding = found["table mini/table1", "table"]
        where = f"{ROW}, {COLUMN}, map_percent"
        assert finding.expected == f"{where}: {was}"
        assert finding.found == f"{where}: {other_digit(was)}"

    @pytest.mark.parametrize("suffix", ["csv", "md", "tex"])
    def test_a_digit_is_found_though_the_receipt_was_forged(self, tree, suffix):
        was = printed(field="printed").split()[0]
        replace_text(f"{TABLE}.{suffix}", was, other_digit(was))
        forge("table", "mini/table1")
        assert set(broken(f"{TABLE}.md")) == {("table mini/table1", "table")}

    def test_a_verdict_that_the_numbers_do_not_give_is_named(self, tree):
        path = "results/real/claims.csv"
        text = Path(path).read_text()
        verdict = next(each for each in VERDICTS if f",{each}," in text)
        other = "reproduced"
        Path(path).write_text(text.replace(f",{verdict},", f",{other},", 1))
        forge("claims", "all")
        assert other in broken(path)["claims all", "claims"].found

    def test_a_table_of_the_cells_that_have_run_is_verified(self, tree):
        for cell in ("none/8/1", "dbw/8/1"):
            shutil.rmtree(f"results/real/mini/cells/covid_ct/csq/{cell}")
            for rule in ("train", "record"):
                receipt_of(rule, f"mini/covid_ct/csq/{cell}").unlink()
        was = Path(f"{TABLE}.csv").read_text()
        medhash("table", "mini/table1")
        assert Path(f"{TABLE}.csv").read_text() != was
        assert broken(f"{TABLE}.csv") == {}
        restored = "results/real/mini/cells/covid_ct/csq/none/8/1/record.json"
        Path(restored).parent.mkdir(parents=True)
        shutil.copy(f"{CSQ}/record.json", restored)
        assert ("table mini/table1", "input") in broken(f"{TABLE}.csv")

    def test_an_edit_is_seen_from_any_of_its_numbers(self, tree):
        was = printed(row="CSQ")
        replace_text(f"{TABLE}.csv", was, other_digit(was))
        found = broken(f"{TABLE}.csv", row=ROW, column=COLUMN)
        assert "CSQ, COVID-CT-Dataset/8 bits" in found["table mini/table1", "table"].found


class TestRecords:
    def test_a_digit_is_named(self, tree):
        def change(record):
            record["metrics"]["precision_at"]["5"] += 0.001

        edit(RECORD, change)
        found = broken(RECORD)
        name = "record mini/covid_ct/hashnet/none/8/0"
        assert set(found) == {(name, "output"), (name, "metrics")}
        assert found[name, "metrics"].found.startswith("metrics.precision_at.5 ")

    def test_per_query_aps_are_named_by_image_though_their_mean_is_kept(self, tree):
        names = move_two_queries()
        forge("record", "mini/covid_ct/hashnet/none/8/0")
        found = broken()
        name = "record mini/covid_ct/hashnet/none/8/0"
        assert set(found) >= {(name, "per-query AP"), ("table mini/table1", "input")}
        assert (name, "output") not in found
        for text in (found[name, "per-query AP"].found, found[name, "per-query AP"].expected):
            assert all(image in text for image in names)

    def test_further_metrics_of_queries_that_the_codes_do_not_give_are_named(self, tree):
        def change(record):
            queries = len(record["query_rows"])
            values = {"5": [0.5] * queries}
            record["per_query"] = {"map_weighted": [0.5] * queries, "ndcg_at": values}
            record["per_query"]["acg_at"] = values

        edit(RECORD, change)
        found = broken(RECORD)
        assert ("record mini/covid_ct/hashnet/none/8/0", "per-query metrics") in found

    @pytest.mark.parametrize(
        ("source", "named"),
        [
            (f"{HASHNET[:-1]}1", "cell.seed: 1, not 0"),
            (CSQ, "cell.method: csq, not hashnet"),
            (
                "results/synthetic/mini/cells/phantom_covid_ct/hashnet/none/8/0",
                "is of the scale synthetic, not real",
            ),
        ],
    )
    def test_a_record_of_another_cell_or_scale_is_named(self, tree, source, named):
        shutil.copy(f"{source}/record.json", RECORD)
        forge("record", "mini/covid_ct/hashnet/none/8/0")
        assert named in broken(RECORD)["record mini/covid_ct/hashnet/none/8/0", "record"].text


def move_two_queries():
    """Change two APs of a record by the same amount in opposite directions."""
    content = json.loads(Path(RECORD).read_text())
    values = content["per_query_ap"]
    lowest, highest = int(np.argmin(values)), int(np.argmax(values))
    amount = min(values[lowest], 1 - values[highest]) or 0.01
    values[lowest] += 0.01 * amount
    values[highest] -= 0.01 * amount
    Path(RECORD).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    index = Path("results/real/data/covid_ct/16/index.csv").read_text().splitlines()[1:]
    return [index[content["query_rows"][i]].split(",")[0] for i in (lowest, highest)]


class TestCodesAndWeights:
    def test_swapped_codes_of_two_cells_are_named(self, tree):
        codes = [Path(f"{cell}/codes.npz").read_bytes() for cell in (HASHNET, CSQ)]
        for cell, content in zip((CSQ, HASHNET), codes, strict=True):
            Path(f"{cell}/codes.npz").write_bytes(content)
        found = broken()
        for folder, method in ((HASHNET, "hashnet"), (CSQ, "csq")):
            cell = f"mini/covid_ct/{method}/none/8/0"
            assert found[f"train {cell}", "output"].subject == f"{folder}/codes.npz"
            assert (f"record {cell}", "per-query AP") in found

    def test_a_replaced_checkpoint_is_named(self, tree):
        shutil.copy(f"{CSQ}/checkpoint.safetensors", f"{HASHNET}/checkpoint.safetensors")
        found = broken(RECORD)
        name = "train mini/covid_ct/hashnet/none/8/0"
        assert set(found) == {(name, "output"), (name, "weights")}
        assert "cell covid_ct/csq/none/8/0" in found[name, "weights"].text

    def test_a_changed_checkpoint_is_found_by_the_receipt(self, tree):
        change_checkpoint()
        found = broken(RECORD)
        name = "train mini/covid_ct/hashnet/none/8/0"
        assert set(found) == {(name, "output")}
        assert found[name, "output"].subject == f"{HASHNET}/checkpoint.safetensors"

    def test_a_checkpoint_with_a_forged_receipt_is_found_by_the_steps_behind(self, tree):
        change_checkpoint()
        forge("train", "mini/covid_ct/hashnet/none/8/0")
        assert set(broken(RECORD)) == {("record mini/covid_ct/hashnet/none/8/0", "upstream")}


def change_checkpoint():
    """Weights that differ in a single bit."""
    path = Path(f"{HASHNET}/checkpoint.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


class TestData:
    def test_an_edited_split_is_named_by_image(self, tree):
        image = swap_roles()
        found = broken("results/real/mini/splits/covid_ct/0.csv")
        name = "split mini/covid_ct/0"
        assert set(found) == {(name, "output"), (name, "split")}
        assert f"{image}, role: query" in found[name, "split"].expected

    def test_an_edited_split_is_found_though_its_own_hash_and_receipt_were_forged(self, tree):
        image = swap_roles()
        sha256 = sha256_of_file(Path("results/real/mini/splits/covid_ct/0.csv"))
        edit(
            "results/real/mini/splits/covid_ct/0.json",
            lambda facts: facts.update(manifest_sha256=sha256),
        )
        forge("split", "mini/covid_ct/0")
        found = broken(RECORD)
        assert image in found["split mini/covid_ct/0", "split"].found
        assert ("train mini/covid_ct/hashnet/none/8/0", "input") in found
        assert ("train mini/covid_ct/hashnet/none/8/0", "codes") in found

    def test_an_edited_archive_is_named_with_its_source(self, tree):
        path = tree / "data/archives/CT_NonCOVID.zip"
        was = sha256_of_file(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        stream = io.BytesIO()
        Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(stream, "PNG")
        members["CT_NonCOVID/7.png"] = stream.getvalue()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        report = audit(load(), RECORD)
        found = [f for _, f in report.findings(State.BROKEN)]
        assert [f.check for f in found] == ["archive", "archive"]
        assert found[0].subject == "CT_NonCOVID.zip"
        assert found[0].expected == f"SHA-256 {was}"
        assert "https://github.com/UCSD-AI4H/COVID-CT" in found[0].remedy
        assert "CT_NonCOVID/7.png" in found[1].text

    def test_an_archive_that_cannot_be_read_is_broken(self, tree):
        (tree / "data/archives/CT_COVID.zip").write_bytes(b"PK cut short")
        assert "CT_COVID.zip" in broken(RECORD)["prepare covid_ct/16", "archive"].text

    def test_other_labels_are_named_by_image(self, tree):
        path = tree / "results/real/data/covid_ct/16/labels.npy"
        labels = np.load(path)
        labels[3] = 1 - labels[3]
        np.save(path, labels)
        found = broken(RECORD)
        assert "CT_COVID/" in found["prepare covid_ct/16", "data"].text
        assert ("prepare covid_ct/16", "output") in found
        assert "labels" in found["train mini/covid_ct/hashnet/none/8/0", "codes"].text

    def test_an_edited_leakage_table_is_named(self, tree):
        path = tree / "results/real/mini/leakage/covid_ct/0.md"
        path.write_text(path.read_text().replace("0", "1", 1))
        assert set(broken(str(path))) == {
            ("leakage mini/covid_ct/0", "output"),
            ("leakage mini/covid_ct/0", "leakage"),
        }


def swap_roles():
    """Make the first query a database image; its id."""
    path = Path("results/real/mini/splits/covid_ct/0.csv")
    lines = path.read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if ",query," in line)
    lines[place] = lines[place].replace(",query,", ",database,")
    path.write_text("".join(lines))
    return lines[place].split(",")[1]


class TestConfigurationAndCode:
    def test_an_edited_setting_is_named_with_both_values(self, tree):
        path = tree / "config/papers/mini.yaml"
        paper = yaml.safe_load(path.read_text())
        paper["settings"]["hashing"]["epochs"] = 150
        path.write_text(yaml.safe_dump(paper))
        found = broken(RECORD)
        finding = found["train mini/covid_ct/hashnet/none/8/0", "settings"]
        assert finding.expected == "hashing.epochs: 2 (when it was made)"
        assert finding.found == "hashing.epochs: 150 (in the configuration)"
        assert {name for name, check in found if check == "settings"} == {
            "train mini/covid_ct/hashnet/none/8/0"
        }

    def test_a_receipt_that_was_fitted_to_an_edited_setting_contradicts_training_json(self, tree):
        path = tree / "config/papers/mini.yaml"
        paper = yaml.safe_load(path.read_text())
        paper["settings"]["hashing"]["epochs"] = 150
        path.write_text(yaml.safe_dump(paper))
        from medhash.flow.steps import Steps

        step = Steps(load()).of("train", "mini/covid_ct/hashnet/none/8/0")

        def change(receipt):
            receipt["settings"] = step.settings
            receipt["version"] = step.version
            receipt["seal"] = seal_of(receipt)

        edit(step.receipt, change)
        found = broken(RECORD)
        name = "train mini/covid_ct/hashnet/none/8/0"
        assert "epochs: 2, not 150" in found[name, "training"].text
        assert ("record mini/covid_ct/hashnet/none/8/0", "upstream") in found

    def test_edited_code_is_named_by_module(self, tree):
        shutil.copytree(PROJECT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
        replace_text(
            tree / "src/medhash/retrieval/hamming.py",
            "def packed_width",
            "LATER = 1\n\n\ndef packed_width",
        )
        result = subprocess.run(
            [sys.executable, "-m", "medhash", "audit", RECORD, "--json"],
            env=os.environ | {"PYTHONPATH": str(tree / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1, result.stderr
        links = json.loads(result.stdout)["links"]
        found = [f for link in links for f in link["findings"] if f["state"] == "broken"]
        assert {f["check"] for f in found} == {"code"}
        assert all("in medhash.retrieval.hamming" in f["text"] for f in found)
        assert "record mini/covid_ct/hashnet/none/8/0" in {f["subject"] for f in found}


class TestFigures:
    def test_a_picture_of_other_numbers_is_named_though_the_receipt_was_forged(self, tree):
        draw_other_numbers()
        forge("figure", "mini/table2")
        found = broken(f"{FIGURE}.pdf")
        assert set(found) == {("figure mini/table2", "figure")}
        assert "not the plot of its records" in found["figure mini/table2", "figure"].text

    def test_a_picture_that_was_drawn_elsewhere_may_differ_by_a_shade(self, tree):
        say_that_it_was_drawn_elsewhere()
        image = np.array(Image.open(f"{FIGURE}.png").convert("RGB"))
        shifted = np.roll(image, 1, axis=1).clip(20, 235)
        Image.fromarray(shifted).save(f"{FIGURE}.png")
        forge("figure", "mini/table2")
        assert broken(f"{FIGURE}.pdf") == {}

    @pytest.mark.parametrize("suffix", ["pdf", "png"])
    def test_another_picture_that_was_drawn_elsewhere_is_named(self, tree, suffix):
        say_that_it_was_drawn_elsewhere()
        own = Path(f"{FIGURE}.{suffix}")
        with changed_drawing():
            medhash("figure", "mini/table2")
        other = own.read_bytes()
        medhash("figure", "mini/table2")
        own.write_bytes(other)
        say_that_it_was_drawn_elsewhere()
        forge("figure", "mini/table2")
        found = broken(f"{FIGURE}.png")["figure mini/table2", "figure"]
        assert found.subject == str(own)
        assert "is not the plot of its records: drawn again, " in found.text

    def test_a_digit_of_a_picture_that_was_drawn_elsewhere_is_named(self, tree):
        """Nothing but what stands in a square as large as a digit is wiped out."""
        say_that_it_was_drawn_elsewhere()
        image = np.array(Image.open(f"{FIGURE}.png").convert("RGB"))
        dark = np.argwhere((image < 90).all(axis=2))
        row, column = dark[len(dark) // 2]
        image[max(0, row - 8) : row + 8, max(0, column - 6) : column + 6] = 255
        Image.fromarray(image).save(f"{FIGURE}.png")
        forge("figure", "mini/table2")
        assert (
            "pixels lie elsewhere" in broken(f"{FIGURE}.png")["figure mini/table2", "figure"].text
        )

    def test_a_picture_that_is_none_is_named(self, tree):
        say_that_it_was_drawn_elsewhere()
        for suffix in ("pdf", "png"):
            Path(f"{FIGURE}.{suffix}").write_bytes(b"%PDF-1.4 nothing")
        forge("figure", "mini/table2")
        assert "is no picture" in broken(f"{FIGURE}.pdf")["figure mini/table2", "figure"].text

    def test_points_are_compared_wherever_it_was_drawn(self, tree):
        text = Path(f"{FIGURE}.csv").read_text()
        Path(f"{FIGURE}.csv").write_text(text.replace(",0.", ",1.", 1))
        say_that_it_was_drawn_elsewhere()
        forge("figure", "mini/table2")
        assert "precision" in broken(f"{FIGURE}.pdf")["figure mini/table2", "figure"].found


@contextmanager
def changed_drawing():
    """One curve of figures runs a hundredth higher."""
    plot = Axes.plot

    def higher(axes, x, y, *rest, **style):
        return plot(axes, x, np.asarray(y) + 0.01, *rest, **style)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Axes, "plot", higher)
        yield


def draw_other_numbers():
    """Pictures of records that were changed for a moment."""
    files = Path(RECORD), receipt_of("record", "mini/covid_ct/hashnet/none/8/0")
    kept = {path: path.read_bytes() for path in files}

    def change(record):
        for k in record["metrics"]["precision_at"]:
            record["metrics"]["precision_at"][k] *= 0.5

    receipt, points = (
        receipt_of("figure", "mini/table2").read_bytes(),
        Path(f"{FIGURE}.csv").read_bytes(),
    )
    edit(RECORD, change)
    forge("record", "mini/covid_ct/hashnet/none/8/0")
    medhash("figure", "mini/table2")
    for path, content in kept.items():
        path.write_bytes(content)
    receipt_of("figure", "mini/table2").write_bytes(receipt)
    Path(f"{FIGURE}.csv").write_bytes(points)


def say_that_it_was_drawn_elsewhere():
    def change(receipt):
        receipt["environment"]["platform"] = "another machine"
        receipt["seal"] = seal_of(receipt)

    edit(receipt_of("figure", "mini/table2"), change)


class TestReport:
    PAGE = Path("results/real/report.html")

    @pytest.mark.parametrize(
        ("old", "new"),
        [("</body>", "<script>alert(1)</script></body>"), ("a digit", "another")],
    )
    def test_an_edit_is_found_though_its_receipt_was_forged(self, tree, old, new):
        if old == "a digit":
            old = printed(field="printed").split()[0]
            new = other_digit(old)
        replace_text(self.PAGE, old, new)
        forge("report", "all")
        found = broken(str(self.PAGE))
        assert set(found) == {("report all", "report")}
        finding = found["report all", "report"]
        assert finding.subject == str(self.PAGE)
        assert new[:10] in finding.found
        assert "medhash report --scale real" in finding.remedy

    def test_the_times_of_before_are_no_forgery_and_a_number_is(self, tree):
        edit(receipt_of("split", "mini/covid_ct/0"), lambda told: told.update(seconds=987.0))
        reseal(receipt_of("split", "mini/covid_ct/0"), started="2999-01-01T00:00:00+00:00")
        assert ("report all", "report") not in broken(str(self.PAGE))
        report = audit(load(), str(self.PAGE))
        texts = [f.text for _, f in report.findings(State.MISSING) if f.check == "report"]
        assert texts == [
            "tells the times of before these were made again: split mini/covid_ct/0; else the same"
        ]
        was = printed(field="printed").split()[0]
        replace_text(self.PAGE, was, other_digit(was))
        assert ("report all", "report") in broken(str(self.PAGE))

    @pytest.mark.parametrize("path", [RECORD, f"{FIGURE}.png"])
    def test_a_file_that_was_changed_is_named_by_the_report(self, tree, path):
        with Path(path).open("ab") as stream:
            stream.write(b" ")
        result = CliRunner().invoke(app, ["report"])
        assert f"{path}: its SHA-256 is" in str(result.exception)


class TestFilesThatNoStepMade:
    def named(self, target=None):
        noticed = audit(load(), target).noticed
        return [text.partition(":")[0] for text in noticed if "no step" in text]

    def test_they_are_named(self, tree):
        assert self.named() == []
        false = Path("results/real/mini/tables/table9.csv")
        false.write_text("row,map\n")
        assert self.named() == [str(false)]
        assert f"noticed  {false}: no step" in medhash("audit")
        Path("results/real/mini/tables/.table9.part.csv").touch()
        assert self.named() == [str(false)]

    def test_an_audit_of_one_file_does_not_look_for_them(self, tree):
        Path("results/real/mini/tables/table9.csv").touch()
        assert self.named(f"{TABLE}.csv") == []


class TestReceipts:
    def test_an_edited_receipt_does_not_fit_its_seal(self, tree):
        edit(
            receipt_of("split", "mini/covid_ct/0"),
            lambda receipt: receipt["git"].update(commit="0" * 40),
        )
        found = broken("results/real/mini/splits/covid_ct/0.csv")
        assert found["split mini/covid_ct/0", "receipt"].expected.startswith("seal ")

    def test_an_edited_receipt_with_a_new_seal_is_found_by_those_that_came_after(self, tree):
        def change(receipt):
            receipt["git"]["commit"] = "0" * 40
            receipt["seal"] = seal_of(receipt)

        edit(receipt_of("split", "mini/covid_ct/0"), change)
        found = broken(RECORD)
        assert {check for _, check in found} == {"upstream"}
        assert {f.subject for f in found.values()} == {str(receipt_of("split", "mini/covid_ct/0"))}

    def test_a_step_that_was_run_again_with_the_same_outcome_is_verified(self, tree):
        def change(receipt):
            receipt["started"] = "2999-01-01T00:00:00+00:00"
            receipt["seal"] = seal_of(receipt)

        edit(receipt_of("split", "mini/covid_ct/0"), change)
        report = audit(load(), RECORD)
        assert report.state == State.VERIFIED
        assert any("was run again later" in f.text for _, f in report.findings(State.VERIFIED))

    def test_a_file_without_a_receipt_is_broken(self, tree):
        receipt_of("split", "mini/covid_ct/0").unlink()
        assert ("split mini/covid_ct/0", "receipt") in broken(
            "results/real/mini/splits/covid_ct/0.csv"
        )

    def test_a_receipt_of_another_step_is_broken(self, tree):
        shutil.copy(
            receipt_of("record", "mini/covid_ct/csq/none/8/0"),
            receipt_of("record", "mini/covid_ct/hashnet/none/8/0"),
        )
        finding = broken(RECORD)["record mini/covid_ct/hashnet/none/8/0", "receipt"]
        assert "mini/covid_ct/csq/none/8/0" in finding.text


class TestDeep:
    """What only doing it again can find: everything behind the edit was run again, too."""

    def deeply(self, target, status):
        content = json.loads(medhash("audit", target, "--deep", "--json", status=status))
        findings = [(link, f) for link in content["links"] for f in link["findings"]]
        return {(f"{k['rule']} {k['key']}", f["check"]): f for k, f in findings}

    def test_an_untouched_cell_is_encoded_and_its_data_are_prepared_again(self, tree):
        found = self.deeply(RECORD, status=0)
        codes = found["train mini/covid_ct/hashnet/none/8/0", "encoding"]
        assert "the same bits" in codes["text"]
        assert "the same bytes" in found["prepare covid_ct/16", "data again"]["text"]

    def test_a_phantom_is_generated_again(self, tree):
        name = "results/synthetic/mini/splits/phantom_covid_ct/0.csv"
        found = self.deeply(name, status=0)
        text = found["phantom phantom_covid_ct/16", "data again"]["text"]
        assert "from its source: the same bytes in images.npy, labels.npy, index.csv" in text

    def test_codes_that_the_checkpoint_does_not_give_are_found(self, tree):
        path = Path(f"{HASHNET}/codes.npz")
        codes = Codes.load(path)
        replace(codes, query_codes=~codes.query_codes).save(path)
        forge("train", "mini/covid_ct/hashnet/none/8/0")
        medhash("record", "mini/covid_ct/hashnet/none/8/0")
        assert broken(RECORD) == {}
        finding = self.deeply(RECORD, status=1)["train mini/covid_ct/hashnet/none/8/0", "encoding"]
        assert finding["state"] == "broken"
        assert "20.00% other bits" in finding["text"]

    def test_images_that_the_archive_does_not_hold_are_found(self, tree):
        path = tree / "results/real/data/covid_ct/16/images.npy"
        images = np.load(path)
        images[0] = 0
        np.save(path, images)
        forge("prepare", "covid_ct/16")
        medhash("split", "covid_ct")
        split = "results/real/mini/splits/covid_ct/0.csv"
        assert broken(split) == {}
        finding = self.deeply(split, status=1)["prepare covid_ct/16", "data again"]
        assert finding["state"] == "broken"
        assert finding["subject"].endswith("images.npy")


class TestMissing:
    def test_files_that_are_elsewhere_are_missing_and_dvc_is_asked(self, tree):
        Path(f"{HASHNET}/checkpoint.safetensors").unlink()
        out = {"path": f"{HASHNET}/checkpoint.safetensors", "md5": "0123456789abcdef"}
        lock = {"schema": "2.0", "stages": {"train": {"cmd": "medhash", "outs": [out]}}}
        Path("dvc.lock").write_text(yaml.safe_dump(lock))
        report = audit(load(), RECORD)
        assert report.state == State.MISSING
        [(link, finding)] = report.findings(State.MISSING)
        assert link.name == "train mini/covid_ct/hashnet/none/8/0"
        assert (
            finding.text
            == "is not here; DVC has it (stage train in dvc.lock, md5 0123456789abcdef)"
        )
        assert finding.remedy == f"dvc pull {HASHNET}/checkpoint.safetensors"
        medhash("audit", RECORD)

    def test_a_clone_without_data_verifies_what_it_has(self, tree):
        shutil.rmtree(tree / "data")
        for path in tree.glob("results/real/data/**/*.npy"):
            path.unlink()
        for path in tree.glob("results/real/**/*.safetensors"):
            path.unlink()
        report = audit(load())
        assert report.state == State.MISSING
        assert report.findings(State.BROKEN) == []
        texts = [f.text for _, f in report.findings(State.VERIFIED)]
        assert sum("computed again from the codes" in text for text in texts) == 8
        assert any(
            f.remedy.startswith("get it from https://") for _, f in report.findings(State.MISSING)
        )

    def test_a_scale_that_was_not_run_is_missing(self, tree):
        shutil.rmtree(tree / "results/synthetic")
        report = audit(load(overrides={"scale": "synthetic"}))
        assert {link.state for link in report.links} == {State.MISSING}
        assert "was not run here" in report.links[0].findings[0].text


class TestCommand:
    def test_json_keeps_its_keys(self, tree):
        content = json.loads(
            medhash("audit", f"{TABLE}.csv", "--row", ROW, "--column", COLUMN, "--json")
        )
        assert content["schema"] == 1
        assert set(content) == {
            *("schema", "scale", "target", "state", "counts", "number", "seconds", "links"),
            "noticed",
        }
        assert set(content["number"]) == {"row", "column", "text", "cells"}
        assert content["counts"] == {"verified": 9, "missing": 0, "broken": 0}
        for link in content["links"]:
            assert set(link) == {
                *("rule", "key", "receipt", "state", "inputs", "outputs", "facts", "findings")
            }
            for finding in link["findings"]:
                assert set(finding) == {field.name for field in fields(Finding)}
                assert finding["state"] in {"verified", "missing", "broken"}

    def test_text_goes_from_the_number_to_the_archive(self, tree):
        text = medhash("audit", f"{TABLE}.csv", "--row", f"{ROW}(1/2)", "--column", COLUMN)
        lines = text.splitlines()
        assert lines[1] == f"{printed(field='printed')}   {ROW}, {COLUMN}"
        assert text.index("table mini/table1") < text.index("prepare covid_ct/16")
        for part in ("CT_COVID.zip, from https://", "licence", "hashing.epochs 2", "fingerprint"):
            assert part in text
        assert lines[-1] == "Everything is here and as it was made."
        assert max(map(len, lines)) <= 110

    def test_status_1_and_what_to_do_where_something_is_broken(self, tree):
        replace_text(f"{TABLE}.md", "HashNet", "HushNet")
        text = medhash("audit", status=1)
        assert "BROKEN" in text
        assert "medhash table mini/table1 --scale real" in text

    def test_a_copy_from_elsewhere_is_known_by_its_content(self, tree, tmp_path):
        copy = tmp_path / "handed.pdf"
        shutil.copy(f"{FIGURE}.pdf", copy)
        assert f"the bytes of {FIGURE}.pdf" in medhash("audit", str(copy))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([f"{TABLE}.csv", "--row", ROW], "--row and --column belong together"),
            ([f"{TABLE}.csv", "--row", "HashNet+DWB", "--column", COLUMN], "did you mean"),
            ([f"{TABLE}.csv", "--row", ROW, "--column", "COVID-CT/8 bits"], "did you mean"),
            (["mini/tabel1"], "did you mean 'mini/table1'"),
            ([f"{TABLE}.csv", "--scale", "synthetic"], "is of the run 'real'"),
            ([RECORD, "--row", ROW, "--column", COLUMN], "it has no rows"),
            (["config/config.yaml"], "knows a file with its content"),
        ],
    )
    def test_what_does_not_exist_is_refused_with_the_nearest_name(self, tree, arguments, message):
        result = CliRunner().invoke(app, ["audit", *arguments])
        assert message in str(result.exception)


class TestExport:
    @pytest.fixture
    def crate(self, tree, tmp_path):
        folder = tmp_path / "crate"
        arguments = (f"{TABLE}.csv", "--row", ROW, "--column", COLUMN)
        medhash("audit", *arguments, "--export", str(folder))
        return ROCrate(folder)

    def test_each_step_is_an_action_as_the_profile_wants_it(self, crate):
        """The MUSTs of Process Run Crate 0.5 and Workflow Run Crate 0.5."""
        workflow = crate.mainEntity
        assert set(workflow.type) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
        assert workflow["programmingLanguage"].type == "ComputerLanguage"
        profiles = {profile.id for profile in crate.root_dataset["conformsTo"]}
        assert {
            "https://w3id.org/ro/wfrun/process/0.5",
            "https://w3id.org/ro/wfrun/workflow/0.5",
            "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
        } <= profiles
        actions = crate.root_dataset["mentions"]
        assert [action["name"] for action in actions][:3] == [
            "prepare covid_ct/16",
            "split mini/covid_ct/0",
            "pretrain mini/covid_ct/mae",
        ]
        assert actions[-1]["instrument"].id == workflow.id
        for action in actions:
            assert action.type == "CreateAction"
            assert action["instrument"].type in ("SoftwareApplication", workflow.type)
            assert action["endTime"] >= action["startTime"]
            for entity in as_list(action.get("object")) + as_list(action["result"]):
                assert "File" in entity.type

    def test_what_one_action_wrote_is_what_the_next_one_read(self, crate):
        actions = {action["name"]: action for action in crate.root_dataset["mentions"]}
        train = actions["train mini/covid_ct/hashnet/dbw/8/0"]
        record = actions["record mini/covid_ct/hashnet/dbw/8/0"]
        codes = f"{HASHNET.replace('none', 'dbw')}/codes.npz"
        assert codes in {entity.id for entity in train["result"]}
        assert codes in {entity.id for entity in record["object"]}
        whole = actions["medhash at the scale real"]
        assert {entity["name"] for entity in whole["object"]} == {"CT_COVID.zip", "CT_NonCOVID.zip"}
        assert f"{TABLE}.csv" in {entity.id for entity in whole["result"]}

    def test_files_travel_with_their_hashes_but_images_do_not(self, crate, tree):
        files = {entity.id: entity for entity in crate.data_entities}
        for name, entity in files.items():
            copy = Path(crate.source) / name
            if name.startswith("ni:///sha-256;"):
                assert entity["name"].endswith((".zip", "images.npy"))
            elif entity.get("sha256"):
                assert sha256_of_file(copy) == entity["sha256"]
            else:
                assert copy.is_file()
        digest = bytes.fromhex(sha256_of_file(tree / "data/archives/CT_COVID.zip"))
        name = "ni:///sha-256;" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert files[name]["isBasedOn"] == "https://github.com/UCSD-AI4H/COVID-CT"
        assert not list(Path(crate.source).rglob("images.npy"))

    def test_the_audit_and_the_receipts_are_in_it(self, crate):
        folder = Path(crate.source)
        assert json.loads((folder / "audit.json").read_text())["state"] == "verified"
        receipts = [action["subjectOf"].id for action in crate.root_dataset["mentions"][:-1]]
        assert len(receipts) == 9
        assert all((folder / receipt).is_file() for receipt in receipts)

    def test_a_filled_folder_is_refused_before_anything_is_checked(self, tree, tmp_path):
        (tmp_path / "crate").mkdir()
        (tmp_path / "crate/file").touch()
        result = CliRunner().invoke(app, ["audit", "--export", str(tmp_path / "crate")])
        assert "is not empty" in str(result.exception)


def as_list(value):
    return value if isinstance(value, list) else [value] if value else []
