"""Documents of an output that somebody damaged by hand: every command refuses them in a sentence, or can do without."""

import copy
import json

import pytest

from relabel.data.output.binding import check_recipe
from relabel.data.output.manifest import RUN, run_of, write_gates
from relabel.data.output.recipe import fingerprint
from relabel.data.output.status import status
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.errors import Refused, RelabelError
from relabel.spec import Gate
from tests.outputs import RECIPE, begin, planned_file, publish

A, B = (planned_file(f"{name}.parquet", 3) for name in "ab")
NAMED = {"name": "facts", "parse": "json", "json_schema": '{"properties": {"age": {"type": "integer"}}}'}
ONE, SEVERAL = RECIPE | {"model_identity": {"revision": "abc"}}, RECIPE | {"labels": [NAMED]}
INSTEAD = (None, 0, -1, 10**30, 1.5, float("nan"), True, "", "text", "{", [], [None], {}, {"a": {}})
DOCUMENTS = (RUN, "_plan-00001.json", "_gates.json", "_SUCCESS")


def damaged(value):
    """The value with each place of it left out, and replaced by values of other kinds."""
    yield from INSTEAD
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        without = copy.copy(value)
        del without[key]
        yield without
        for inner in damaged(value[key]):
            other = copy.copy(value)
            other[key] = inner
            yield other


def make_output(folder, recipe):
    store = Store(str(folder / "out"))
    begin(store, A, recipe=recipe)
    begin(store, A, B, recipe=recipe)
    publish(store, A.units[0], fingerprint(recipe))
    write_gates(store, {"": Gate(max_rejected=0.5)})
    store.put_json("_SUCCESS", {})
    return store


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("recipe", [ONE, SEVERAL])
def test_whatever_is_damaged_in_a_document_no_command_ends_in_a_traceback(tmp_path, recipe, name):
    store = make_output(tmp_path, recipe)
    sound, refusals = store.read_json(name), []
    for value in damaged(sound):
        store.put_json(name, value)
        for look in (status, verify, lambda store: check_recipe(store, recipe)):
            try:
                look(store)
            except RelabelError as error:
                refusals.append(str(error))
    assert bool(refusals) == (name != "_SUCCESS"), "of that, whether it is there is all that counts"
    assert not [sentence for sentence in refusals if "\n" in sentence or str(tmp_path) not in sentence]


@pytest.mark.parametrize(
    ("section", "damage", "sentence"),
    [
        ("label", None, "there is neither a label nor labels"),
        ("label", {"parse": "poem"}, "label.parse: Input should be"),
        ("label", {"parse": "json", "json_schema": "os:path"}, "json_schema is no JSON schema"),
        ("labels", [{"parse": "text"}], "labels.0.name: Field required"),
        ("output", {}, "output.keep: Field required"),
        ("output", {"keep": ["nowhere"]}, "output.keep names 'nowhere', and there is no one such column"),
        ("sampling", {"num_samples": "many"}, "sampling.num_samples: Input should be a valid integer"),
        ("model_identity", "abc", "model_identity: Input should be"),
    ],
)
def test_a_recipe_that_is_not_sound_is_refused_by_the_document_and_the_place(tmp_path, section, damage, sentence):
    store = Store(str(tmp_path))
    begin(store, A)
    document = store.read_json(RUN)
    document["recipe"][section] = damage
    store.put_json(RUN, document)
    for look in (run_of, status, verify):
        with pytest.raises(Refused) as refused:
            look(store)
        assert str(refused.value).startswith(f"{tmp_path}/_run.json has a recipe that is not what this version writes")
        assert sentence in str(refused.value)


@pytest.mark.parametrize("recipe", [ONE, SEVERAL])
def test_no_name_of_a_class_in_an_output_is_imported(tmp_path, recipe, monkeypatch):
    """A folder from elsewhere is data, and its recipe says what its labels are in its own words."""
    (tmp_path / "hostile.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    store = make_output(tmp_path, recipe)
    text = (tmp_path / "out/_run.json").read_text()
    hostile = json.loads(text)
    for label in (hostile["recipe"]["label"], *hostile["recipe"].get("labels", ())):
        label |= {"parse": "json", "json_schema": "hostile:Model"}
    store.put_json(RUN, hostile)
    with pytest.raises(Refused, match="json_schema is no JSON schema"):
        verify(store)
