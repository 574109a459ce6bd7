"""Everything that can happen to an output, in any order: the promises hold after each step, and the same command heals.

Processes are `Job`s: each has its own view of the plan and may come back late. A crash at a point is an exception
there, after which the folder is put back as it was at that moment, as a kill -9 leaves it.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from relabel.data.output.verify import verify
from relabel.data.store.failpoints import Failpoint
from relabel.errors import PartDamaged, RecipeChanged, SourceChanged
from tests.faults.steps import Job
from tests.reading import rows_of

pytestmark = pytest.mark.fault
NAMES = ["a", "b", "c"]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Thousands of synced writes."""


class Crash(BaseException):
    """Nothing that anyone catches."""


class Output(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    held = Bundle("held")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.out, self.source = self.folder / "out", self.folder / "source"
        self.source.mkdir()
        self.versions = {}
        """Each file's newest version; it stands in its rows."""
        self.harmed = set()
        """Parts that were damaged from outside and not made again."""
        self.foreign = set()
        self.mtime = 1_000_000_000

    @initialize()
    def two_files(self):
        self.add_or_change("a", 4)
        self.add_or_change("b", 2)

    def add_or_change(self, name, num_rows):
        version = self.versions.get(name, 0) + 1
        rows = [json.dumps({"id": f"{name}{row}", "alt": f"{name} v{version} {row}"}) for row in range(num_rows)]
        rows[-1] = "no json"
        path = self.source / f"{name}.jsonl"
        path.write_text("".join(f"{row}\n" for row in rows))
        self.mtime += 1
        os.utime(path, (self.mtime, self.mtime))
        self.versions[name] = version

    @rule(name=st.sampled_from(NAMES), num_rows=st.integers(2, 5))
    def change_or_add_a_source_file(self, name, num_rows):
        self.add_or_change(name, num_rows)

    @rule(target=jobs, redo_changed=st.booleans())
    def begin(self, redo_changed):
        job = Job(str(self.out), self.source)
        try:
            job.start(redo_changed=redo_changed)
        except SourceChanged:
            assert not redo_changed
            return multiple()
        self.harmed &= {path.name for path in self.out.glob("*.parquet")}
        # what a process has read it may publish much later
        job.read = {unit.part: (unit, job.rows_of(unit)) for unit in job.units}
        return job

    @precondition(lambda self: any(self.out.glob("*.parquet")))
    @rule()
    def begin_with_another_recipe(self):
        with pytest.raises(RecipeChanged, match=r"sampling\.seed: 1 -> 2"):
            Job(str(self.out), self.source, seed=2).start()

    @rule(job=jobs, at=st.integers(0, 9))
    def publish(self, job, at):
        unit, rows = self.pick(job, at)
        if job.store.publish(unit.part, rows, job._stamp(unit, rows), job.bad.get(unit.part)):
            self.harmed.discard(unit.part)

    @rule(job=jobs, at=st.integers(0, 9), point=st.sampled_from(list(Failpoint)))
    def crash_while_publishing(self, job, at, point):
        unit, rows = self.pick(job, at)
        self.crash(
            point, lambda own: own.store.publish(unit.part, rows, job._stamp(unit, rows), job.bad.get(unit.part))
        )

    @rule(redo_changed=st.booleans(), point=st.sampled_from(list(Failpoint)), nth=st.integers(1, 3))
    def crash_while_beginning(self, redo_changed, point, nth):
        def start(own):
            try:
                own.start(redo_changed=redo_changed)
            except SourceChanged:
                assert not redo_changed

        self.crash(point, start, nth)

    @rule(job=jobs, point=st.sampled_from(list(Failpoint)))
    def crash_while_counting(self, job, point):
        def finish(own):
            own.run = job.run
            own.finish()

        self.crash(point, finish)

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
            assert unit.part not in self.harmed, "what it had read was sound"

    @rule(what=held, point=st.sampled_from(list(Failpoint)))
    def crash_while_replacing(self, what, point):
        job, unit, part = what
        rows = job._labelled(part.rows)
        self.crash(point, lambda own: own.store.replace(unit.part, rows, job._stamp(unit, rows), part.version))

    @precondition(lambda self: any(self.out.glob("*.parquet")))
    @rule(at=st.integers(0, 9), how=st.sampled_from(["flip", "cut", "empty", "delete"]), where=st.floats(0, 0.999))
    def harm(self, at, how, where):
        paths = sorted(path for path in self.out.glob("*.parquet") if path.name not in self.foreign)
        if not paths:
            return
        path = paths[at % len(paths)]
        data = bytearray(path.read_bytes())
        path.unlink()
        if how == "delete":
            return
        self.harmed.add(path.name)
        place = int(len(data) * where)
        if how == "flip" and data:
            data[place] ^= 1 << at % 8
        path.write_bytes({"flip": data, "cut": data[:place], "empty": b""}[how])

    @precondition(lambda self: (self.out / "_run.json").exists())
    @rule()
    def drop_a_foreign_file(self):
        pq.write_table(pa.table({"x": [1]}), self.out / "foreign.parquet")
        self.foreign = {"foreign.parquet"}

    @precondition(lambda self: self.foreign)
    @rule()
    def move_the_foreign_file_away(self):
        (self.out / "foreign.parquet").unlink()
        self.foreign = set()

    @rule(job=jobs)
    def finish(self, job):
        report = job.finish()
        assert not (self.foreign and report.complete)
        if (self.out / "_SUCCESS").exists():
            assert report.complete
            self.check_that_all_is_there(job)

    @invariant()
    def no_reader_sees_part_of_a_part_or_a_mixture(self):
        for path in self.out.glob("**/*.parquet"):
            if path.name in self.harmed | self.foreign:
                continue
            rows = pq.read_table(path, page_checksum_verification=True).to_pylist()
            assert rows, path
            said = {row["text"].split()[2] for row in rows if row["text"] not in (None, "again")}
            assert len(said) <= 1, "rows of two versions of a file in one part"
            assert {row["text"].split(":")[0] for row in rows if row["text"] not in (None, "again")} <= {"1"}

    def teardown(self):
        try:
            for name in self.foreign:
                (self.out / name).unlink()
            last = Job(str(self.out), self.source)
            last.start(redo_changed=True)
            for unit in last.todo:
                last.publish(unit)
            assert last.finish().complete
            # a flipped bit in a page is found by who reads it all, not by who counts
            for path in [path for path in self.out.glob("*.parquet") if not self.is_sound(last, path.name)]:
                assert path.name in self.harmed
                assert any(path.name in problem for problem in verify(last.store).problems)
                path.unlink()
            self.harmed = set()
            last.to_the_end()
            self.check_that_all_is_there(last)
            assert last.finish().complete, "counting again changes nothing"
        finally:
            shutil.rmtree(self.folder)

    def check_that_all_is_there(self, job):
        """By the newest plan, every row once, each of the version that was planned."""
        if not self.harmed:
            assert verify(job.store).problems == ()
            rows = rows_of(self.out)
            expected = [(unit.file.path, row) for unit in job.units for row in self.numbers(unit)]
            assert [(row["source_file"], row["source_row"]) for row in rows] == sorted(expected)

    @staticmethod
    def numbers(unit):
        return range(unit.first_row, unit.first_row + unit.num_rows)

    def pick(self, job, at):
        parts = sorted(job.read)
        return job.read[parts[at % len(parts)]]

    def crash(self, point, work, nth=1):
        """Do the work in a process of its own that dies at the nth passing of the point, if it comes there."""
        kept, left = self.folder / "kept", nth

        def on_failpoint(now, name):
            nonlocal left
            left -= now == point
            if left == 0:
                shutil.copytree(self.out, kept, copy_function=shutil.copy2)
                left = -1
                raise Crash

        own = Job(str(self.out), self.source, on_failpoint)
        try:
            work(own)
        except Crash:
            shutil.rmtree(self.out)
            kept.rename(self.out)
        self.harmed &= {path.name for path in self.out.glob("*.parquet")}
        self.harmed = {name for name in self.harmed if not self.is_sound(own, name)}

    @staticmethod
    def is_sound(job, name):
        try:
            job.store.read(name)
        except PartDamaged:
            return False
        return True


Output.TestCase.settings = settings(
    max_examples=200,
    phases=[Phase.generate, Phase.shrink],
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestOutput = Output.TestCase
