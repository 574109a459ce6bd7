"""Everything that can happen to an output, in any order: the promises hold after each step, and the same command heals.

Processes are `Job`s: each has its own view of the plan and may come back late. A crash at a point is an exception
there, after which the folder is put back as it was at that moment, as a kill -9 leaves it.
"""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from relabel.data.store.failpoints import Failpoint
from relabel.errors import PartDamaged, RecipeChanged, SourceChanged
from tests.faults.output import Output
from tests.faults.seeds import NUM_SEEDS

pytestmark = pytest.mark.fault
NAMES = ["a", "b", "c"]


class Machine(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self.output = Output()

    @initialize()
    def two_files(self):
        self.output.add_or_change("a", 4)
        self.output.add_or_change("b", 2)

    @rule(name=st.sampled_from(NAMES), num_rows=st.integers(2, 5))
    def change_or_add_a_source_file(self, name, num_rows):
        self.output.add_or_change(name, num_rows)

    @rule(target=jobs, redo_changed=st.booleans())
    def begin(self, redo_changed):
        job = self.output.job()
        try:
            job.start(redo_changed=redo_changed)
        except SourceChanged:
            assert not redo_changed
            return multiple()
        self.output.harmed &= self.output.parts
        # what a process has read it may publish much later
        job.read = {unit.part: (unit, job.rows_of(unit)) for unit in job.units}
        return job

    @precondition(lambda self: self.output.parts)
    @rule()
    def begin_with_another_recipe(self):
        with pytest.raises(RecipeChanged, match=r"sampling\.seed: 1 -> 2"):
            self.output.job(seed=2).start()

    @rule(job=jobs, at=st.integers(0, 9))
    def publish(self, job, at):
        unit, rows = self.pick(job, at)
        if job.store.publish(unit.part, rows, job._stamp(unit, rows), job.bad.get(unit.part)):
            self.output.harmed.discard(unit.part)

    @rule(job=jobs, at=st.integers(0, 9), point=st.sampled_from(list(Failpoint)))
    def crash_while_publishing(self, job, at, point):
        unit, rows = self.pick(job, at)
        self.output.crash(
            point, lambda own: own.store.publish(unit.part, rows, job._stamp(unit, rows), job.bad.get(unit.part))
        )

    @rule(redo_changed=st.booleans(), point=st.sampled_from(list(Failpoint)), nth=st.integers(1, 3))
    def crash_while_beginning(self, redo_changed, point, nth):
        def start(own):
            try:
                own.start(redo_changed=redo_changed)
            except SourceChanged:
                assert not redo_changed

        self.output.crash(point, start, nth)

    @rule(job=jobs, point=st.sampled_from(list(Failpoint)))
    def crash_while_counting(self, job, point):
        def finish(own):
            own.run = job.run
            own.finish()

        self.output.crash(point, finish)

    @rule(target=held, job=jobs, at=st.integers(0, 9))
    def retry_reads(self, job, at):
        unit, _ = self.pick(job, at)
        try:
            part = job.store.read(unit.part)
        except PartDamaged:
            return multiple()
        if not part.stamp.is_of(unit, job.run.fingerprint):
            return multiple()
        return job, unit, part

    @rule(what=held)
    def retry_replaces(self, what):
        """Perhaps long after it read."""
        job, unit, part = what
        rows = job._labelled(part.rows)
        if job.store.replace(unit.part, rows, job._stamp(unit, rows), part.version):
            assert unit.part not in self.output.harmed, "what it had read was sound"

    @rule(what=held, point=st.sampled_from(list(Failpoint)))
    def crash_while_replacing(self, what, point):
        job, unit, part = what
        rows = job._labelled(part.rows)
        self.output.crash(point, lambda own: own.store.replace(unit.part, rows, job._stamp(unit, rows), part.version))

    @precondition(lambda self: self.output.parts)
    @rule(at=st.integers(0, 9), how=st.sampled_from(["flip", "cut", "empty", "delete"]), where=st.floats(0, 0.999))
    def harm(self, at, how, where):
        if parts := sorted(self.output.parts - self.output.foreign):
            self.output.harm(parts[at % len(parts)], how, where, at % 8)

    @precondition(lambda self: (self.output.out / "_run.json").exists())
    @rule()
    def drop_a_foreign_file(self):
        pq.write_table(pa.table({"x": [1]}), self.output.out / "foreign.parquet")
        self.output.foreign = {"foreign.parquet"}

    @precondition(lambda self: self.output.foreign)
    @rule()
    def move_the_foreign_file_away(self):
        (self.output.out / "foreign.parquet").unlink()
        self.output.foreign = set()

    @rule(job=jobs)
    def finish(self, job):
        report = job.finish()
        assert not (self.output.foreign and report.complete)
        if (self.output.out / "_SUCCESS").exists():
            assert report.complete
            self.output.check_that_all_is_there(job)

    @invariant()
    def no_reader_sees_part_of_a_part_or_a_mixture(self):
        self.output.check_parts()

    def teardown(self):
        try:
            self.output.heal()
        finally:
            shutil.rmtree(self.output.folder)

    @staticmethod
    def pick(job, at):
        parts = sorted(job.read)
        return job.read[parts[at % len(parts)]]


Machine.TestCase.settings = settings(
    max_examples=NUM_SEEDS,
    phases=[Phase.generate, Phase.shrink],
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMachine = Machine.TestCase
