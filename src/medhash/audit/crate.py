"""An audited chain as an RO-Crate: the Workflow Run Crate profile, one action a step.

Small files travel in the crate. Images, and files that are large or not here, are named by their
hashes (RFC 6920), so that whoever has a copy can tell that it is the one. Receipts and the audit's
JSON are in it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from medhash.audit.findings import Link, Report
from medhash.configuration.loading import Configuration
from medhash.errors import MedhashError
from medhash.files import written_whole
from medhash.flow.kinds import kind_of

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
LARGEST_COPY = 16_000_000
"""Larger files are named by their hash instead of being copied. Bytes."""

WORKFLOW = Path("Snakefile")
AUDIT_FILE = "audit.json"

_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".npy": "application/octet-stream",
    ".npz": "application/zip",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".safetensors": "application/octet-stream",
    ".tex": "application/x-tex",
}


def check_folder(folder: Path) -> None:
    """Refuse a folder that has something in it.

    Raises:
        MedhashError: it is a file, or is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MedhashError(
            f"--export {folder}: is not empty; name a folder that does not exist yet"
        )


def write_crate(report: Report, configuration: Configuration, folder: Path) -> Path:
    """Write the chain of a report as an RO-Crate.

    Args:
        report: of an audit.
        configuration: the same as the audit's.
        folder: where to; whole or not at all.

    Returns:
        The path of ``ro-crate-metadata.json``.

    Raises:
        MedhashError: the folder is not empty.
    """
    check_folder(folder)
    with written_whole(folder) as temporary:
        _Crate(report, configuration).write(temporary)
        if folder.is_dir():
            folder.rmdir()
    return folder / "ro-crate-metadata.json"


