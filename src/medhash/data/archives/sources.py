"""Downloads: the only module that opens the network.

Files come over HTTP(S) through pooch, which checks and moves them into place, with a downloader
that resumes what was interrupted; Kaggle's datasets come through kagglehub. A checksum that the
card pins must match. Where none is pinned, the first download is recorded in
``<dataset>.checksums.json`` of the archive folder, and every later one must match that. (One file
for each dataset, because datasets are downloaded at the same time.)
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pooch
import requests
from pydantic import TypeAdapter, ValidationError
from urllib3.exceptions import HTTPError

from medhash.data.archives.containers import (
    UnusableArchiveError,
    ZipContainer,
    is_junk,
    is_web_page,
)
from medhash.data.archives.finding import content_sha256
from medhash.errors import MedhashError
from medhash.files import sha256_of_file, write_json
from medhash.progress import Advance, progress, say
from medhash.schema.base import StrictModel
from medhash.schema.datasets import DatasetCard, HttpSource, KaggleSource, RemoteFile

# What is lost of a cut connection is less than a chunk.
CHUNK_BYTES = 64 * 1024
TIMEOUT_SECONDS = (15.0, 60.0)
ATTEMPTS_WITHOUT_PROGRESS = 5
RETRY_SECONDS = 1.0


def download(card: DatasetCard, folder: Path) -> list[Path]:
    """Get a dataset's archives from their source.

    Args:
        card: the dataset.
        folder: the archive folder; the files go to ``folder/<dataset>/`` in upstream layout.

    Returns:
        The files, or for Kaggle the folder, in the order of the card. What is already there and
        matches its checksum is not fetched again.

    Raises:
        MedhashError: the source cannot be reached, or sends something else than it should.
            Files that arrived stay, an interrupted one stays as ``.part`` and is resumed by the
            next call; a wrong one is removed.
    """
    if not card.sources:
        raise MedhashError(f"dataset '{card.name}' has no source to download from; {card.by_hand}")
    paths: list[Path] = []
    for source in card.sources:
        if isinstance(source, KaggleSource):
            paths.append(_download_kaggle(card.name, source, folder))
        else:
            paths += _download_files(card.name, source, folder)
    return paths


class ResumingDownloader:
    """A pooch downloader that goes on where an interrupted download stopped.

    What has arrived lies in ``<target>.part``; ``<target>.part.json`` holds the validator (ETag or
    Last-Modified) that tells whether the server still has the same file. Without a validator, or
    where the server ignores ranges or has another file now, it starts again.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.part = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        """Fetch ``url`` into ``output_file``, as pooch asks for.

        Raises:
            MedhashError: the server refuses, the transfer makes no progress any more, or what
                came is a web page or a damaged archive.
        """
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._fetch(url)
        self.note.unlink(missing_ok=True)
        try:
            self._refuse_wrong_content(url)
        except MedhashError:
            self.part.unlink()
            raise
        self.part.replace(output_file)

    def _fetch(self, url: str) -> None:
        """Try until the file is whole; give up when attempts bring nothing more."""
        fruitless = 0
        while True:
            before = self._arrived()
            try:
                if self._attempt(url):
                    return
                problem = "the connection was cut"
            except (requests.RequestException, HTTPError) as error:
                problem = _what_happened(error)
            fruitless = 0 if self._arrived() > before else fruitless + 1
            if fruitless >= ATTEMPTS_WITHOUT_PROGRESS:
                raise MedhashError(
                    f"{url}: download interrupted after {self._arrived()} bytes ({problem}); "
                    "run the command again to resume it"
                )
            say(f"{self.target.name}: {problem}; trying again")
            time.sleep(RETRY_SECONDS * 2**fruitless)

    def _attempt(self, url: str) -> bool:
        """One request; True where the file is whole after it."""
        with requests.get(
            url, headers=self._resume_headers(), stream=True, timeout=TIMEOUT_SECONDS
        ) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self._start_again()
                return False
            _raise_for_status(response, url)
            offset = self._offset(response)
            total = _total(response, offset)
            write_json(self.note, {"validator": self._validator() or _validator_of(response)})
            self._receive(response, offset, total)
        return total is None or self._arrived() == total

    def _resume_headers(self) -> dict[str, str]:
        """Ask for the rest where there is a beginning that can be trusted."""
        headers = {"Accept-Encoding": "identity"}
        validator = self._validator()
        if self._arrived() and validator:
            headers |= {"Range": f"bytes={self._arrived()}-", "If-Range": validator}
        return headers

    def _offset(self, response: requests.Response) -> int:
        """Where the response's bytes belong: after what is there, or at the beginning."""
        if response.status_code != requests.codes.partial_content:
            # Gone before the new validator is noted: old bytes must never pass for new ones.
            self._start_again()
            return 0
        start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if start != str(self._arrived()) or _validator_of(response) not in {"", self._validator()}:
            self._start_again()
            raise requests.RequestException("the server has another file now")
        return self._arrived()

    def _receive(self, response: requests.Response, offset: int, total: int | None) -> None:
        title = f"download {self.target.name}"
        with (
            self.part.open("ab" if offset else "wb") as stream,
            progress(title, total, "bytes", done=offset) as advance,
        ):
            _copy(response, stream, advance)

    def _validator(self) -> str:
        try:
            return str(json.loads(self.note.read_text(encoding="utf-8"))["validator"])
        except (OSError, ValueError, KeyError):
            return ""

    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _start_again(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _refuse_wrong_content(self, url: str) -> None:
        with self.part.open("rb") as stream:
            start = stream.read(512)
        if is_web_page(start):
            raise MedhashError(
                f"{url}: the server sent a web page instead of {self.target.name}; download it "
                "by hand, or try again later"
            )
        if self.target.suffix == ".zip":
            try:
                ZipContainer(self.part)
            except UnusableArchiveError as error:
                raise MedhashError(f"{url}: {error.reason}") from None


def _copy(response: requests.Response, stream: IO[bytes], advance: Advance) -> None:
    """Write the body chunk by chunk."""
    for chunk in response.iter_content(CHUNK_BYTES):
        stream.write(chunk)
        advance(len(chunk))


def _what_happened(error: Exception) -> str:
    """The network libraries' long messages in a few words."""
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if isinstance(error, requests.ConnectionError):
        return "no connection to the server"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | HTTPError):
        return "the connection was cut"
    return str(error)


