"""A run that lost its output to another recipe before its first part."""

import pytest

from relabel.data.output.audit import conclude, resume
from relabel.data.output.binding import Binding
from relabel.data.output.manifest import read_run
from relabel.data.output.recipe import fingerprint
from relabel.data.store.store import Store
from relabel.errors import RecipeChanged
from tests.data.output.recipes import OTHER, THIRD, A, B, C
from tests.outputs import RECIPE, begin, make_plan, planned_file, publish


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
