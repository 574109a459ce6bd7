"""What drafts are worth: the continuous engine with them and without, turn by turn, by processor time of one thread.

  copied   prompts of 200 random tokens, of which each text copies 60: drafts come from the prompt
  json     texts of a schema of five fields, which nothing in the prompt tells: drafts are what the schema forces
  ragged   the workload of `relabel bench`, in which nothing is copied: drafts must not cost

Each with so many rows at once: few, as at the end of a run or where memory for keys and values is short, or all that a
CPU takes. The first two are written by a model that is made to copy; its layers are those of the bench model.

    OMP_NUM_THREADS=1 python benchmarks/drafts.py [--dtype bfloat16] [--turns 3] [--out FILE]

The last line on stdout is one line of JSON.
"""

import importlib.metadata
import json
import platform
import random
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from copying_model import DISTANCE, copying_model
from label_texts import LABEL, labels, trained_tokenizer
from no_drafts import NeverPay
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from relabel.bench.machine import device_name
from relabel.bench.model import SMALL, Model
from relabel.bench.workload import NEVER, make_workload
from relabel.engine import Constraint, ContinuousEngine, Limits, Request, Sampling
from relabel.engine.continuous.drafter import Drafter

PACKAGES = ("llguidance", "torch", "transformers")
PROMPT, COPIED, VOCABULARY = 200, 60, SMALL["vocab_size"]
AT_ONCE = (1, 8, 32, 192)
"""Rows."""


Work = tuple[PreTrainedModel, PreTrainedTokenizerBase | None, Sampling, list[Request], list[list[int]] | None]
"""A model and what it is given; and the texts that it must write, where they are known."""


def copied(num_rows: int) -> Work:
    draw = random.Random(0)
    prompts = [[draw.randrange(4, VOCABULARY) for _ in range(PROMPT)] for _ in range(num_rows)]
    first = PROMPT - DISTANCE
    texts = [prompt[first : first + COPIED] for prompt in prompts]
    sampling = Sampling(max_new_tokens=COPIED, stop_token_ids=[NEVER])
    return copying_model(), None, sampling, _requests(prompts), texts


def held_to_json(num_rows: int) -> Work:
    """The prompt spells the text in other tokens, so that it cannot be looked up."""
    tokenizer = trained_tokenizer(VOCABULARY, characters=3_000_000)
    draw = random.Random(0)
    others = list(range(VOCABULARY))
    draw.shuffle(others)
    spelling = [0] * VOCABULARY
    for token, other in enumerate(others):
        spelling[other] = token
    end, prompts, texts = tokenizer.eos_token_id, [], []
    for text in labels(num_rows, seed=7):
        compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        tokens = [*tokenizer.encode(compact, add_special_tokens=False), end][: DISTANCE - 1]
        spelt = [others[token] for token in tokens]
        before, after = (
            [draw.randrange(4, VOCABULARY) for _ in range(number)]
            for number in (PROMPT - DISTANCE, DISTANCE - len(spelt))
        )
        prompts.append([*before, *spelt, *after])
        texts.append([token for token in tokens if token != end])
    constraint = Constraint(kind="json", value=json.dumps(LABEL))
    sampling = Sampling(max_new_tokens=DISTANCE - 1, stop_token_ids=[end], constraint=constraint)
    return copying_model(spelling), tokenizer, sampling, _requests(prompts), texts


def ragged(num_rows: int) -> Work:
    model = Model.load(None, torch.float32, torch.device("cpu")).own
    workload = make_workload("ragged", num_rows, VOCABULARY)
    sampling = Sampling(max_new_tokens=workload.new_tokens, stop_token_ids=workload.stop)
    return model, None, sampling, _requests(workload.prompts), None


def main(dtype: str = "bfloat16", turns: int = 3, out: Annotated[Path | None, typer.Option()] = None) -> None:
    torch.set_num_threads(1)
    found: dict[str, dict[str, object]] = {}
    for name, make in {"copied": copied, "json": held_to_json, "ragged": ragged}.items():
        model, tokenizer, sampling, requests, texts = make(max(AT_ONCE))
        model = model.to(getattr(torch, dtype))
        found[name] = {}
        for at_once in AT_ONCE:
            some = requests[: max(16, at_once)]
            wanted = None if texts is None else texts[: len(some)]
            found[name][str(at_once)] = compare(model, tokenizer, sampling, some, wanted, at_once, turns)
            print(name, at_once, found[name][str(at_once)], flush=True)
    figures = {
        "speedup": found,
        "dtype": dtype,
        "device_name": device_name(torch.device("cpu")),
        "machine": platform.machine(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


def compare(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    sampling: Sampling,
    requests: list[Request],
    texts: list[list[int]] | None,
    at_once: int,
    turns: int,
) -> dict[str, object]:
    """Rows a second with drafts over those without, and how many drafted tokens were accepted."""
    limits = Limits(kv_tokens=400 * at_once, num_slots=at_once, step_tokens=1024)
    engines = {
        name: ContinuousEngine(model, tokenizer, sampling, limits=limits, drafter=drafter)
        for name, drafter in {"with": Drafter(), "without": Drafter(NeverPay())}.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(1 + turns):
        for name, engine in engines.items():
            start = time.process_time()
            results = engine.generate(requests)
            seconds[name].append(time.process_time() - start)
            assert texts is None or [result.token_ids for result in results] == texts, name
    goodput = engines["with"].goodput
    rates = {name: len(requests) / median(taken[1:]) for name, taken in seconds.items()}
    return {
        "rows_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "speedup": round(rates["with"] / rates["without"], 3),
        "drafted_per_output_token": round(goodput.drafted_tokens / goodput.output_tokens, 3),
        "accepted": round(goodput.accepted_tokens / max(1, goodput.drafted_tokens), 3),
    }


def _requests(prompts: Sequence[list[int]]) -> list[Request]:
    return [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)]


if __name__ == "__main__":
    typer.run(main)