def _raise_for_status(response: requests.Response, url: str) -> None:
    """Refusals are final; a server in trouble is worth another attempt."""
    status = response.status_code
    if status in {408, 429} or status >= 500:
        raise requests.RequestException(f"the server answered {status} {response.reason}")
    if status >= 400:
        raise MedhashError(
            f"{url}: the server answered {status} {response.reason}; download the file by hand"
        )


def _validator_of(response: requests.Response) -> str:
    """ETag or date; a weak ETag does not promise the same bytes."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _total(response: requests.Response, offset: int) -> int | None:
    """Bytes of the whole file, or None where the server does not say."""
    length = response.headers.get("Content-Length")
    return None if length is None else offset + int(length)


def _download_files(dataset: str, source: HttpSource, folder: Path) -> list[Path]:
    record = _Record(folder, dataset)
    return [_download_file(file, folder / dataset, record) for file in source.files]


def _download_file(file: RemoteFile, folder: Path, record: _Record) -> Path:
    target = folder / file.path
    expected = file.sha256 or record.checksum(file.path)
    if target.exists():
        checksum = sha256_of_file(target)
        _refuse_other(target, checksum, expected)
    else:
        _retrieve(file.url, target, expected)
        checksum = expected or sha256_of_file(target)
    record.write(file.path, checksum, file.url)
    return target


def _retrieve(url: str, target: Path, expected: str | None) -> None:
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{expected}" if expected else None,
            fname=target.name,
            path=target.parent,
            downloader=ResumingDownloader(target),
        )
    except ValueError:
        # pooch removes what it fetched and says nothing that a user could act on.
        raise MedhashError(
            f"{url}: the server's file has changed, its SHA-256 is not {expected}, which the card "
            "pins or the first download recorded; nothing was kept"
        ) from None
    except OSError as error:
        raise MedhashError(f"{target}: cannot be written: {error}") from None


def _refuse_other(path: Path, checksum: str, expected: str | None) -> None:
    if expected not in {None, checksum}:
        raise MedhashError(
            f"{path}: its SHA-256 is {checksum}, but the card pins or an earlier download "
            f"recorded {expected}; remove it to download it again"
        )


def _download_kaggle(dataset: str, source: KaggleSource, folder: Path) -> Path:
    """Fetch and unpack with kagglehub; the checksum is that of all files together."""
    target, cache = folder / dataset, folder / f".{dataset}.kagglehub"
    record = _Record(folder, dataset)
    expected = source.content_sha256 or record.checksum(_WHOLE_CONTENT)
    if target.exists():
        checksum = _content_checksum(target)
        _refuse_other(target, checksum, expected)
    else:
        arrived = _fetch_from_kaggle(source, cache)
        checksum = _content_checksum(arrived)
        if expected in {None, checksum}:
            arrived.replace(target)
        shutil.rmtree(cache)
    if expected not in {None, checksum}:
        raise MedhashError(
            f"{source.page}: the files have changed, their common SHA-256 is {checksum}, not "
            f"{expected}, which the card pins or the first download recorded; nothing was kept"
        )
    record.write(_WHOLE_CONTENT, checksum, source.page)
    return target


def _fetch_from_kaggle(source: KaggleSource, cache: Path) -> Path:
    """The folder that kagglehub made; an interrupted download is resumed from its cache."""
    say(f"download {source.handle} from Kaggle")
    with _kagglehub_environment(cache):
        import kagglehub
        from kagglehub import exceptions

        failures = (
            exceptions.BackendError,
            exceptions.CredentialError,
            exceptions.DataCorruptionError,
            exceptions.NotFoundError,
            exceptions.UnauthenticatedError,
            zipfile.BadZipFile,
            OSError,
            ValueError,
        )
        try:
            return Path(kagglehub.dataset_download(source.handle))
        except failures as error:
            if not isinstance(error, requests.RequestException):
                # What arrived is wrong: kagglehub would take it for a beginning next time.
                shutil.rmtree(cache, ignore_errors=True)
            first_line = str(error).strip().partition("\n")[0]
            raise MedhashError(
                f"{source.page}: Kaggle's download failed ({first_line or type(error).__name__}); "
                "try again, or press Download on the page and put the zip into the archive folder"
            ) from None


@contextmanager
def _kagglehub_environment(cache: Path) -> Iterator[None]:
    """Tell kagglehub where to work, and tqdm to keep its bar out of logs."""
    changes = {"KAGGLEHUB_CACHE": str(cache.resolve())}
    if not sys.stderr.isatty():
        changes["TQDM_DISABLE"] = "1"
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _content_checksum(folder: Path) -> str:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return content_sha256(
        {
            name: sha256_of_file(path)
            for name, path in files.items()
            if path.is_file() and not is_junk(name)
        }
    )


_WHOLE_CONTENT = "."


class _Record:
    """``<dataset>.checksums.json``: path in the upstream layout -> SHA-256 and source."""

    def __init__(self, folder: Path, dataset: str) -> None:
        self.path = folder / f"{dataset}.checksums.json"

    def checksum(self, name: str) -> str | None:
        """What the first download of a file had, None before it."""
        entry = self._entries().get(name)
        return None if entry is None else entry.sha256

    def write(self, name: str, checksum: str, source: str) -> None:
        """Add or replace an entry."""
        entries = self._entries()
        entry = _Entry(sha256=checksum, source=source)
        if entries.get(name) != entry:
            write_json(self.path, _ENTRIES.dump_python({**entries, name: entry}))

    def _entries(self) -> dict[str, _Entry]:
        if not self.path.exists():
            return {}
        try:
            return _ENTRIES.validate_json(self.path.read_bytes())
        except (OSError, ValidationError) as error:
            problem = str(error).partition("\n")[0]
            raise MedhashError(
                f"{self.path}: cannot be read ({problem}); repair or remove it"
            ) from None


class _Entry(StrictModel):
    sha256: str
    source: str


_ENTRIES = TypeAdapter(dict[str, _Entry])
