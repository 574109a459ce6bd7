"""A folder of JSON lines in which files come, go and change, and a job that runs over it every night, without Ray."""

import json
import os

import relabel
from relabel import make_spec
from relabel.data.output.status import status
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.demo import MODEL_PATH
from relabel.engine.scripted import ScriptedEngine
from relabel.job.local import InProcess
from relabel.job.plan import plan
from tests.reading import assert_every_row_once

UNIT_ROWS = 4
DAY = 86_400 * 10**9


class Nightly:
    """A folder of JSON lines, and a job over it whose engine notes how many rows it was asked for in each night."""

    def __init__(self, folder):
        self.source, self.out = folder / "data", folder / "out"
        self.source.mkdir()
        self.fields = {
            "source": {"path": str(self.source), "format": "jsonl", "unit_rows": UNIT_ROWS},
            "prompt": {"user": "{{ alt }}"},
            "model": {"path": str(MODEL_PATH)},
            "label": {"column": "caption"},
            "output": {"path": str(self.out), "keep": ["id"]},
        }
        self.asked = []
        self.sizes = {}

    @property
    def store(self):
        return Store(str(self.out))

    def write(self, name, num_rows, *, version=1, extra=None):
        rows = [{"id": f"{name}{row}", "alt": f"{name} {row} v{version}"} | (extra or {}) for row in range(num_rows)]
        (self.source / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        self.sizes[f"{name}.jsonl"] = num_rows

    def append(self, name, num_rows):
        before = self.sizes[f"{name}.jsonl"]
        with open(self.source / f"{name}.jsonl", "a", encoding="utf-8") as file:
            for row in range(before, before + num_rows):
                file.write(json.dumps({"id": f"{name}{row}", "alt": f"{name} {row} v1"}) + "\n")
        self.sizes[f"{name}.jsonl"] += num_rows

    def touch(self, name):
        path = self.source / f"{name}.jsonl"
        os.utime(path, ns=(path.stat().st_mtime_ns + DAY,) * 2)

    def delete(self, name):
        (self.source / f"{name}.jsonl").unlink()

    def night(self, *, redo_changed=False, **source):
        self.asked = []
        spec = make_spec({**self.fields, "source": self.fields["source"] | source})
        engine = ScriptedEngine(self.answer)
        return relabel.run(spec, redo_changed=redo_changed, execute=InProcess(load=lambda _: engine))

    def answer(self, request):
        self.asked.append(request.id)
        return "a label"

    def plan(self, **source):
        return plan(make_spec({**self.fields, "source": self.fields["source"] | source}))

    def assert_whole(self):
        assert_every_row_once(self.out, self.sizes)
        assert verify(self.store).problems == ()
        assert status(self.store).success
