"""Trains the embedded model from scratch, both tasks in one network: `python -m relabel.demo.train --out DIR`.

Every step takes one batch of drawn scenes (`caption`) and one of noisy alt texts (`rewrite`), made up as it goes from
the seed; the held-out rows come from another stream of the same generators. Prints the loss and the held-out exact
match, saves the folder at every checkpoint, and writes what it cost beside the weights in `training.json`.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from transformers import GenerationConfig, LlavaForConditionalGeneration, LlavaProcessor

from relabel.demo import CAPTION_PROMPT, REWRITE_PROMPT
from relabel.demo.network import SPECIAL_TOKENS, make_model, make_processor
from relabel.demo.noise import noisy
from relabel.demo.scene import draw, random_scene

Example = tuple[Image.Image | None, str, str]
"""Image, text of the prompt, answer."""

NUM_STEPS = 2500
BATCH = 32
WINDOW = 8
"""Batches of noisy texts that are drawn together and sorted by length: a third less padding."""
LEARNING_RATE = 1.5e-3
NUM_WARMUP_STEPS = 150
MAX_NEW_TOKENS = 24


def caption_example(rng: random.Random) -> Example:
    """A drawn scene as the dataset stores it: of several sizes, half of them through JPEG."""
    scene = random_scene(rng)
    image = draw(scene, side=rng.choice((64, 96, 128)))
    if rng.random() < 0.5:
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=90)
        image = Image.open(encoded).convert("RGB")
    return image, CAPTION_PROMPT, scene.caption


def rewrite_example(rng: random.Random) -> Example:
    """A noisy alt text and what it says."""
    caption = random_scene(rng).caption
    return None, REWRITE_PROMPT.replace("{{ alt_text }}", noisy(caption, rng)), caption


def caption_batches(rng: random.Random) -> Iterator[list[Example]]:
    while True:
        yield [caption_example(rng) for _ in range(BATCH)]


def rewrite_batches(rng: random.Random) -> Iterator[list[Example]]:
    while True:
        window = sorted((rewrite_example(rng) for _ in range(BATCH * WINDOW)), key=lambda example: len(example[1]))
        batches = [window[first : first + BATCH] for first in range(0, len(window), BATCH)]
        rng.shuffle(batches)
        yield from batches


def tokenizer_texts(rng: random.Random) -> Iterator[str]:
    """Two clean captions for one noisy one, so that each word of a caption becomes one token."""
    for _ in range(3000):
        caption = random_scene(rng).caption
        yield from (caption, caption, noisy(caption, rng), CAPTION_PROMPT, REWRITE_PROMPT.partition(" {{")[0])


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


def train(out: Path, *, num_steps: int, seed: int, checkpoint_every: int, num_held_out: int) -> dict[str, float]:
    """Train, save to `out`, and return the figures that `training.json` holds."""
    began, cpu_began = time.time(), time.process_time()
    torch.manual_seed(seed)
    processor = make_processor(tokenizer_texts(random.Random(f"tokenizer {seed}")))
    model = make_model(processor)
    captions = caption_batches(random.Random(f"train caption {seed}"))
    rewrites = rewrite_batches(random.Random(f"train rewrite {seed}"))
    rng = random.Random(f"held out {seed}")
    held_out = {task: [make(rng) for _ in range(num_held_out)] for task, make in TASKS.items()}

    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, s / NUM_WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * min(1.0, s / num_steps)))
    )
    figures: dict[str, float] = {}
    model.train()
    for step in range(1, num_steps + 1):
        optimizer.zero_grad()
        losses = []
        for batches in (captions, rewrites):
            loss = loss_of(model, encode(processor, next(batches), answers=True))
            loss.backward()
            losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        seconds, cpu_seconds = time.time() - began, time.process_time() - cpu_began
        if step % 50 == 0:
            print(f"step {step} loss {losses[0]:.4f} {losses[1]:.4f} in {seconds:.0f} s, CPU {cpu_seconds:.0f} s")
        if step % checkpoint_every == 0 or step == num_steps:
            few = num_held_out if step == num_steps else 64
            exact = {f"exact_{task}": exact_match(model, processor, rows[:few]) for task, rows in held_out.items()}
            figures = {"seed": seed, "num_steps": step, "num_held_out": few, **exact}
            figures |= {"seconds": round(seconds), "cpu_seconds": round(cpu_seconds)}
            print(json.dumps(figures))
            _save(out, model, processor, figures)
    return figures


def _save(out: Path, model: LlavaForConditionalGeneration, processor: LlavaProcessor, figures: dict) -> None:
    model.save_pretrained(out)
    processor.save_pretrained(out)
    (out / "training.json").write_text(json.dumps(figures, indent=2) + "\n")
    (out / "model.safetensors").chmod(0o644)  # safetensors writes 0600, which an installed package must not have


TASKS = {"caption": caption_example, "rewrite": rewrite_example}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the embedded model from scratch.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=NUM_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-every", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    train(
        args.out,
        num_steps=args.steps,
        seed=args.seed,
        checkpoint_every=args.checkpoint_every,
        num_held_out=args.held_out,
    )


if __name__ == "__main__":
    main()
