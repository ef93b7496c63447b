import json
from pathlib import Path

import pytest

from medhash.configuration.schema import SCHEMA_FOLDER, schemas, write_schemas

PROJECT = Path(__file__).resolve().parents[2]


def test_the_committed_schemas_are_those_of_the_models(tmp_path):
    for path in write_schemas(tmp_path):
        committed = PROJECT / SCHEMA_FOLDER / path.name
        assert committed.read_bytes() == path.read_bytes(), "run `medhash config schema`"


@pytest.mark.parametrize("name", ["config", "scale", "paper"])
def test_settings_are_partial_and_strict(name):
    schema = schemas()[name]
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    for part in ("Settings", "OptimisationSettings", "MaeSettings"):
        assert "required" not in schema["$defs"][part]
        assert schema["$defs"][part]["additionalProperties"] is False
    assert schema["properties"]["settings"]["$ref"] == "#/$defs/Settings"
