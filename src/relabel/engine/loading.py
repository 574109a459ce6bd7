"""From the path of a checkpoint to a model or a whole engine, or a refusal that says what to do.

Safetensors only, no code of the repository, every weight present. Knows nothing of requests.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from relabel.engine.checkpoint import check_config, check_weights, locate
from relabel.engine.processor import load_tokenizer
from relabel.engine.request import Sampling
from relabel.engine.static import StaticEngine
from relabel.errors import ModelRefused

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
    batching: str = "static",
    dtype: str = "auto",
    device: str = "cpu",
    revision: str | None = None,
    batch_tokens: int | None = None,
) -> StaticEngine:
    """Load the model at `path` (a folder or a hub name) and make it ready to generate."""
    if batching not in ("static", "auto"):
        raise ModelRefused(f"batching {batching!r} is not known; use static")
    model = load_model(path, revision=revision, dtype=dtype, device=device)
    return StaticEngine(model, load_tokenizer(path, revision), sampling, batch_tokens=batch_tokens)


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
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise ModelRefused(
            f"{path} cannot be loaded by transformers {transformers.__version__}: {_line(error)}"
        ) from error
    model, info = loaded
    # transformers fills absent weights with random numbers and only warns
    if absent := sorted(info["missing_keys"]):
        raise ModelRefused(f"{path} lacks {len(absent)} weights ({absent[0]}, ...); download the model again")
    return model.eval().to(torch.device(device))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