class _Crate:
    """The entities of one crate, each made once."""

    def __init__(self, report: Report, configuration: Configuration) -> None:
        # Imported here: only an export needs it.
        from rocrate.rocrate import ROCrate

        self._report = report
        self._configuration = configuration
        self._crate = ROCrate(version="1.1")
        self._crate.metadata.extra_contexts.append(TERMS)
        self._files: dict[str, Any] = {}
        self._tools: dict[str, Any] = {}

    def write(self, folder: Path) -> None:
        """Describe everything and write the folder."""
        self._describe_root()
        # In the order in which the steps ran.
        made = [link for link in reversed(self._report.links) if link.facts]
        actions = [self._action(link) for link in made]
        actions.append(self._run(made))
        self._crate.root_dataset["mentions"] = actions
        folder.mkdir(parents=True)
        audit = folder.with_name(f"{folder.name}.{AUDIT_FILE}")
        try:
            audit.write_text(
                json.dumps(self._report.as_json(), indent=1, sort_keys=True, ensure_ascii=False)
                + "\n",
                encoding="utf-8",
            )
            description = {
                "name": f"Audit: {self._report.state}",
                "description": "What was checked of every link, and how it came out",
                "encodingFormat": "application/json",
            }
            self._crate.add_file(audit, AUDIT_FILE, properties=description)
            self._crate.write(folder)
        finally:
            audit.unlink(missing_ok=True)

    def _describe_root(self) -> None:
        from rocrate.model.contextentity import ContextEntity

        root, report = self._crate.root_dataset, self._report
        number = report.number
        what = f"{number.text} ({number.row}, {number.column})" if number else report.target
        root["name"] = f"medhash: where {what} comes from"
        root["description"] = (
            f"The chain from {report.target} back to the archives, at the scale {report.scale}: "
            "each step with its inputs, outputs, settings and code, and what an audit found"
        )
        started = [str(link.facts["started"]) for link in report.links if link.facts]
        if started:
            root["datePublished"] = max(started)
        root["license"] = self._licence()
        profiles = []
        for address, (name, version) in PROFILES.items():
            described = {"@type": "CreativeWork", "name": name, "version": version}
            profiles.append(self._crate.add(ContextEntity(self._crate, address, described)))
        root["conformsTo"] = profiles
        self._workflow = self._crate.add_workflow(
            WORKFLOW, WORKFLOW.as_posix(), main=True, lang="snakemake", lang_version="9"
        )
        self._workflow["name"] = "medhash"
        self._workflow["description"] = "From archives to tables and figures; medhash's Snakefile"

    def _licence(self) -> str:
        """Those of the datasets; all that is made of them falls under them."""
        links = (link for link in self._report.links if link.rule in ("prepare", "phantom"))
        datasets = [link.key.partition("/")[0] for link in links]
        texts = [f"{name}: {self._configuration.card(name).licence}" for name in datasets]
        return "; ".join(dict.fromkeys(texts)) or "see the datasets' cards"

    def _action(self, link: Link) -> Any:
        """A step as an action: what it read, what it wrote, with which tool."""
        inputs = [self._file(file) for file in link.inputs.values()]
        archives = [self._archive(archive) for archive in link.facts.get("archives") or []]
        receipt = self._receipt(link)
        return self._create_action(
            f"#{link.rule}/{link.key}",
            {
                "name": link.name,
                "description": f"{self._command(link)}; the audit found it {link.state}",
                "instrument": self._tool(link),
                "object": [*archives, *inputs],
                "result": [self._file(file) for file in link.outputs.values()],
                "subjectOf": receipt,
                **_times([link]),
            },
        )

    def _run(self, made: list[Link]) -> Any:
        """The run of the whole workflow, from archives to what is printed."""
        archives = [
            self._archive(archive) for link in made for archive in link.facts.get("archives") or []
        ]
        last = self._report.links[0] if self._report.links else None
        results = [self._file(file) for file in (last.outputs if last else {}).values()]
        return self._create_action(
            "#run",
            {
                "name": f"medhash at the scale {self._report.scale}",
                "instrument": self._workflow,
                "object": archives,
                "result": results,
                **_times(made),
            },
        )

    def _create_action(self, identifier: str, properties: dict[str, Any]) -> Any:
        from rocrate.model.contextentity import ContextEntity

        kept = {name: value for name, value in properties.items() if value not in ([], None)}
        status = "http://schema.org/CompletedActionStatus"
        described = {"@type": "CreateAction", "actionStatus": status}
        action = ContextEntity(self._crate, identifier, described)
        self._crate.add(action)
        for name, value in kept.items():
            action[name] = value
        return action

    def _tool(self, link: Link) -> Any:
        """The command that a step is, with the code of this step."""
        from rocrate.model.contextentity import ContextEntity

        code = link.facts.get("code") or {}
        fingerprint = str(code.get("fingerprint"))
        identifier = f"#medhash-{link.rule}-{fingerprint[:12]}"
        if identifier not in self._tools:
            libraries = link.facts.get("environment") or {}
            properties = {
                "@type": "SoftwareApplication",
                "name": f"medhash {link.rule}",
                "softwareVersion": f"commit {(link.facts.get('git') or {}).get('commit')}, "
                f"code {fingerprint}",
                "softwareRequirements": ", ".join(
                    f"{name} {libraries[name]}"
                    for name in ("python", "torch", "timm", "numpy")
                    if libraries.get(name)
                ),
            }
            tool = ContextEntity(self._crate, identifier, properties)
            self._tools[identifier] = self._crate.add(tool)
        return self._tools[identifier]

    def _file(self, file: dict[str, str]) -> Any:
        """A file of the run: a copy, or its name by hash."""
        path = Path(file["path"])
        if file["path"] not in self._files:
            properties = {
                "name": file["path"],
                "sha256": file["sha256"],
                "encodingFormat": _FORMATS.get(path.suffix, "application/octet-stream"),
            }
            self._files[file["path"]] = (
                self._crate.add_file(path, file["path"], properties=properties)
                if _may_travel(path)
                else self._crate.add_file(_by_hash(file["sha256"]), properties=properties)
            )
        return self._files[file["path"]]

    def _archive(self, archive: dict[str, str]) -> Any:
        """An archive never travels: its licence is its authors'."""
        if archive["sha256"] not in self._files:
            properties = {
                "name": archive["file"],
                "sha256": archive["sha256"],
                "encodingFormat": "application/zip",
                "isBasedOn": archive["source"],
            }
            self._files[archive["sha256"]] = self._crate.add_file(
                _by_hash(archive["sha256"]), properties=properties
            )
        return self._files[archive["sha256"]]

    def _receipt(self, link: Link) -> Any:
        properties = {"name": f"receipt of {link.name}", "encodingFormat": "application/json"}
        return self._crate.add_file(link.receipt, link.receipt, properties=properties)

    def _command(self, link: Link) -> str:
        kind = kind_of(link.rule)
        values = kind.values(link.key) if kind else None
        typed = kind.arguments(*values) if kind and values is not None else link.name
        return f"medhash {typed} --scale {self._report.scale}"


def _may_travel(path: Path) -> bool:
    """Prepared images stay where they are: most datasets may not be passed on."""
    if path.is_absolute() or path.name == "images.npy" or not path.is_file():
        return False
    return path.stat().st_size <= LARGEST_COPY


def _by_hash(sha256: str) -> str:
    """A file's name by its content: ``ni:///sha-256;…`` (RFC 6920)."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"


def _times(links: Iterable[Link]) -> dict[str, str]:
    """When the first of some steps began and when the last ended."""
    times = [
        (datetime.fromisoformat(link.facts["started"]), timedelta(seconds=link.facts["seconds"]))
        for link in links
    ]
    if not times:
        return {}
    ended = max(start + length for start, length in times)
    return {
        "startTime": min(start for start, _ in times).isoformat(),
        "endTime": ended.isoformat(timespec="seconds"),
    }
