"""The ways from JPEGs to texts that are compared: each gives the new tokens of all texts of every image, in order.

Those of transformers do what a user would write today. Knows models and engines; nothing of time or figures.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import torch

from relabel.bench.contenders import Contender, tokens_of, until
from relabel.bench.images.jpegs import make_jpegs
from relabel.bench.images.model import SeeingModel
from relabel.bench.images.preparing import Preparer
from relabel.bench.images.stopwatch import Stopwatch
from relabel.bench.workload import IMAGES, MAX_NEW_TOKENS, NEVER, Workload, draw_stops
from relabel.engine import Engine, Sampling
from relabel.engine.loading import make_engine, settle_batching
from relabel.engine.parity import image_probe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DRAWN_TOKENS = 32
"""Of each text that is drawn: all have as many, since the draws of transformers are others."""
PADDED_TEXTS = 16
"""Texts of a padded batch."""
NUM_ALONE = 16
"""Images for one at a time, which is the slowest way."""


def make_images(name: str, num_rows: int, vocab_size: int, seed: int = 0) -> Workload[bytes]:
    """So many pictures. Greedy texts end as those of the ragged workload do."""
    jpegs, is_sampled = make_jpegs(num_rows, seed), IMAGES[name] > 1
    return Workload(
        name=name,
        prompts=jpegs,
        stop=[NEVER] if is_sampled else draw_stops(random.Random(seed), vocab_size),
        new_tokens=DRAWN_TOKENS if is_sampled else MAX_NEW_TOKENS,
    )


def make_contenders(model: SeeingModel, workload: Workload[bytes]) -> list[tuple[Contender[bytes], Stopwatch]]:
    """All ways, ready to run, and where their seconds go."""
    preparer, samples = Preparer(model.processor), IMAGES[workload.name]
    plain, own = model.model.plain, model.model.own
    probe, contenders = image_probe(model.processor), []
    for name, num_texts, num_images in (("one_by_one", samples, NUM_ALONE), ("padded_16", PADDED_TEXTS, None)):
        watch = Stopwatch(plain)
        at_once = num_texts // samples
        way = partial(padded, plain, preparer, watch, workload, at_once=at_once, samples=samples)
        contenders.append((Contender(name=name, model=plain, generate=way, num_rows=num_images), watch))
    for batching in ("static", "continuous"):
        verdict = settle_batching(own, model.model.name, batching, probe)
        temperature = 1.0 if samples > 1 else 0.0
        sampling = Sampling(max_new_tokens=workload.new_tokens, stop_token_ids=workload.stop, temperature=temperature)
        engine, watch = make_engine(own, None, sampling, verdict), Stopwatch(own)
        way = partial(by_engine, engine, preparer, watch, samples=samples)
        contenders.append((Contender(name=batching, model=own, generate=way, engine=engine), watch))
    return contenders


def by_engine(
    engine: Engine, preparer: Preparer, watch: Stopwatch, jpegs: Sequence[bytes], *, samples: int
) -> list[list[int]]:
    """Static or continuous: each picture is made ready once for all of its texts."""
    with watch.lap():
        with watch.preparing():
            rows = [preparer.request(row, jpeg) for row, jpeg in enumerate(jpegs)]
        return tokens_of(
            engine, [replace(row, id=samples * row.id + sample) for row in rows for sample in range(samples)]
        )


@torch.inference_mode()
def padded(
    model: PreTrainedModel,
    preparer: Preparer,
    watch: Stopwatch,
    workload: Workload[bytes],
    jpegs: Sequence[bytes],
    *,
    at_once: int,
    samples: int,
) -> list[list[int]]:
    """So many images at once in the order of arrival."""
    generate = cast("Callable[..., torch.Tensor]", model.generate)
    drawn = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_return_sequences": samples} if samples > 1 else {}
    outputs: list[list[int]] = []
    with watch.lap():
        for at in range(0, len(jpegs), at_once):
            with watch.preparing():
                batch = preparer.batch(jpegs[at : at + at_once]).to(model.device, dtype=model.dtype)
            made = generate(
                **batch,
                max_new_tokens=workload.new_tokens,
                do_sample=samples > 1,
                eos_token_id=workload.stop,
                pad_token_id=0,
                **drawn,
            )
            outputs += made[:, batch["input_ids"].shape[1] :].tolist()
    return [until(workload.stop, output) for output in outputs]
