"""Trains the embedded model from scratch, all tasks in one network: `python -m tools.demo_model.train --out DIR`.

A step takes a batch of each task whose turn it is: drawn scenes (`caption`, `json`) or noisy alt texts (`rewrite`),
made up as it goes from the seed; the held-out rows come from another stream of the same generators. Prints the loss
and the held-out exact match, saves the folder at every checkpoint, and writes what the whole training cost beside the
weights in `training.json`.

`--steps 2500 1000 0` stops before the third phase, and `--from` goes on from the folder that this leaves: the weights
are those of a training without a stop. They follow from the seed for one number of threads: those that are shipped
were made with `--threads 1`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from transformers import GenerationConfig, LlavaForConditionalGeneration, LlavaProcessor

from tools.demo_model.examples import BATCHES, TASKS, Example, tokenizer_texts
from tools.demo_model.network import SPECIAL_TOKENS, make_model, make_processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A run of steps under one cosine of the learning rate."""

    num_steps: int
    learning_rate: float
    every: Mapping[str, int]
    """One step in so many takes a batch of this task; a task that is not named is not trained."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """What the loss of a task is multiplied by, if not by one."""
    stream: str = "train"
    """Names the random generators of the batches. Phases of one stream go on where the last one stopped."""


PHASES = (
    Phase(num_steps=2500, learning_rate=1.5e-3, every={"caption": 1, "rewrite": 1}),
    Phase(num_steps=1000, learning_rate=7e-4, every={"caption": 4, "rewrite": 1}),
    Phase(
        num_steps=1500,
        learning_rate=1e-3,
        every={"caption": 2, "rewrite": 1, "json": 1},
        weights={"json": 8.0},
        stream="third phase",
    ),
)
"""The second is for `rewrite`, which is at 95 % when `caption` is at 100 %. The third is for `json`: nine in ten
tokens of a record are the same for every scene, so its gradient is a sixth of that of `rewrite`, and 900 steps without
a weight bring it to 34 % only."""
NUM_WARMUP_STEPS = 150
MAX_NEW_TOKENS = 224
"""A record of three shapes has up to 208 tokens, a caption 20."""


def encode(processor: LlavaProcessor, examples: list[Example], *, answers: bool) -> dict[str, torch.Tensor]:
    """The batch as the chat template renders it: whole turns for training, or prompts to be answered."""
    chats = []
    for image, prompt, answer in examples:
        parts = [{"type": "image"}] if image is not None else []
        chat = [{"role": "user", "content": [*parts, {"type": "text", "text": prompt}]}]
        chats.append([*chat, {"role": "assistant", "content": answer}] if answers else chat)
    texts = processor.apply_chat_template(chats, add_generation_prompt=not answers)
    images = [image for image, _, _ in examples if image is not None] or None
    padding: dict[str, Any] = {"padding": True, "padding_side": "right" if answers else "left", "return_tensors": "pt"}
    return dict(processor(text=texts, images=images, **padding))


def loss_of(model: LlavaForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The mean over the tokens of the answers, the end-of-text token among them."""
    ids_BT = inputs["input_ids"]
    begins_BT = ids_BT == SPECIAL_TOKENS.index("<|assistant|>")
    answered_BT = (begins_BT.cumsum(1) > 0) & ~begins_BT & inputs["attention_mask"].bool()
    return model(**inputs, labels=ids_BT.masked_fill(~answered_BT, -100)).loss


@torch.inference_mode()
def exact_match(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, examples: list[Example], batch: int = 64
) -> float:
    """The share of greedy answers that are the expected text to the letter."""
    model.eval()
    config = GenerationConfig(max_new_tokens=MAX_NEW_TOKENS, do_sample=False, eos_token_id=2, pad_token_id=0)
    num_right = 0
    for first in range(0, len(examples), batch):
        rows = examples[first : first + batch]
        inputs = encode(processor, rows, answers=False)
        ids = cast(Any, model).generate(**inputs, generation_config=config)[:, inputs["input_ids"].shape[1] :]
        texts = processor.batch_decode(ids, skip_special_tokens=True)
        num_right += sum(text == answer for text, (_, _, answer) in zip(texts, rows, strict=True))
    model.train()
    return num_right / len(examples)


