import json
import threading

import pytest

from relabel.data.output.audit import conclude, resume
from relabel.data.output.binding import Binding, check_recipe, open_run
from relabel.data.output.manifest import read_run, write_gates
from relabel.data.output.recipe import fingerprint
from relabel.data.store.store import Store
from relabel.errors import RecipeChanged, Refused
from relabel.spec import Gate
from tests.outputs import RECIPE, begin, make_plan, planned_file, publish

A, B, C = (planned_file(f"{name}.parquet", 10) for name in "abc")
OTHER = RECIPE | {"sampling": {"seed": 2}}
THIRD = RECIPE | {"sampling": {"seed": 3}}


@pytest.fixture(params=["local", "s3"])
def store(request, tmp_path):
    return Store(str(tmp_path / "out") if request.param == "local" else request.getfixturevalue("s3_url"))


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


class Late(Store):
    """A store whose listing comes after another process has begun the same run and published a part."""

    def names(self):
        begin(Store(self.url), A)
        publish(self, A.units[0], fingerprint(RECIPE))
        return super().names()


def test_parts_of_a_run_that_began_a_moment_ago_are_no_strangers(tmp_path):
    assert begin(Late(str(tmp_path)), A).plan == make_plan(A)


def race(store, runs):
    """Begin all runs at once, each held back until all have planned for the first time."""
    barrier, outcomes = threading.Barrier(len(runs)), [None] * len(runs)

    def begin_one(index, recipe, own):
        waited = []

        def replan(known):
            if not waited:
                waited.append(True)
                barrier.wait(30)
            known_files = {planned.file.path: planned for planned in known.plan.files} if known else {}
            files = known_files | {planned.file.path: planned for planned in own}
            return make_plan(*(files[path] for path in sorted(files)))

        try:
            outcomes[index] = open_run(store, recipe, unit_rows=4, versions={}, replan=replan)
        except Refused as error:
            outcomes[index] = error

    threads = [threading.Thread(target=begin_one, args=(index, *run)) for index, run in enumerate(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def test_of_two_recipes_that_begin_at_once_the_second_is_refused(store):
    outcomes = race(store, [(RECIPE, [A]), (OTHER, [A])])
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, RecipeChanged)]
    (run,) = [outcome for outcome in outcomes if outcome is not refused]
    assert read_run(store) == run


def test_two_processes_with_one_recipe_both_go_on(store):
    one, other = race(store, [(RECIPE, [A]), (RECIPE, [A])])
    assert one == other == read_run(store)


def test_plans_that_grow_at_once_lose_nothing(store):
    begin(store, A)
    for outcome in race(store, [(RECIPE, [A, B]), (RECIPE, [A, C]), (RECIPE, [A, B, C])]):
        assert not isinstance(outcome, Refused)
    run = read_run(store)
    assert run.plan == make_plan(A, B, C)


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


def test_a_part_that_is_published_while_another_recipe_plans_binds_the_output(store):
    begin(store, A)

    def plan_slowly(known):
        publish(store, A.units[0], fingerprint(RECIPE))
        return make_plan(A)

    with pytest.raises(RecipeChanged, match=r"sampling.seed: 1 -> 2"):
        open_run(store, OTHER, unit_rows=4, versions={}, replan=plan_slowly)
    assert read_run(store).fingerprint == fingerprint(RECIPE)


def test_of_two_other_recipes_at_once_in_an_output_without_a_part_one_is_refused(store):
    begin(store, A)
    outcomes = race(store, [(OTHER, [A]), (THIRD, [A])])
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, RecipeChanged)]
    (run,) = [outcome for outcome in outcomes if outcome is not refused]
    assert read_run(store) == run


def test_two_processes_with_another_recipe_both_go_on(store):
    begin(store, A)
    one, other = race(store, [(OTHER, [A]), (OTHER, [A])])
    assert one == other == read_run(store)


