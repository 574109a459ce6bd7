"""What every way is given: a folder of Parquet files with `id` and `alt_text`, a model of text, and how texts end.

Knows the demo's model and the benchmark's; nothing of how they are run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from relabel.bench.model import SMALL, write_small
from relabel.bench.workload import RAGGED, make_workload
from relabel.demo import MODEL_PATH
from relabel.demo.dataset import make_row

NUM_FILES = 4
UNIT_ROWS = 64
"""Of a unit of relabel, and of a block of Ray Data: what is lost with a process."""
MARGIN = 8
"""Tokens of a model's context that relabel leaves free."""
TOO_LONG, NULL = 10, 20
"""Rows of a dataset with bad rows: one whose prompt is longer than the model's context, one without a text."""
BAD_ROWS = (TOO_LONG, NULL)
SCHEMA = pa.schema([("id", pa.int64()), ("alt_text", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One dataset and one model, in plain values: it goes to processes as JSON."""

    name: str
    data: str
    """The folder of the Parquet files."""
    model: str
    """The folder of the checkpoint."""
    num_rows: int
    before: str
    """What stands before a row's text in its prompt."""
    chat: bool
    """Whether prompts go through the model's chat template."""
    max_tokens: int
    """Of a prompt and its text together."""
    max_new_tokens: int
    stop_token_ids: list[int]
    """Empty for the model's own."""

    def write(self, path: Path) -> Path:
        """The task as a file for another process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The task that `write` wrote."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))


def demo_task(folder: Path, num_rows: int, *, bad: bool = False) -> Task:
    """The demo's task `rewrite`: noisy alt texts, and the language model of the shipped one."""
    texts: list[str | None] = [str(make_row(0, row)["alt_text"]) for row in range(num_rows)]
    if bad:
        texts[TOO_LONG], texts[NULL] = "a red circle " * 1000, None
    return Task(
        name="demo",
        data=write_texts(folder / ("data-bad" if bad else "data-demo"), texts),
        model=str(language_model(folder / "demo-model")),
        num_rows=num_rows,
        before="Clean up this alt text: ",
        chat=True,
        max_tokens=256,
        max_new_tokens=32,
        stop_token_ids=[],
    )


def bench_task(folder: Path, num_rows: int) -> Task:
    """What `relabel bench` measures: the Llama of 33.6 M, prompts of random tokens, ragged texts of up to 64."""
    model = folder / "bench-model"
    if not model.exists():
        write_small(str(model))
    workload = make_workload(RAGGED, num_rows, SMALL["vocab_size"])
    texts = [" ".join(f"w{token}" for token in prompt) for prompt in workload.prompts]
    return Task(
        name="bench",
        data=write_texts(folder / "data-bench", texts),
        model=str(model),
        num_rows=num_rows,
        before="",
        chat=False,
        max_tokens=96 + workload.new_tokens + MARGIN,
        max_new_tokens=workload.new_tokens,
        stop_token_ids=workload.stop,
    )


def write_texts(folder: Path, texts: list[str | None]) -> str:
    """The texts as Parquet files, in order; the folder."""
    folder.mkdir(parents=True)
    for file in range(NUM_FILES):
        first, end = file * len(texts) // NUM_FILES, (file + 1) * len(texts) // NUM_FILES
        rows = [{"id": row, "alt_text": texts[row]} for row in range(first, end)]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / f"data-{file}.parquet")
    return str(folder)


def language_model(folder: Path) -> Path:
    """The part of the demo's model that writes, as a checkpoint: vLLM wants torchvision for the whole."""
    if folder.exists():
        return folder
    config = json.loads((MODEL_PATH / "config.json").read_text(encoding="utf-8"))
    inner = LlamaConfig(**config["text_config"])
    weights = load_file(MODEL_PATH / "model.safetensors")
    of_text = {
        name.removeprefix("language_model."): value
        for name, value in weights.items()
        if name.startswith("language_model.")
    }
    model = LlamaForCausalLM(inner)
    missing, unknown = model.load_state_dict(of_text, strict=False)
    assert set(missing) <= {"lm_head.weight"}, missing
    assert not unknown, unknown
    model.tie_weights()
    model.generation_config = GenerationConfig.from_pretrained(MODEL_PATH)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(MODEL_PATH).save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.pop("processor_class", None)  # AutoProcessor would look for that of images
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    return folder
