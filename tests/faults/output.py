"""An output and its source, to which anything may happen: what has happened, and what must hold all the same."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from relabel.data.output.verify import verify
from relabel.errors import PartDamaged
from tests.faults.steps import Job
from tests.reading import rows_of

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Thousands of synced writes."""


class Crash(BaseException):
    """Nothing that anyone catches."""


class Output:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        self.out, self.source = self.folder / "out", self.folder / "source"
        self.source.mkdir()
        self.versions = {}
        """Each file's newest version; it stands in its rows."""
        self.harmed = set()
        """Parts that were damaged from outside and not made again."""
        self.foreign = set()
        self.mtime = 1_000_000_000

    def job(self, **kwargs):
        return Job(str(self.out), self.source, **kwargs)

    def add_or_change(self, name, num_rows):
        version = self.versions.get(name, 0) + 1
        rows = [json.dumps({"id": f"{name}{row}", "alt": f"{name} v{version} {row}"}) for row in range(num_rows)]
        rows[-1] = "no json"
        path = self.source / f"{name}.jsonl"
        path.write_text("".join(f"{row}\n" for row in rows))
        self.mtime += 1
        os.utime(path, (self.mtime, self.mtime))
        self.versions[name] = version

    @property
    def parts(self):
        return {path.name for path in self.out.glob("*.parquet")}

    def harm(self, name, how, where, bit):
        """Flip a bit of a part, cut it, empty it, or delete it."""
        path = self.out / name
        data = bytearray(path.read_bytes())
        path.unlink()
        if how == "delete":
            return
        self.harmed.add(name)
        place = int(len(data) * where)
        if how == "flip" and data:
            data[place] ^= 1 << bit
        path.write_bytes({"flip": data, "cut": data[:place], "empty": b""}[how])

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

        own = self.job(on_failpoint=on_failpoint)
        try:
            work(own)
        except Crash:
            shutil.rmtree(self.out)
            kept.rename(self.out)
        self.harmed = {name for name in self.harmed & self.parts if not self.is_sound(own, name)}

    @staticmethod
    def is_sound(job, name):
        try:
            job.store.read(name)
        except PartDamaged:
            return False
        return True

    def check_parts(self):
        """No reader sees part of a part, or a mixture."""
        for path in self.out.glob("**/*.parquet"):
            if path.name in self.harmed | self.foreign:
                continue
            rows = pq.read_table(path, page_checksum_verification=True).to_pylist()
            assert rows, path
            said = {row["text"].split()[2] for row in rows if row["text"] not in (None, "again")}
            assert len(said) <= 1, "rows of two versions of a file in one part"
            assert {row["text"].split(":")[0] for row in rows if row["text"] not in (None, "again")} <= {"1"}

    def check_that_all_is_there(self, job):
        """By the newest plan, every row once, each of the version that was planned."""
        if not self.harmed:
            assert verify(job.store).problems == ()
            rows = rows_of(self.out)
            expected = [
                (unit.file.path, row)
                for unit in job.units
                for row in range(unit.first_row, unit.first_row + unit.num_rows)
            ]
            assert [(row["source_file"], row["source_row"]) for row in rows] == sorted(expected)

    def heal(self):
        """The same command, as often as it takes."""
        for name in self.foreign:
            (self.out / name).unlink()
        last = self.job()
        last.start(redo_changed=True)
        for unit in last.todo:
            last.publish(unit)
        assert last.finish().complete
        # a flipped bit in a page is found by who reads it all, not by who counts
        for name in [name for name in self.parts if not self.is_sound(last, name)]:
            assert name in self.harmed
            assert any(name in problem for problem in verify(last.store).problems)
            (self.out / name).unlink()
        self.harmed = set()
        last.to_the_end()
        self.check_that_all_is_there(last)
        assert last.finish().complete, "counting again changes nothing"
