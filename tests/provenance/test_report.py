"""The report of a small finished run, as text and in a browser."""

from __future__ import annotations

import base64
import csv
import html
import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path

import chromium
import pytest
import yaml
from finished_tree import build, copy_of, medhash, working_in

from medhash.analysis.numbers.places import column_title
from medhash.audit.evidence import Evidence
from medhash.audit.targets import find_target
from medhash.configuration.loading import load
from medhash.errors import MedhashError
from medhash.flow.receipts import Receipts
from medhash.flow.steps import Steps
from medhash.report.page import report_html

# The tree is built once in the worker that runs these tests.
pytestmark = pytest.mark.xdist_group("report")

PAGE = Path("results/real/report.html")
TABLE = Path("results/real/mini/tables/table1.csv")
EVIL = "<script>alert('title')</script> & \"more\""
REPORTED = {
    "paper": "mini",
    "tables": {
        "I": {
            "title": "mAP",
            "metric": "mAP (%)",
            "regenerated_by": "table1",
            "columns": {"COVID-CT-Dataset": [8]},
            "rows": {"HashNet": "55.55", "HashNet+DBW(1/1)": "66.66", "CSQ": "77.77"},
        }
    },
    "derived": [],
}


class Elements(HTMLParser):
    """Ids, links and text of a page; fails on what is nested wrongly."""

    EMPTY = ("meta", "img", "br", "path", "rect", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self._open.pop() == tag


@pytest.fixture(scope="session")
def reported_tree(tmp_path_factory):
    """Two finished scales; of the real one, numbers of a paper stand beside some."""
    with working_in(tmp_path_factory.mktemp("reported")) as root:
        build(root, "real", "synthetic")
        path = root / "config/papers/reported/mini.yaml"
        path.write_text(yaml.safe_dump(REPORTED, sort_keys=False))
        (root / "docs").mkdir()
        (root / "docs/fidelity.md").write_text(FIDELITY)
        for scale in ("real", "synthetic"):
            medhash("table", "mini/table1", "--scale", scale)
            medhash("report", "--scale", scale)
        return root


FIDELITY = """# Fidelity

| # | The paper says |
| --- | --- |
| X1 | *nothing* of `this`<br>and <b>that</b>; see [there](other.md) |
"""


@pytest.fixture
def tree(reported_tree, tmp_path):
    with copy_of(reported_tree, tmp_path) as root:
        yield root


def report(scale="real") -> str:
    configuration = load(overrides={"scale": scale})
    return report_html(configuration, Steps(configuration))


def lines_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def part(text: str, anchor: str, tag: str = "details") -> str:
    """An element of the page, with what is nested in it left off."""
    start = text.index(f'id="{anchor}"')
    return text[start : text.index(f"</{tag}>", start)]


@pytest.mark.parametrize("scale", ["real", "synthetic"])
def test_every_regenerated_number_is_there_with_its_command(tree, scale):
    text = report(scale)
    tables = load(overrides={"scale": scale}).tables
    found = 0
    for table in tables.values():
        path = Path(f"results/{scale}/mini/tables/{table.name}.csv")
        for line in lines_of(path):
            if line["status"] != "ran":
                continue
            found += 1
            place = html.escape(f"{line['row']}, {column_title(line)}")
            printed = html.escape(line["printed"])
            anchor = re.search(
                rf'id="(n-{table.label}-\d+)">\s*<summary>{re.escape(place)}: '
                rf"<b>{re.escape(printed)}</b>",
                text,
            )[1]
            assert f'<a href="#{anchor}">{printed}</a></td>' in text
            command = re.search(r"<dt>Audit</dt><dd><code>(.*?)</code>", part(text, anchor))[1]
            words = shlex.split(html.unescape(command))
            assert words[:3] == ["medhash", "audit", path.as_posix()]
            assert words[3:] == ["--row", line["row"], "--column", column_title(line)]
            configuration = load(overrides={"scale": scale})
            number = find_target(Evidence(configuration), words[2], words[4], words[6]).number
            assert re.findall(r'href="#c-([^"]+)"', part(text, anchor)) == [
                cell.replace("/", ".") for cell in number.cells
            ]
            assert number.text == line["printed"]
    assert found == {"real": 7, "synthetic": 4}[scale]


def test_a_cell_leads_to_its_files_and_archives(tree):
    text = report()
    cell = "mini/covid_ct/hashnet/dbw/8/1"
    own = part(text, "c-" + cell.replace("/", "."))
    for rule, name in (("record", "record"), ("train", "codes"), ("train", "checkpoint")):
        receipt = json.loads(Path(f"results/real/receipts/{rule}/{cell}.json").read_text())
        file = receipt["outputs"][name]
        row = f'<td><code>{file["path"]}</code></td><td><code class="hash">{file["sha256"]}<'
        assert f"<td>{name}</td>{row}" in own
    assert f"medhash audit results/real/mini/cells/{cell.removeprefix('mini/')}/record.json" in own
    assert '<a href="#d-covid_ct.16">' in own
    train = json.loads(Path(f"results/real/receipts/train/{cell}.json").read_text())
    assert train["inputs"]["split"]["sha256"] in own
    assert train["inputs"]["pretrained"]["sha256"] in own
    dataset = part(text, "d-covid_ct.16")
    for archive in json.loads(Path("results/real/data/covid_ct/16/dataset.json").read_text())[
        "archives"
    ]:
        assert archive["sha256"] in dataset
        assert archive["source"] in dataset


def test_reported_regenerated_and_difference_stand_side_by_side(tree):
    text = report()
    section = part(text, "t-mini_table1", "section")
    headings = re.findall(r'class="sort" data-column="\d+">(.*?)<', section)
    assert headings == ["Method", "reported", "regenerated", "difference"]
    line = lines_of(TABLE)[0]
    row = section[section.index('<th scope="row">HashNet</th>') :]
    cells = re.findall(r"<td[^>]*>(?:<a[^>]*>)?(.*?)<", row[: row.index("</tr>")])
    difference = float(line["regenerated_minus_reported_points"])
    assert cells == ["55.55", line["printed"], f"{difference:+.2f}"]
    assert "so a difference says nothing about the paper" in section
    # HashNet+DBW is a row of the paper, CSQ+DBW is not.
    last = section[section.index('<th scope="row">CSQ+DBW') :]
    assert re.findall(r'class="(?:reported|difference)">(.*?)<', last) == ["–", "–"]


def test_a_phantom_has_no_reported_number_beside_it(tree):
    text = report("synthetic")
    assert "Synthetic phantoms, not real images" in text
    assert "decides no claim" in text
    section = part(text, "t-mini_table1", "section")
    assert "55.55" not in text
    assert re.findall(r'class="sort" data-column="\d+">(.*?)<', section) == [
        "Method",
        "regenerated",
    ]


def test_claims_come_first_with_verdict_and_evidence(tree):
    text = report()
    sections = re.findall(r'<section id="(\w+)">', text)
    assert sections[:4] == ["claims", "tables", "figures", "leakage"]
    for claim in lines_of(Path("results/real/claims.csv")):
        card = text[text.index(f"<code>{claim['paper']}: {claim['claim']}</code>") - 500 :]
        assert f"{claim['reads']}</span> {html.escape(claim['says'])}" in card
        assert (
            html.escape(claim["evidence"] or claim["missing"], quote=False)
            in html.unescape(card.replace("&#39;", "'"))
            or html.escape(claim["evidence"] or claim["missing"]) in card
        )
        assert f'<a href="#t-{claim["paper"]}_{claim["needs"]}">' in card


def test_every_link_leads_somewhere_and_nothing_is_loaded(tree):
    found = Elements(report())
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links} <= set(found.ids)
    assert all(link.startswith("#") for link in found.links)
    sources = [given.get("src") or given.get("srcset") for _, given in found.tags]
    assert all(source.startswith("data:image/png;base64,") for source in filter(None, sources))
    assert not {"link", "iframe", "object", "embed"} & {tag for tag, _ in found.tags}
    policy = next(given for tag, given in found.tags if "http-equiv" in given)["content"]
    assert "default-src 'none'" in policy


