"""JSON schemas of the configuration files, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medhash.configuration.scales import ConfigFile, ScaleFile
from medhash.files import write_json
from medhash.papers.claim_rules import PaperClaims
from medhash.papers.paper import Paper
from medhash.schema.settings import Settings

SCHEMA_FOLDER = Path("config/schema")


def schemas() -> dict[str, dict[str, Any]]:
    """File name without suffix -> JSON schema of ``config.yaml``, a scale's and a paper's file.

    ``claims`` is that of a paper's claims.
    """
    models: dict[str, type[BaseModel]] = {"config": ConfigFile, "scale": ScaleFile, "paper": Paper}
    schemas = {name: _with_settings(model.model_json_schema()) for name, model in models.items()}
    return schemas | {"claims": PaperClaims.model_json_schema()}


def write_schemas(folder: Path = SCHEMA_FOLDER) -> list[Path]:
    """Write one ``.json`` file a schema; the same models give the same bytes."""
    paths = [folder / f"{name}.json" for name in schemas()]
    for path, schema in zip(paths, schemas().values(), strict=True):
        write_json(path, schema)
    return paths


def _with_settings(schema: dict[str, Any]) -> dict[str, Any]:
    """A file's schema in which ``settings`` is any part of a settings tree."""
    settings = Settings.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    definitions |= {name: _partial(part) for name, part in settings.pop("$defs").items()}
    definitions["Settings"] = _partial(settings)
    own = schema["properties"]["settings"]
    schema["properties"]["settings"] = {
        "$ref": "#/$defs/Settings",
        "description": own.get("description", "the paper's settings"),
    }
    return schema


def _partial(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without required keys: another file may give them, all but a network's kind."""
    required = [key for key in schema.get("required", ()) if key == "kind"]
    optional = {key: value for key, value in schema.items() if key != "required"}
    return optional | ({"required": required} if required else {})
