"""Downloads from a real HTTP server that behaves as badly as servers do."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from upstream_archives import BRAIN_COUNTS, brain_tumor_members, covid_ct, write, zip_bytes

from medhash.data.archives import sources
from medhash.data.archives.sources import CHUNK_BYTES, download
from medhash.data.cards import DatasetCard
from medhash.data.preparation import prepare
from medhash.errors import MedhashError

ZIP = zip_bytes(brain_tumor_members() | {"ballast.bin": bytes(range(256)) * 2000})


@dataclass
class Behaviour:
    """What the server serves and how it misbehaves; ``seen`` are the requests' ranges."""

    files: dict[str, bytes]
    ranges: bool = True
    validators: bool = True
    lengths: bool = True
    honours_if_range: bool = True
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    seen: list[str | None] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def etag(self, path: str) -> str:
        return f'"{hashlib.sha256(self.files[path]).hexdigest()[:16]}"'


class Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def do_GET(self) -> None:
        behaviour = self.behaviour
        behaviour.seen.append(self.headers.get("Range"))
        if behaviour.statuses:
            self.send_error(behaviour.statuses.pop(0))
            return
        path = self.path.lstrip("/")
        if path not in behaviour.files:
            self.send_error(404)
            return
        self.send_file(behaviour.files[path], path)

    def send_file(self, content: bytes, path: str) -> None:
        behaviour = self.behaviour
        start = self.start_of_range(path)
        if start is not None and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        behaviour.answers.append(200 if start is None else 206)
        self.send_response(behaviour.answers[-1])
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start or 0 :]
        if behaviour.lengths:
            self.send_header("Content-Length", str(len(body)))
        if behaviour.validators:
            self.send_header("ETag", behaviour.etag(path))
            self.send_header("Last-Modified", formatdate(0, usegmt=True))
        self.end_headers()
        self.wfile.write(body[: behaviour.cut_after.pop(0)] if behaviour.cut_after else body)

    def start_of_range(self, path: str) -> int | None:
        behaviour = self.behaviour
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if not asked or not behaviour.ranges:
            return None
        if behaviour.honours_if_range and self.headers.get("If-Range") != behaviour.etag(path):
            return None
        return int(asked[1])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    server = ThreadingHTTPServer(("localhost", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour({"archive.zip": ZIP})


@pytest.fixture
def address(behaviour) -> Iterator[str]:
    with serving(type("ThisHandler", (Handler,), {"behaviour": behaviour})) as url:
        yield url


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(sources, "RETRY_SECONDS", 0.0)


def card_for(address: str, files: list[str], **pins: str) -> DatasetCard:
    entries = [
        {"url": f"{address}/{name}", "path": name, "sha256": pins.get("sha256")} for name in files
    ]
    return DatasetCard.model_validate(
        {
            "name": "brain_tumor_mri",
            "title": "T",
            "licence": "L",
            "reference": "R",
            "classes": BRAIN_COUNTS,
            "reader": "brain_tumor_mri",
            "split": {"rule": "official"},
            "sources": [{"kind": "http", "page": address, "files": entries}],
        }
    )


def everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_a_download_arrives_and_is_recorded(tmp_path, address):
    [path] = download(card_for(address, ["archive.zip"]), tmp_path)
    assert path == tmp_path / "brain_tumor_mri/archive.zip"
    assert path.read_bytes() == ZIP
    assert everything(tmp_path) == ["brain_tumor_mri.checksums.json", "brain_tumor_mri/archive.zip"]
    recorded = json.loads((tmp_path / "brain_tumor_mri.checksums.json").read_text())
    assert recorded == {
        "archive.zip": {
            "sha256": hashlib.sha256(ZIP).hexdigest(),
            "source": f"{address}/archive.zip",
        }
    }


def test_what_is_there_is_not_fetched_again(tmp_path, address, behaviour):
    card = card_for(address, ["archive.zip"])
    download(card, tmp_path)
    download(card, tmp_path)
    assert len(behaviour.seen) == 1


def test_a_cut_connection_is_resumed_where_it_stopped(tmp_path, address, behaviour):
    behaviour.cut_after = [2 * CHUNK_BYTES, CHUNK_BYTES + 500]
    [path] = download(card_for(address, ["archive.zip"]), tmp_path)
    assert path.read_bytes() == ZIP
    assert behaviour.seen == [None, f"bytes={2 * CHUNK_BYTES}-", f"bytes={3 * CHUNK_BYTES}-"]
    assert everything(tmp_path) == ["brain_tumor_mri.checksums.json", "brain_tumor_mri/archive.zip"]


def test_a_download_given_up_is_resumed_by_the_next_run(tmp_path, address, behaviour):
    card = card_for(address, ["archive.zip"])
    behaviour.cut_after = [100_000, *[0] * sources.ATTEMPTS_WITHOUT_PROGRESS]
    with pytest.raises(MedhashError, match=r"interrupted after 65536 bytes.*run the command again"):
        download(card, tmp_path)
    assert "brain_tumor_mri/archive.zip" not in everything(tmp_path)
    behaviour.seen.clear()
    [path] = download(card, tmp_path)
    assert behaviour.seen == ["bytes=65536-"]
    assert path.read_bytes() == ZIP


def test_a_server_that_ignores_ranges_starts_again(tmp_path, address, behaviour):
    behaviour.ranges = False
    behaviour.cut_after = [100_000]
    [path] = download(card_for(address, ["archive.zip"]), tmp_path)
    assert path.read_bytes() == ZIP
    assert behaviour.seen == [None, "bytes=65536-"]


def test_without_a_validator_nothing_is_resumed(tmp_path, address, behaviour):
    behaviour.validators = False
    behaviour.cut_after = [100_000]
    [path] = download(card_for(address, ["archive.zip"]), tmp_path)
    assert path.read_bytes() == ZIP
    assert behaviour.seen == [None, None]


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changes_between_two_runs_is_never_mixed(
    tmp_path, address, behaviour, honours_if_range
):
    card = card_for(address, ["archive.zip"])
    behaviour.cut_after = [100_000, *[0] * sources.ATTEMPTS_WITHOUT_PROGRESS]
    with pytest.raises(MedhashError):
        download(card, tmp_path)
    behaviour.honours_if_range = honours_if_range
    behaviour.files["archive.zip"] = other = zip_bytes({"other.bin": bytes(600_000)})
    [path] = download(card, tmp_path)
    assert path.read_bytes() == other


def test_after_a_change_the_new_file_is_the_one_that_is_resumed(tmp_path, address, behaviour):
    card = card_for(address, ["archive.zip"])
    behaviour.cut_after = [100_000, *[0] * sources.ATTEMPTS_WITHOUT_PROGRESS]
    with pytest.raises(MedhashError):
        download(card, tmp_path)
    behaviour.files["archive.zip"] = other = zip_bytes({"other.bin": bytes(600_000)})
    behaviour.answers.clear()
    behaviour.cut_after = [200_000]
    [path] = download(card, tmp_path)
    assert behaviour.answers == [200, 206]
    assert path.read_bytes() == other


def test_a_part_longer_than_the_servers_file_is_dropped(tmp_path, address, behaviour):
    note = json.dumps({"validator": behaviour.etag("archive.zip")})
    parts = {
        "brain_tumor_mri/archive.zip.part": ZIP + b"more",
        "brain_tumor_mri/archive.zip.part.json": note.encode(),
    }
    [path] = download(card_for(address, ["archive.zip"]), write(tmp_path, parts))
    assert path.read_bytes() == ZIP


def test_a_whole_part_needs_no_more_bytes_than_a_new_download(tmp_path, address, behaviour):
    """Killed between the last byte and the rename: the server says 416, and it starts again."""
    note = json.dumps({"validator": behaviour.etag("archive.zip")})
    parts = {
        "brain_tumor_mri/archive.zip.part": ZIP,
        "brain_tumor_mri/archive.zip.part.json": note.encode(),
    }
    [path] = download(card_for(address, ["archive.zip"]), write(tmp_path, parts))
    assert path.read_bytes() == ZIP


def test_a_server_without_lengths_is_believed_when_the_archive_is_whole(
    tmp_path, address, behaviour
):
    behaviour.lengths = False
    [path] = download(card_for(address, ["archive.zip"]), tmp_path)
    assert path.read_bytes() == ZIP


def test_a_cut_that_the_server_does_not_show_is_found_in_the_archive(tmp_path, address, behaviour):
    behaviour.lengths = False
    behaviour.cut_after = [100_000]
    with pytest.raises(MedhashError, match="cut short or damaged"):
        download(card_for(address, ["archive.zip"]), tmp_path)
    assert everything(tmp_path) == []


@pytest.mark.parametrize("name", ["archive.zip", "table.csv"])
def test_a_web_page_instead_of_the_file_is_refused(tmp_path, address, behaviour, name):
    behaviour.files[name] = b"\n<!DOCTYPE html><html>Please sign in</html>"
    with pytest.raises(MedhashError, match=f"sent a web page instead of {name}"):
        download(card_for(address, [name]), tmp_path)
    assert everything(tmp_path) == []


def test_a_pinned_checksum_must_match(tmp_path, address):
    card = card_for(address, ["archive.zip"], sha256="0" * 64)
    with pytest.raises(MedhashError, match="the server's file has changed"):
        download(card, tmp_path)
    assert everything(tmp_path) == []


def test_a_recorded_checksum_must_match_later(tmp_path, address, behaviour):
    card = card_for(address, ["archive.zip"])
    [path] = download(card, tmp_path)
    path.unlink()
    behaviour.files["archive.zip"] = zip_bytes({"other.bin": b"other"})
    with pytest.raises(MedhashError, match="the first download recorded"):
        download(card, tmp_path)
    assert everything(tmp_path) == ["brain_tumor_mri.checksums.json"]


def test_a_file_changed_on_disk_is_noticed_and_kept(tmp_path, address):
    card = card_for(address, ["archive.zip"])
    [path] = download(card, tmp_path)
    path.write_bytes(b"changed")
    with pytest.raises(MedhashError, match="remove it to download it again"):
        download(card, tmp_path)
    assert path.read_bytes() == b"changed"


def test_a_refusal_is_final(tmp_path, address, behaviour):
    with pytest.raises(MedhashError, match="answered 404 Not Found; download the file by hand"):
        download(card_for(address, ["none.zip"]), tmp_path)
    assert len(behaviour.seen) == 1
    assert everything(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(tmp_path, address, behaviour):
    behaviour.statuses = [503, 429]
    [path] = download(card_for(address, ["archive.zip"]), tmp_path)
    assert path.read_bytes() == ZIP


def test_no_server_at_all_is_one_error(tmp_path):
    with pytest.raises(MedhashError, match="interrupted after 0 bytes"):
        download(card_for("http://localhost:9", ["archive.zip"]), tmp_path)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"archive.zip": "abc"}', b"\xff"])
def test_a_damaged_record_of_checksums_is_one_error(tmp_path, address, content):
    write(tmp_path, {"brain_tumor_mri.checksums.json": content})
    with pytest.raises(MedhashError, match=r"checksums\.json: cannot be read"):
        download(card_for(address, ["archive.zip"]), tmp_path)


def test_a_dataset_without_source_says_what_to_do(tmp_path):
    card = card_for("http://localhost", ["x"]).model_copy(
        update={"sources": (), "by_hand": "set a path"}
    )
    with pytest.raises(MedhashError, match="no source to download from; set a path"):
        download(card, tmp_path)


def test_progress_is_plain_lines_in_a_log(tmp_path, address, capsys):
    download(card_for(address, ["archive.zip"]), tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.fullmatch(r"download archive\.zip: (\S+ \wB) of \1", lines[0])


def test_prepare_downloads_what_is_missing_in_upstream_layout(tmp_path, behaviour, address):
    card, files = covid_ct()
    behaviour.files = files
    entries = [{"url": f"{address}/{name}", "path": name} for name in files]
    source = {"kind": "http", "page": address, "files": entries}
    card = DatasetCard.model_validate({**card.model_dump(), "sources": [source]})
    out = tmp_path / "out"
    prepare(card, [tmp_path / "none"], out, 8, download_folder=tmp_path / "archives")
    assert sum(json.loads((out / "dataset.json").read_text())["counts"].values()) == 7
    behaviour.seen.clear()
    prepare(card, [tmp_path / "archives"], out, 8, download_folder=tmp_path / "archives")
    assert behaviour.seen == []


# Kaggle: the real kagglehub against a server that speaks as much of its interface as it uses

KAGGLE_TEST_PORT = 7777  # kagglehub's own address for tests, KAGGLE_API_ENVIRONMENT=TEST


class KaggleHandler(BaseHTTPRequestHandler):
    archive: bytes = b""
    downloads = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/GetDataset"):
            self.answer(json.dumps({"currentVersionNumber": 3}).encode(), "application/json")
        elif self.path.endswith("/DownloadDataset"):
            type(self).downloads += 1
            self.answer(self.archive, "application/zip")
        else:
            self.send_error(404)

    def answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def kaggle(monkeypatch, tmp_path) -> Iterator[type[KaggleHandler]]:
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "none"))
    handler = type("ThisKaggle", (KaggleHandler,), {"archive": zip_bytes(brain_tumor_members())})
    try:
        with serving(handler, KAGGLE_TEST_PORT):
            yield handler
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        pytest.skip(f"port {KAGGLE_TEST_PORT}, the only one kagglehub can test on, is taken")


def kaggle_card(**pins: str) -> DatasetCard:
    source = {"kind": "kaggle", "handle": "owner/some-dataset", **pins}
    card = card_for("http://localhost", ["x"])
    return DatasetCard.model_validate({**card.model_dump(), "sources": [source]})


@pytest.mark.xdist_group("kaggle")
class TestKaggle:
    def test_a_dataset_arrives_unpacked_and_is_recorded(self, kaggle, tmp_path):
        folder = tmp_path / "archives"
        [path] = download(kaggle_card(), folder)
        assert path == folder / "brain_tumor_mri"
        assert everything(path) == sorted(brain_tumor_members())
        assert sorted(entry.name for entry in folder.iterdir()) == [
            "brain_tumor_mri",
            "brain_tumor_mri.checksums.json",
        ]

    def test_it_is_found_and_prepared(self, kaggle, tmp_path):
        folder = tmp_path / "archives"
        prepare(kaggle_card(), [folder], tmp_path / "out", 8, download_folder=folder)
        prepare(kaggle_card(), [folder], tmp_path / "out", 8, download_folder=folder)
        assert kaggle.downloads == 1

    def test_what_is_there_is_not_fetched_again(self, kaggle, tmp_path):
        download(kaggle_card(), tmp_path / "archives")
        download(kaggle_card(), tmp_path / "archives")
        assert kaggle.downloads == 1

    def test_a_pinned_content_must_match(self, kaggle, tmp_path):
        with pytest.raises(MedhashError, match="the files have changed"):
            download(kaggle_card(content_sha256="0" * 64), tmp_path / "archives")
        assert everything(tmp_path) == []

    def test_a_web_page_is_refused(self, kaggle, tmp_path):
        kaggle.archive = b"<html>Sign in</html>"
        with pytest.raises(MedhashError, match="Kaggle's download failed"):
            download(kaggle_card(), tmp_path / "archives")
        assert everything(tmp_path) == []