def test_each_picture_is_there_once(tree):
    text = report()
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", text)
    on_disk = [path.read_bytes() for path in Path("results/real/mini/figures").glob("*.png")]
    assert [base64.b64decode(picture) for picture in pictures] == on_disk


def test_titles_and_notes_are_text_not_markup(tree):
    path = Path("config/papers/mini.yaml")
    paper = yaml.safe_load(path.read_text())
    paper["title"] = paper["tables"]["table1"]["title"] = EVIL
    paper["methods"]["hashnet"]["title"] = "Hash<i>Net</i>"
    path.write_text(yaml.safe_dump(paper))
    medhash("table", "mini/table1", "--scale", "real")
    text = report()
    assert text.count("<script>") == 1
    assert "<i>Net" not in text
    assert (
        text.count(html.escape(EVIL, quote=False).replace("'", "&#39;").replace('"', "&#34;")) > 1
    )
    Elements(text)


def test_fidelity_is_rendered_without_foreign_markup(tree):
    section = part(report(), "fidelity", "section")
    assert "<td>X1</td>" in section
    assert (
        "<em>nothing</em> of <code>this</code><br>and &lt;b&gt;that&lt;/b&gt;; see there" in section
    )


def test_the_same_files_give_the_same_bytes(tree):
    assert report() == report() == PAGE.read_text(encoding="utf-8")


