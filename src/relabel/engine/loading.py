"""From the path of a checkpoint to a model or a whole engine, or a refusal that says what to do.

Safetensors only, no code of the repository, every weight present. Knows nothing of requests.
"""

from __future__ import annotations

import inspect
import logging
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from relabel.engine.api.engine import Engine
from relabel.engine.api.request import Request, Sampling
from relabel.engine.api.verdict import Verdict
from relabel.engine.continuous.engine import ContinuousEngine
from relabel.engine.continuous.limits import measured_limits
from relabel.engine.continuous.threads import one_thread
from relabel.engine.model.faults import is_device_fault, is_out_of_memory
from relabel.engine.model.gpu_share import take_share
from relabel.engine.model.processor import load_processor, load_tokenizer
from relabel.engine.model.traits import attention_of, why_not_packed
from relabel.engine.model.weights import first_line, load_model
from relabel.engine.parity import LENGTHS, TOLERANCE, Probes, image_probe
from relabel.engine.runner.kernels import Kernels
from relabel.engine.static.engine import StaticEngine
from relabel.errors import ArgumentRefused, ModelRefused

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger("relabel")

SMALL = 500_000_000
"""Parameters of a model whose probes one core computes in some seconds."""
LEAST_PROMPT = 256
"""Tokens of a prompt that must find room beside the new ones, or continuous batching is not worth beginning."""


def load_engine(
    path: str,
    *,
    sampling: Sampling,
    batching: str = "auto",
    dtype: str = "auto",
    device: str = "cpu",
    revision: str | None = None,
    adapter: str | None = None,
    batch_tokens: int | None = None,
    kv_memory: int | None = None,
    gpu_share: float = 1.0,
) -> Engine:
    """Load the model at `path` (a folder or a hub name), find the fastest way to run it that is right, make it ready.

    `batching` is auto, continuous or static; both of the first fall back to static where they must, and say why.
    `adapter` is the folder of a LoRA adapter, which is merged into the model.
    `batch_tokens` bounds a batch of the static engine, `kv_memory` is bytes of keys and values of the continuous one.
    `gpu_share` is what this process may take of the GPU's memory, above 0 and at most 1, where others have the rest.
    """
    take_share(device, gpu_share)
    if batching not in ("auto", "continuous", "static"):
        raise ModelRefused(f"batching {batching!r} is not known; use auto, continuous or static")
    model = load_model(path, revision=revision, adapter=adapter, dtype=dtype, device=device)
    return make_engine(
        model,
        load_tokenizer(path, revision),
        sampling,
        settle_batching(model, path, batching, _with_image(model, path, revision)),
        batch_tokens=batch_tokens,
        kv_memory=kv_memory,
    )


def _with_image(model: PreTrainedModel, path: str, revision: str | None) -> Request | None:
    if "pixel_values" not in inspect.signature(model.forward).parameters:
        return None
    try:
        return image_probe(load_processor(path, revision))
    except (ModelRefused, ValueError, TypeError) as error:
        log.info("%s is checked without an image: %s", path, first_line(error))
        return None


def make_engine(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    sampling: Sampling,
    verdict: Verdict,
    *,
    batch_tokens: int | None = None,
    kv_memory: int | None = None,
) -> Engine:
    """The engine that a verdict names, on a model that is loaded already."""
    if verdict.batching == "continuous":
        limits = measured_limits(model, kv_memory)
        if limits.kv_tokens >= sampling.max_new_tokens + LEAST_PROMPT:
            return ContinuousEngine(model, tokenizer, sampling, limits=limits, verdict=verdict)
        why = f"there is memory for keys and values of {limits.kv_tokens} tokens alone"
        if kv_memory is not None:
            raise ArgumentRefused("", "kv_memory", f" is too small: {why}; raise it, or leave it out")
        log.warning("static batching: %s", why)
        verdict = replace(verdict, batching="static", notes=(*verdict.notes, f"static batching: {why}"))
    return StaticEngine(model, tokenizer, sampling, batch_tokens=batch_tokens, verdict=verdict)


def settle_batching(
    model: PreTrainedModel, path: str, batching: str, with_image: Request | None = None, kernels: Kernels | None = None
) -> Verdict:
    """Continuous, else static, else static with eager attention: the first whose probes equal those of rows alone.

    `with_image` is a row as the processor of a model that sees makes it.
    """
    with one_thread() if model.num_parameters() < SMALL else nullcontext():
        return _settle(model, path, batching, with_image, kernels)


def _settle(
    model: PreTrainedModel, path: str, batching: str, with_image: Request | None, kernels: Kernels | None
) -> Verdict:
    try:
        probes = Probes(model, with_image, kernels)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelRefused(
            f"{path} cannot compute a prompt of {LENGTHS[0]} tokens: {first_line(error)}; compare its config.json with "
            "that of the original"
        ) from error
    if not probes.are_finite:
        raise ModelRefused(
            f"{path} gives logits that are not finite numbers: its weights are damaged; download it again"
        )
    ways = [("continuous", "ragged"), ("static", attention_of(model)), ("static", "eager")]
    notes = []
    for way, attention in ways if batching != "static" else ways[1:]:
        why = why_not_packed(model, has_image_probe=with_image is not None) if way == "continuous" else None
        if why is not None:
            notes.append(f"static batching: {why}")
            log.info("%s is run with static batching: %s", path, why)
            continue
        if attention == "eager":
            model.set_attn_implementation("eager")
        try:
            difference = probes.difference(probes.ragged if way == "continuous" else probes.padded)
        except (RuntimeError, ValueError, TypeError, AttributeError, ModelRefused) as error:
            if is_device_fault(error):  # no other way can be tried in this process
                log.warning("the device failed at %s batching; set batching: static if it does so again", way)
                raise
            log.debug("%s fails with %s batching", path, way, exc_info=error)
            difference = float("inf")
        if difference <= TOLERANCE.get(model.dtype, 0.2):
            return Verdict(batching=way, attention=attention, difference=difference, notes=tuple(notes))
        notes.append(f"{way} batching with {attention} attention is {difference:.2g} from rows alone")
        log.warning("%s: %s", path, notes[-1])
    raise ModelRefused(f"{path} cannot be batched: its rows change with their neighbours ({'; '.join(notes)})")
