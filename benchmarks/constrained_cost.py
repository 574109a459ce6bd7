"""What holding every row to a JSON schema of five fields costs, on the prompts and the model of `relabel bench`.

One run of the continuous engine writes constrained texts. Then, turn by turn,
  held   the same rows again, with the constraint
  free   the same rows without it, their texts given token by token (`forced_ids`): the same forwards, no masks
Nothing is drafted (see drafts.py). The cost is what `held` loses of the rows a second of `free`, by processor time of
one thread.

    OMP_NUM_THREADS=1 python benchmarks/constrained_cost.py [--rows 256] [--out FILE]

The last line on stdout is one line of JSON.
"""

import importlib.metadata
import json
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer
from label_texts import LABEL, trained_tokenizer
from no_drafts import NeverPay
from transformers import LlamaConfig, LlamaForCausalLM

from relabel.bench.model import SMALL
from relabel.bench.workload import make_workload
from relabel.engine import Constraint, ContinuousEngine, Request, Sampling
from relabel.engine.continuous.drafter import Drafter
from relabel.engine.continuous.limits import measured_limits

PACKAGES = ("llguidance", "torch", "transformers")
NEW_TOKENS = 96


def main(rows: int = 256, turns: int = 3, out: Annotated[Path | None, typer.Option()] = None) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL)).eval()
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            weight.data.mul_(3.0)
    tokenizer = trained_tokenizer(SMALL["vocab_size"], characters=3_000_000)
    held = Sampling(
        max_new_tokens=NEW_TOKENS,
        temperature=1.0,
        stop_token_ids=[tokenizer.eos_token_id],
        constraint=Constraint(kind="json", value=json.dumps(LABEL)),
    )
    engine = ContinuousEngine(model, tokenizer, held, limits=measured_limits(model), drafter=Drafter(NeverPay()))
    prompts = make_workload("ragged", rows, SMALL["vocab_size"]).prompts
    requests = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(prompts)]
    results = engine.generate(requests)
    texts = [[*result.token_ids, *([engine.end_token] * (result.finish_reason == "stop"))] for result in results]
    free = Sampling(max_new_tokens=NEW_TOKENS, stop_token_ids=[tokenizer.eos_token_id])
    given = [
        Request(id=row, prompt_ids=prompt, sampling=free, forced_ids=text)
        for row, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
    ]
    seconds: dict[str, list[float]] = {"held": [], "free": []}
    for _ in range(turns):
        for name, work in (("held", requests), ("free", given)):
            start = time.process_time()
            again = engine.generate(work)
            seconds[name].append(time.process_time() - start)
            assert [result.token_ids for result in again] == [result.token_ids for result in results]
    rates = {name: rows / median(taken) for name, taken in seconds.items()}
    figures = {
        "rows": rows,
        "finished": sum(result.finish_reason == "stop" for result in results),
        "mean_tokens": sum(map(len, texts)) / rows,
        "rows_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "cost": round(1 - rates["held"] / rates["free"], 3),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    if out:
        out.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    typer.run(main)