def test_the_written_report_fits_and_a_changed_record_sets_it_off(tree):
    steps = Steps(load(overrides={"scale": "real"}))
    assert steps.all()[-1].rule == "report"
    own = Steps(load(overrides={"scale": "real"}))
    medhash("claims", "--scale", "real")
    for stem in ("table", "figure"):
        medhash(stem, "mini/table2", "--scale", "real")
    medhash("report", "--scale", "real")
    assert Receipts(own).fits(own.of("report")).ok
    Path("docs/fidelity.md").write_text("# Other\n")
    fit = Receipts(own).fits(own.of("report"))
    assert "docs/fidelity.md" in fit.reason


@pytest.mark.parametrize(
    ("gone", "text"),
    [
        (TABLE, "Missing: results/real/mini/tables/table1.csv: not made yet."),
        (
            Path("results/real/mini/figures/table2.png"),
            "Missing: results/real/mini/figures/table2.png: not made yet.",
        ),
        (Path("results/real/claims.csv"), "Missing: results/real/claims.csv: not made yet."),
        (
            Path("results/real/mini/leakage/covid_ct/0.md"),
            "Missing: results/real/mini/leakage/covid_ct/0.md: not made yet.",
        ),
        (Path("docs/fidelity.md"), "Missing: docs/fidelity.md."),
        (
            Path("results/real/data/covid_ct/16/dataset.json"),
            "results/real/data/covid_ct/16/dataset.json: not made yet",
        ),
    ],
)
def test_what_is_missing_is_said_to_be_missing(tree, gone, text):
    assert text not in report()
    gone.unlink()
    page = report()
    assert text in page
    Elements(page)


def test_a_run_that_has_not_begun_has_a_report(tree):
    shutil.rmtree("results/real")
    medhash("report", "--scale", "real")
    text = PAGE.read_text()
    assert "0 of " in text
    found = Elements(text)
    assert {link[1:] for link in found.links} <= set(found.ids)


def test_a_file_that_is_not_what_its_receipt_says_is_named(tree):
    assert "Not as recorded" not in report()
    TABLE.write_text(
        TABLE.read_text().replace("ran,", "ran ,", 1).replace("ran ,", "ran,", 1) + "\n"
    )
    assert f"{TABLE}: is not what" not in report()
    assert f"</strong> {TABLE} is not what its receipt says." in report()
    Path("results/real/receipts/figure/mini/table2.json").unlink()
    assert "</strong> results/real/mini/figures/table2.png has no receipt." in report()


def test_what_is_no_picture_is_refused_by_name(tree):
    Path("results/real/mini/figures/table2.png").write_bytes(b"GIF89a")
    with pytest.raises(MedhashError, match=r"figures/table2\.png: is no PNG"):
        report()


