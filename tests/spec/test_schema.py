"""The schema that editors read beside a spec: it explains every key, and the committed file is the printed one."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from relabel.spec import Spec

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "relabel.schema.json"
JOBS = sorted((ROOT / "jobs").glob("*.yaml"))


def fields():
    schema = Spec.model_json_schema()
    for name, section in {"Spec": schema, **schema["$defs"]}.items():
        yield from ((f"{name}.{key}", field) for key, field in section["properties"].items())


@pytest.mark.parametrize(("name", "field"), list(fields()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_key_is_explained_by_sentences_that_stand_alone(name, field):
    sentences = field["description"]
    assert re.match(r"[A-Z`]", sentences), "a sentence begins with a capital letter, or with a word of code"
    assert sentences.endswith(".")
    assert len(sentences.split()) >= 5


def test_there_are_as_many_keys_as_sentences():
    assert len(list(fields())) == len({name for name, _ in fields()}) > 80


def test_the_committed_schema_is_the_printed_one():
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == Spec.model_json_schema(), "run tools/reference.py"


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_a_spec_to_copy_names_the_schema_and_fits_it(path):
    text = path.read_text(encoding="utf-8")
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named, "the first line tells an editor where the schema is"
    # From jobs/, where a person opens it: the specs of the demonstration are links from there into the package.
    assert (path.parent / named[1]).resolve() == COMMITTED
    jsonschema.validate(yaml.safe_load(text), json.loads(COMMITTED.read_text(encoding="utf-8")))


@pytest.mark.parametrize("schema", ["schemas:Product", "product.json", {"type": "object"}])
def test_a_json_schema_may_be_a_name_or_stand_in_the_spec(schema):
    jsonschema.validate(schema, Spec.model_json_schema()["$defs"]["Label"]["properties"]["json_schema"])
