"""From the path of a checkpoint to a model or a whole engine, or a refusal that says what to do.

Safetensors only, no code of the repository, every weight present. Knows nothing of requests.
"""

from __future__ import annotations

import inspect
import logging
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from relabel.engine.checkpoint import check_config, check_weights, locate
from relabel.engine.continuous import ContinuousEngine
from relabel.engine.faults import is_device_fault, is_out_of_memory
from relabel.engine.memory import free_bytes, measured_limits
from relabel.engine.parity import LENGTHS, TOLERANCE, Probes, Verdict, image_probe, why_not_packed
from relabel.engine.processor import load_processor, load_tokenizer
from relabel.engine.request import Request, Sampling
from relabel.engine.static import StaticEngine
from relabel.errors import ModelRefused

log = logging.getLogger("relabel")

LEAST_PROMPT = 256
"""Tokens of a prompt that must find room beside the new ones, or continuous batching is not worth beginning."""

Engine = StaticEngine | ContinuousEngine

DTYPES = {
    "auto": "auto",
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


def load_engine(
    path: str,
    *,
    sampling: Sampling,
    batching: str = "auto",
    dtype: str = "auto",
    device: str = "cpu",
    revision: str | None = None,
    batch_tokens: int | None = None,
    kv_memory: int | None = None,
) -> Engine:
    """Load the model at `path` (a folder or a hub name), find the fastest way to run it that is right, make it ready.

    `batching` is auto, continuous or static; both of the first fall back to static where they must, and say why.
    `batch_tokens` bounds a batch of the static engine, `kv_memory` is bytes of keys and values of the continuous one.
    """
    if batching not in ("auto", "continuous", "static"):
        raise ModelRefused(f"batching {batching!r} is not known; use auto, continuous or static")
    model = load_model(path, revision=revision, dtype=dtype, device=device)
    return make_engine(
        model,
        load_tokenizer(path, revision),
        sampling,
        settle_batching(model, path, batching, _with_image(model, path, revision)),
        batch_tokens=batch_tokens,
        kv_memory=kv_memory,
    )


def _with_image(model: Any, path: str, revision: str | None) -> Request | None:
    if "pixel_values" not in inspect.signature(model.forward).parameters:
        return None
    try:
        return image_probe(load_processor(path, revision))
    except (ModelRefused, ValueError, TypeError) as error:
        log.info("%s is checked without an image: %s", path, _line(error))
        return None


def make_engine(
    model: Any,
    tokenizer: Any | None,
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
            raise ModelRefused(f"resources.kv_memory is too small: {why}; raise it, or leave it out")
        log.warning("static batching: %s", why)
        verdict = replace(verdict, batching="static", notes=(*verdict.notes, f"static batching: {why}"))
    return StaticEngine(model, tokenizer, sampling, batch_tokens=batch_tokens, verdict=verdict)


def settle_batching(model: Any, path: str, batching: str, with_image: Request | None = None) -> Verdict:
    """Continuous, else static, else static with eager attention: the first whose probes equal those of rows alone.

    `with_image` is a row as the processor of a model that sees makes it.
    """
    try:
        probes = Probes(model, with_image)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        raise ModelRefused(
            f"{path} cannot compute a prompt of {LENGTHS[0]} tokens: {_line(error)}; compare its config.json with that "
            "of the original"
        ) from error
    if not probes.are_finite:
        raise ModelRefused(
            f"{path} gives logits that are not finite numbers: its weights are damaged; download it again"
        )
    own = model.config.get_text_config(decoder=True)._attn_implementation
    ways = [("continuous", "ragged"), ("static", own), ("static", "eager")]
    notes = []
    for way, attention in ways if batching != "static" else ways[1:]:
        if way == "continuous" and (why := why_not_packed(model)) is not None:
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


def load_model(path: str, *, revision: str | None = None, dtype: str = "auto", device: str = "cpu") -> Any:
    """A causal or image-text-to-text model in eval mode on its device."""
    if dtype not in DTYPES:
        raise ModelRefused(f"dtype {dtype!r} is not known; use one of {', '.join(DTYPES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelRefused("there is no CUDA device here: set resources.gpus_per_actor: 0 to run on CPUs")
    folder = locate(path, revision, weights=True)
    kind = check_config(folder)["model_type"]
    check_weights(folder)
    if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        auto = AutoModelForImageTextToText
    elif kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        auto = AutoModelForCausalLM
    else:
        raise ModelRefused(
            f"{path} ({kind}) neither continues text nor describes images; use a causal or an image-text-to-text model"
        )
    try:
        loaded: Any = auto.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # a damaged config makes transformers raise anything
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        why = _line(error)
        if "ignore_mismatched_sizes" in why:
            why = "its weights have other shapes than its config.json says; take both from one download"
        raise ModelRefused(f"{path} cannot be loaded by transformers {transformers.__version__}: {why}") from error
    model, info = loaded
    # transformers fills absent weights with random numbers and only warns
    if absent := sorted(info["missing_keys"]):
        raise ModelRefused(f"{path} lacks {len(absent)} weights ({absent[0]}, ...); download the model again")
    if unused := sorted(info["unexpected_keys"]):
        log.warning("%s has %d weights that its config.json leaves unused (%s, ...)", path, len(unused), unused[0])
    _check_ids(path, model.generation_config)
    model = model.eval().to(torch.device(device))
    return model if device != "cpu" or computes_bfloat16() else widened(model)


def _check_ids(path: str, config: Any) -> None:
    """Of a generation config nothing else is used."""
    for name in ("eos_token_id", "pad_token_id"):
        value = getattr(config, name, None)
        ids = value if isinstance(value, list | tuple) else [value]
        if not all(id is None or isinstance(id, int) for id in ids):
            raise ModelRefused(f"{path} has a generation_config.json whose {name} is no token id; correct it")


def computes_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16; without them torch emulates it, slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine() == "arm64"
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


def widened(model: Any) -> Any:
    """The same weights in float32, if they are in a half type and memory holds them twice.

    On a CPU with AVX-512 and no bfloat16 instructions a matrix product of 64 rows runs at 94 GFLOP/s in float32 and at
    25 in bfloat16 (torch 2.13, one core).
    """
    if model.dtype not in (torch.bfloat16, torch.float16) or 4 * model.num_parameters() > free_bytes():
        return model
    log.info("this CPU emulates %s: the weights are computed in float32", str(model.dtype).removeprefix("torch."))
    return model.float()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
