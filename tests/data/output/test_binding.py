"""Which recipe an output belongs to, and who is refused."""

import json

import pytest

from relabel.data.output.audit import resume
from relabel.data.output.binding import check_recipe, open_run
from relabel.data.output.manifest import read_run, write_gates
from relabel.data.output.recipe import fingerprint
from relabel.data.store.store import Store
from relabel.errors import RecipeChanged, Refused
from relabel.spec import Gate
from tests.data.output.recipes import OTHER, A, B, C
from tests.outputs import RECIPE, begin, make_plan, planned_file, publish


def test_another_recipe_is_refused_by_the_name_of_its_field(store):
    begin(store, A)
    publish(store, A.units[0], fingerprint(RECIPE))
    with pytest.raises(RecipeChanged, match=r"\(sampling.seed: 1 -> 2\)"):
        begin(store, A, recipe=OTHER)


def test_a_changed_recipe_is_refused_before_the_source_is_planned(tmp_path):
    store = Store(str(tmp_path))
    begin(store, A)
    publish(store, A.units[0], fingerprint(RECIPE))
    with pytest.raises(RecipeChanged):
        open_run(store, OTHER, unit_rows=4, versions={}, replan=lambda known: pytest.fail("planned"))


@pytest.mark.parametrize("name", ["notes.txt", "x.parquet", "deep/er/x.csv"])
def test_a_folder_of_someone_else_is_refused_by_the_name_of_a_file(store, name):
    store.put_json(name, 1)
    with pytest.raises(Refused, match=f"{name}.*no _run.json"):
        begin(store, A)


@pytest.mark.parametrize("name", ["_SUCCESS", ".DS_Store", "_tmp/x.parquet", "_staging/0", "sub/_x.parquet"])
def test_strays_are_ignored(store, name):
    store.put_json(name, 1)
    assert begin(store, A).plan == make_plan(A)


def test_parts_of_a_run_that_went_on_are_no_strangers(store):
    begin(store, A)
    publish(store, A.units[0], fingerprint(RECIPE))
    assert begin(store, A).plan == make_plan(A)


def test_a_name_that_no_store_takes_is_refused_before_work(tmp_path):
    with pytest.raises(Refused, match=r"'a\\nb.parquet' has a character"):
        begin(Store(str(tmp_path)), planned_file("a\nb.parquet", 4))
    assert not list(tmp_path.glob("_*.json"))


def test_a_bucket_that_does_not_exist_is_refused(s3):
    with pytest.raises(Refused, match="nobody-has-this"):
        begin(Store("s3://nobody-has-this/out"), A)


def test_an_output_without_a_part_is_bound_to_no_recipe(store):
    """A run that only failed to connect, with a typo in its prompt, costs no new folder."""
    begin(store, A, B)
    begin(store, A, B, C)
    assert check_recipe(store, OTHER) is None
    run = begin(store, A, recipe=OTHER)
    assert read_run(store) == run
    assert (run.fingerprint, run.plan) == (fingerprint(OTHER), make_plan(A)), "nothing is left of the plan before"
    assert begin(store, A, B, recipe=OTHER).num_documents == 2
    assert read_run(store).plan == make_plan(A, B)


def test_a_recipe_may_come_back_before_there_is_a_part(store):
    for recipe, files in ((RECIPE, [A, B]), (OTHER, [A]), (RECIPE, [C]), (RECIPE, [B, C])):
        begin(store, *files, recipe=recipe)
    assert read_run(store).plan == make_plan(B, C)
    assert read_run(store).fingerprint == fingerprint(RECIPE)


def test_the_limits_of_a_run_without_a_part_go_with_it(tmp_path):
    store = Store(str(tmp_path))
    begin(store, A)
    write_gates(store, {"": Gate(max_rejected=0.5)})
    begin(store, A, recipe=OTHER)
    assert store.read_json("_gates.json") is None


MODEL = {"path": "models/a", "revision": None, "dtype": "float32"}
WITH_MODEL = RECIPE | {"model": MODEL, "model_identity": {"weights": "abc"}}


def test_a_model_that_was_moved_is_the_same_recipe(store):
    begin(store, A, recipe=WITH_MODEL)
    publish(store, A.units[0], fingerprint(WITH_MODEL))
    run = begin(store, A, recipe=WITH_MODEL | {"model": MODEL | {"path": "/mnt/b"}})
    assert run.recipe["model"]["path"] == "models/a", "as information: whoever reads the recipe back knows where it was"
    with pytest.raises(RecipeChanged, match=r"model_identity.weights: "):
        begin(store, A, recipe=WITH_MODEL | {"model_identity": {"weights": "xyz"}})


def test_an_output_whose_fingerprint_counted_the_path_of_the_model_is_gone_on_with(tmp_path):
    store, old = Store(str(tmp_path)), "0" * 64
    begin(store, A, recipe=WITH_MODEL)
    document = json.loads((tmp_path / "_run.json").read_text())
    (tmp_path / "_run.json").write_text(json.dumps(document | {"fingerprint": old}))
    publish(store, A.units[0], old)
    run = begin(store, A, recipe=WITH_MODEL | {"model": MODEL | {"path": "/mnt/b"}})
    assert run.fingerprint == old
    assert resume(run.plan, store, run.fingerprint).done == A.units[:1]
