"""A run with rejects, and its retries, in this process around one engine."""

import json

from relabel import make_spec, run
from relabel.job.engine import engine_of
from relabel.job.local import InProcess
from relabel.job.retry import retry
from tests.conftest import small_spec
from tests.disturbed import disturbed
from tests.reading import rows_of

ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}
CPU = ["resources.gpus_per_actor=0"]
LABEL = {
    "parse": "regex",
    "pattern": "[aeiou].*[aeiou]",
    "column": "caption",
    "constrain": False,
    "gate": {"max_rejected": None},
}
"""Many of the small model's texts hold two vowels, many do not."""


class Here:
    """A run and its retries in this process, around one engine."""

    def __init__(self, fields):
        self.spec = make_spec(fields)
        self.engine = engine_of(self.spec)

    def run(self):
        assert run(self.spec, execute=self.execute).complete
        return self

    def retry(self, *reasons, execute=None, **label):
        overrides = [*CPU, *(f"label.{key}={json.dumps(value)}" for key, value in label.items())]
        return retry(self.spec.output.path, reasons, overrides, execute=execute or self.execute)

    def execute(self, units, job, *, num_rows, course):
        return InProcess(load=lambda _: self.engine)(units, job, num_rows=num_rows, course=course)

    def when(self, happens):
        """An executor that has read its first unit when something happens."""
        return InProcess(load=disturbed(happens, load=lambda _: self.engine), max_threads=1)

    @property
    def rows(self):
        return rows_of(self.spec.output.path)


def only(parts, execute):
    """An executor that is stopped when it has done these."""
    return lambda units, job, **kwargs: execute([unit for unit in units if unit.part in parts], job, **kwargs)


def fields_of(folder, model, out="out", **label):
    fields = small_spec(folder, model)
    return {**fields, "label": {**LABEL, **label}, "output": {"path": str(folder / out), "keep": ["id"]}}


def rejected(rows, code=""):
    return [row for row in rows if row["status"] == "rejected" and row["reason"].startswith(code)]


def place(row):
    return row["source_file"], row["source_row"]
