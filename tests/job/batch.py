"""A batch file of the OpenAI API, its run without Ray, and its answers."""

import json

from relabel import make_spec, run
from relabel.data.exports.openai_batch import export_batch
from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.reading import rows_of

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}, "required": ["n"]}
SCHEMA |= {"additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
CHAT = [{"role": "user", "content": "a red circle?"}]
GREEDY = {"temperature": 0, "max_tokens": 12}


def line(custom_id, chat=CHAT, **settings):
    body = {"model": "gpt-4o", "messages": chat, **settings}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


class Batch:
    """A batch file and its run."""

    def __init__(self, folder, model, lines, /, **sections):
        self.folder = folder
        texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
        (folder / "batch.jsonl").write_text("".join(f"{text}\n" for text in texts))
        fields = {
            "source": {"path": str(folder / "batch.jsonl"), "format": "openai", "unit_rows": 8},
            "model": {"path": str(model), "dtype": "float32", "max_prompt_tokens": 256},
            "sampling": {"max_new_tokens": 8, "temperature": 1.0, "seed": 5},
            "output": {"path": str(folder / "out")},
            "resources": {"gpus_per_actor": 0},
        }
        self.spec = make_spec({**fields, **sections})

    def run(self, engine):
        run(self.spec, execute=InProcess(load=lambda _: engine))

    def rows(self, engine):
        self.run(engine)
        return rows_of(self.folder / "out")

    def lose(self, index):
        (self.folder / f"out/batch-{index:05d}.parquet").unlink()

    def exported(self):
        path = self.folder / "answers.jsonl"
        figures = export_batch(Store(self.spec.output.path), str(path))
        return figures, [json.loads(text) for text in path.read_text().splitlines()]
