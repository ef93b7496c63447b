import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from medhash.configuration.editors import SCHEMA_FOLDER, schemas, write_schemas

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


def test_an_editor_accepts_the_papers_claims_and_marks_a_wrong_key():
    claims = yaml.safe_load((PROJECT / "config/papers/claims/ach.yaml").read_text())
    schema = schemas()["claims"]
    jsonschema.validate(claims, schema)
    next(iter(claims["claims"].values()))["tolerence"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(claims, schema)


def test_the_configuration_files_name_their_schemas():
    files = ["config.yaml", "scales/small.yaml", "papers/ach.yaml", "papers/claims/ach.yaml"]
    for name in files:
        path = PROJECT / "config" / name
        schema = path.read_text().splitlines()[0].partition("$schema=")[2]
        assert (path.parent / schema).is_file(), name