def test_a_run_at_work_that_lost_its_output_before_its_first_part_never_calls_it_whole(store):
    """Wasteful, never wrong: what both publish is counted by one recipe alone, and made again until all is of it."""
    plan, mine, theirs = make_plan(A), fingerprint(RECIPE), fingerprint(OTHER)
    begin(store, A)
    begin(store, A, recipe=OTHER)
    for unit in A.units:
        publish(store, unit, mine)
    with pytest.raises(RecipeChanged, match="begun anew by another recipe"):
        conclude(plan, store, mine)
    assert not conclude(plan, store, theirs).complete, "the other run was hindered, and says so"
    assert store.read_json("_SUCCESS") is None
    begin(store, A, recipe=OTHER)
    state = resume(plan, store, theirs)
    for unit in A.units:
        assert publish(store, unit, theirs, bad=state.bad[unit.part])
    assert conclude(plan, store, theirs).complete
    with pytest.raises(RecipeChanged):
        begin(store, A)


def test_a_late_change_of_plan_of_the_run_before_is_none_of_the_next_one(store):
    class Late(Store):
        """Another recipe begins between this process's look and the change that it writes down."""

        def create_json(self, name, value):
            begin(Store(self.url), C, recipe=OTHER)
            return super().create_json(name, value)

    begin(store, A)
    begin(Late(store.url), A, B)
    assert read_run(store).plan == make_plan(C)


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


def test_a_run_that_lost_its_output_before_its_first_part_leaves_no_part_that_the_other_does_not_plan(store):
    late = begin(store, A, B)
    newer = begin(store, A, recipe=OTHER)
    for unit in newer.plan.units:
        publish(store, unit, fingerprint(OTHER))
    assert conclude(newer.plan, store, fingerprint(OTHER)).complete
    for unit in late.plan.units:
        publish(store, unit, fingerprint(RECIPE))
    with pytest.raises(RecipeChanged):
        conclude(late.plan, store, fingerprint(RECIPE))
    assert list(store.parts()) == [unit.part for unit in A.units]
    assert conclude(newer.plan, store, fingerprint(OTHER)).complete


def test_parts_of_a_recipe_that_lost_the_output_are_deleted_by_the_next_run(store):
    """Its process was killed between the look at whose output it is and the count that takes them back."""
    for recipe, files in ((RECIPE, [A, B]), (OTHER, [A, C]), (THIRD, [A])):
        begin(store, *files, recipe=recipe)
    stranger = planned_file("d.parquet", 10)
    for unit, recipe in ((B.units[0], RECIPE), (C.units[0], OTHER), (stranger.units[0], RECIPE | {"output": {}})):
        publish(store, unit, fingerprint(recipe))
    state = resume(make_plan(A), store, fingerprint(THIRD))
    assert state.deleted == (B.units[0].part, C.units[0].part)
    assert list(store.parts()) == [stranger.units[0].part], "what no recipe of this output made is not relabel's"


def test_a_recipe_that_comes_back_deletes_none_of_its_own(store):
    for recipe in (RECIPE, OTHER, RECIPE):
        begin(store, A, recipe=recipe)
    assert read_run(store).former_fingerprints == {fingerprint(OTHER)}


class Reading(Store):
    """A store that notes the documents which are read."""

    def __init__(self, url):
        super().__init__(url)
        self.names_read = []

    def read_json(self, name):
        self.names_read.append(name)
        return super().read_json(name)


def test_who_lost_the_output_creates_no_part_and_who_has_it_reads_its_documents_once(store):
    begin(store, A)
    reading = Reading(store.url)
    mine, theirs = Binding(reading, fingerprint(RECIPE)), Binding(Store(store.url), fingerprint(OTHER))
    for _ in range(3):
        mine.check()
    assert reading.names_read.count("_run.json") == 1, "it names every unit: to read it for each would be too slow"
    with pytest.raises(RecipeChanged, match="begun anew by another recipe"):
        theirs.check()
    begin(store, A, recipe=OTHER)
    theirs.check()
    with pytest.raises(RecipeChanged, match="begun anew by another recipe"):
        mine.check()