def train(
    out: Path,
    *,
    phases: Sequence[Phase],
    seed: int,
    checkpoint_every: int,
    num_held_out: int,
    start: Path | None = None,
) -> dict[str, float]:
    """Train, from scratch or from the folder `start`, save to `out`, and return the figures of `training.json`."""
    began, cpu_began = time.time(), time.process_time()
    model, processor, before = load(start, seed) if start else make(seed)
    streams: dict[str, dict[str, Iterator[list[Example]]]] = {}
    rng = random.Random(f"held out {seed}")
    held_out = {task: [example(rng) for _ in range(num_held_out)] for task, example in TASKS.items()}
    figures: dict[str, float] = {}
    num_steps = before["num_steps"]
    last = num_steps + sum(phase.num_steps for phase in phases)
    for phase in phases:
        batches = streams.setdefault(phase.stream, start_batches(phase.stream, seed))
        for losses in run_phase(model, processor, batches, phase):
            num_steps += 1
            cost = {
                "seconds": before["seconds"] + round(time.time() - began),
                "cpu_seconds": before["cpu_seconds"] + round(time.process_time() - cpu_began),
            }
            if num_steps % 50 == 0:
                print(json.dumps({"num_steps": num_steps, **losses, **cost}), flush=True)
            if num_steps % checkpoint_every == 0 or num_steps == last:
                few = num_held_out if num_steps == last else 64
                exact = {f"exact_{task}": exact_match(model, processor, held_out[task][:few]) for task in phase.every}
                figures = {"seed": seed, "num_steps": num_steps, "num_held_out": few, **exact, **cost}
                figures["num_threads"] = torch.get_num_threads()
                print(json.dumps(figures), flush=True)
                save(out, model, processor, figures)
    return figures


def start_batches(stream: str, seed: int) -> dict[str, Iterator[list[Example]]]:
    return {task: batches(random.Random(f"{stream} {task} {seed}")) for task, batches in BATCHES.items()}


def run_phase(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    batches: dict[str, Iterator[list[Example]]],
    phase: Phase,
) -> Iterator[dict[str, float]]:
    """Take the steps of one phase with an optimizer of its own; yields the losses of each step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=phase.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, s / NUM_WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * s / phase.num_steps))
    )
    model.train()
    for step in range(phase.num_steps):
        optimizer.zero_grad()
        losses = {}
        for task in TASKS:
            if task not in phase.every or step % phase.every[task]:
                continue
            loss = loss_of(model, encode(processor, next(batches[task]), answers=True))
            (phase.weights.get(task, 1.0) * loss).backward()
            losses[task] = round(loss.item(), 4)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        yield losses


def make(seed: int) -> tuple[LlavaForConditionalGeneration, LlavaProcessor, dict[str, int]]:
    torch.manual_seed(seed)
    processor = make_processor(tokenizer_texts(random.Random(f"tokenizer {seed}")))
    return make_model(processor), processor, {"num_steps": 0, "seconds": 0, "cpu_seconds": 0}


def load(folder: Path, seed: int) -> tuple[LlavaForConditionalGeneration, LlavaProcessor, dict[str, int]]:
    """The weights and the figures that `save` saved; the rest is made again, as loading would write itself into it."""
    model, processor, _ = make(seed)
    model.load_state_dict(LlavaForConditionalGeneration.from_pretrained(folder, local_files_only=True).state_dict())
    return model, processor, json.loads((folder / "training.json").read_text())


def save(out: Path, model: LlavaForConditionalGeneration, processor: LlavaProcessor, figures: dict) -> None:
    model.save_pretrained(out)
    processor.save_pretrained(out)
    (out / "training.json").write_text(json.dumps(figures, indent=2) + "\n")
    (out / "model.safetensors").chmod(0o644)  # safetensors writes 0600, which an installed package must not have


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded model from scratch.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", type=Path, dest="start", help="folder of the second phase: do the third one only")
    parser.add_argument("--steps", type=int, nargs=len(PHASES), default=[phase.num_steps for phase in PHASES])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-every", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    phases = [replace(phase, num_steps=num_steps) for phase, num_steps in zip(PHASES, args.steps, strict=True)]
    phases = [phase for phase in phases[2 if args.start else 0 :] if phase.num_steps]
    train(
        args.out,
        phases=phases,
        seed=args.seed,
        checkpoint_every=args.checkpoint_every,
        num_held_out=args.held_out,
        start=args.start,
    )


if __name__ == "__main__":
    main()