def test_times_and_environment_are_those_of_the_receipts(tree):
    text = report()
    receipts = [json.loads(p.read_text()) for p in Path("results/real/receipts").rglob("*.json")]
    receipts = [receipt for receipt in receipts if receipt["rule"] != "report"]
    section = part(text, "runtimes", "section")
    assert f"{len(receipts)} of {len(receipts)} steps" in section
    seconds = sum(receipt["seconds"] for receipt in receipts if receipt["rule"] == "train")
    row = section[section.index('<th scope="row">train</th>') :].partition("</tr>")[0]
    assert f">{seconds:.1f}</td>" in row
    assert receipts[0]["environment"]["torch"] in part(text, "environment", "section")
    flow = part(text, "flow", "section")
    trained = sum(receipt["rule"] == "train" for receipt in receipts)
    assert f"train: {trained} of {trained}" in flow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if chromium.BINARY is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium)")
    page = chromium.Page(tmp_path_factory.mktemp("chromium"))
    yield page
    page.close()


@pytest.mark.parametrize("scale", ["real", "synthetic"])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser_it_is_readable_and_asks_for_nothing(reported_tree, page, scale, width):
    url = (reported_tree / f"results/{scale}/report.html").as_uri()
    page.open(url, width)
    assert page.js("innerWidth") == width
    page.js("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    # The page itself does not scroll sideways; what is too wide scrolls in its own box.
    assert page.js("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll('main *')].filter((each) =>
        !each.closest('.scroll') && each.getBoundingClientRect().right > innerWidth + 1
    ).map((each) => each.outerHTML.slice(0, 80))"""
    assert page.js(outside) == []
    small = """[...document.querySelectorAll('main p, main td, main dd, main th')].filter((each) =>
        parseFloat(getComputedStyle(each).fontSize) < 12).length"""
    assert page.js(small) == 0
    assert page.js("[...document.images].every((each) => each.naturalWidth > 100)") is True
    asked = [each["request"]["url"] for each in page.named("Network.requestWillBeSent")]
    assert asked.count(url) == 1
    assert all(each == url or each.startswith("data:image/png") for each in asked)
    assert page.named("Runtime.exceptionThrown") == []
    assert page.named("Runtime.consoleAPICalled") == []
    assert page.named("Log.entryAdded") == []


def column(page, number):
    return page.js(
        "[...document.querySelectorAll('#t-mini_table1 tbody tr')]"
        f".map((row) => row.cells[{number}].textContent)"
    )


def test_in_a_browser_a_heading_sorts_by_mouse_and_by_key(reported_tree, page):
    page.open((reported_tree / PAGE).as_uri(), 1280)
    before = column(page, 2)
    numbers = sorted(before, key=lambda text: float(text.split()[0]))
    assert numbers != before
    button = "document.querySelectorAll('#t-mini_table1 button.sort')"
    page.js(f"{button}[2].click()")
    assert column(page, 2) == numbers
    assert page.js(f"{button}[2].closest('th').getAttribute('aria-sort')") == "ascending"
    page.js(f"{button}[2].focus()")
    page.press(chromium.ENTER)
    assert column(page, 2) == numbers[::-1]
    page.press(chromium.ENTER)
    assert column(page, 2) == before
    # What the paper does not print stays last in either order.
    page.js(f"{button}[1].click()")
    assert column(page, 1) == ["55.55", "66.66", "77.77", "–"]
    page.js(f"{button}[1].click()")
    assert column(page, 1) == ["77.77", "66.66", "55.55", "–"]


def test_in_a_browser_a_number_opens_what_it_is_made_from(reported_tree, page):
    page.open((reported_tree / PAGE).as_uri(), 390)
    number = "document.querySelector('#t-mini_table1 td.regenerated a')"
    anchor = page.js(f"{number}.hash.slice(1)")
    assert page.js(f"document.getElementById('{anchor}').checkVisibility()") is False
    page.js(f"{number}.click()")
    page.js("new Promise((done) => setTimeout(done, 200))")
    visible = f"document.getElementById('{anchor}').querySelector('dd').checkVisibility()"
    assert page.js(visible) is True
    links = f"document.getElementById('{anchor}').querySelectorAll('dd a')"
    cell = page.js(f"decodeURIComponent({links}[1].hash.slice(1))")
    page.js(f"{links}[1].click()")
    page.js("new Promise((done) => setTimeout(done, 200))")
    assert page.js(f"document.getElementById('{cell}').querySelector('dd').checkVisibility()")
