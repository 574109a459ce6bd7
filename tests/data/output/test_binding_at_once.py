"""Runs that begin at one moment in one output: of one recipe all go on, of several one does."""

import threading

import pytest

from relabel.data.output.binding import open_run
from relabel.data.output.manifest import read_run
from relabel.data.output.recipe import fingerprint
from relabel.data.store.store import Store
from relabel.errors import RecipeChanged, Refused
from tests.data.output.recipes import OTHER, THIRD, A, B, C
from tests.outputs import RECIPE, begin, make_plan, publish


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


def test_a_late_change_of_plan_of_the_run_before_is_none_of_the_next_one(store):
    class Late(Store):
        """Another recipe begins between this process's look and the change that it writes down."""

        def create_json(self, name, value):
            begin(Store(self.url), C, recipe=OTHER)
            return super().create_json(name, value)

    begin(store, A)
    begin(Late(store.url), A, B)
    assert read_run(store).plan == make_plan(C)
