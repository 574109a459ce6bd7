"""A spec in the settings of vLLM, and the row by which it is tried whether vLLM takes its images.

Knows keys of the spec; nothing of rows of a source.
"""

from __future__ import annotations

from relabel.engine.api.request import Request
from relabel.engine.vllm.settings import VllmSettings
from relabel.spec import Query, Spec

SPARE_TOKENS = 8
"""Of a row, for the token that ends it and for one that vLLM makes of a text that is given."""
OWN_NEW_TOKENS = 8192
"""That a row of a batch file may ask for on a CPU, where a step holds a whole row; on a GPU any number."""
MOST_IMAGES = 32
"""Of one row."""


def settings_of(spec: Spec) -> VllmSettings:
    """How vLLM is to run the model of a spec. The GPUs of an actor are those that the model is divided over."""
    resources, own = spec.resources, spec.vllm
    has_images = bool(spec.prompt.images) or spec.prompt.messages is not None
    return VllmSettings(
        device="cuda" if resources.gpus_per_actor else "cpu",
        num_gpus=max(1, int(resources.gpus_per_actor)),
        max_tokens=_max_tokens(spec),
        max_images=MOST_IMAGES if has_images else 0,
        gpu_memory=own.gpu_memory * min(1.0, resources.gpus_per_actor or 1.0),
        kv_memory=resources.kv_memory,
        max_rows=own.max_rows,
        step_tokens=own.step_tokens,
        eager=own.eager,
        kv_dtype=own.kv_dtype,
        quantization=own.quantization,
        speculate_ngram=own.speculate_ngram,
        batch_invariant=own.batch_invariant,
    )


def image_row(spec: Spec) -> Request | None:
    """A row with an image, as the processor of the spec's model makes it; None where its rows have none."""
    if not spec.prompt.images:
        return None
    from relabel.engine.model.processor import load_processor
    from relabel.engine.parity import image_probe  # torch

    return image_probe(load_processor(spec.model.path, spec.model.revision))


def _max_tokens(spec: Spec) -> int | None:
    """Of a prompt and its text together; None for as many as the model takes."""
    if spec.source.format == "openai":  # rows bring their own
        return None if spec.resources.gpus_per_actor else spec.model.max_prompt_tokens + OWN_NEW_TOKENS
    return spec.model.max_prompt_tokens + max(map(_new_tokens, spec.queries)) + SPARE_TOKENS


def _new_tokens(query: Query) -> int:
    """The most of a text, and of the choice behind it whose probability is asked."""
    longest = max(query.sampling.max_new_tokens, query.label.max_new_tokens_on_retry or 0)
    scored = max((len(choice.encode()) for choice in query.label.choices or ()), default=0)
    return longest + (scored if query.label.logprobs else 0)
