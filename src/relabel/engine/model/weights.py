"""From the path of a checkpoint to a model with its weights, or a refusal that says what to do.

Safetensors only, no code of the repository, every weight present. Knows nothing of requests.
"""

from __future__ import annotations

import logging
import platform
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from relabel.engine.checkpoint.adapter import find_adapter, without_adapter
from relabel.engine.checkpoint.files import check_config, check_weights, locate
from relabel.engine.checkpoint.lookalikes import renamed
from relabel.engine.checkpoint.merge import merge_adapter
from relabel.engine.model.faults import is_device_fault, is_out_of_memory
from relabel.engine.model.sizes import free_bytes
from relabel.errors import ArgumentRefused, ModelRefused

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel

log = logging.getLogger("relabel")


DTYPES = {
    "auto": "auto",
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}


def load_model(
    path: str, *, revision: str | None = None, adapter: str | None = None, dtype: str = "auto", device: str = "cpu"
) -> PreTrainedModel:
    """A causal or image-text-to-text model in eval mode on its device, its LoRA adapter merged into its weights."""
    if dtype not in DTYPES:
        raise ModelRefused(f"dtype {dtype!r} is not known; use one of {', '.join(DTYPES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ArgumentRefused("there is no CUDA device here: set ", "device='cpu'", " to run on CPUs")
    if device == "cuda":
        # else convolutions of vision towers round float32 to 10 bits, by kernels that the size of a batch picks
        torch.backends.cudnn.allow_tf32 = False
    folder = locate(path, revision, weights=True)
    kind = check_config(folder)["model_type"]
    check_weights(folder)
    adapter_folder = find_adapter(folder, adapter)
    if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        auto = AutoModelForImageTextToText
    elif kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        auto = AutoModelForCausalLM
    else:
        raise ModelRefused(
            f"{path} ({kind}) neither continues text nor describes images; use a causal or an image-text-to-text model"
        )
    try:
        with without_adapter(folder) as plain:
            # also of what is not used, such as a dtype where one is asked for: then the rest may be damaged, too
            AutoConfig.from_pretrained(plain, trust_remote_code=False, local_files_only=True)
            loaded = auto.from_pretrained(
                plain,
                dtype=DTYPES[dtype],
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # a damaged config makes transformers raise anything
        if is_out_of_memory(error) or is_device_fault(error):
            raise
        why = first_line(error)
        if "ignore_mismatched_sizes" in why:
            why = "its weights have other shapes than its config.json says; take both from one download"
        raise ModelRefused(f"{path} cannot be loaded by transformers {transformers.__version__}: {why}") from error
    model, info = cast("tuple[PreTrainedModel, dict[str, set[str]]]", loaded)
    # transformers fills absent weights with random numbers and only warns
    if absent := sorted(info["missing_keys"]):
        if prefix := renamed(absent, info["unexpected_keys"]):
            raise ModelRefused(
                f"{path}: the names of its weights begin with {prefix!r}, which transformers does not know: save the "
                "model from inside of what wraps it (torch.compile, DistributedDataParallel), or rename them"
            )
        raise ModelRefused(f"{path} lacks {len(absent)} weights ({absent[0]}, ...); download the model again")
    if unused := sorted(info["unexpected_keys"]):
        log.warning("%s has %d weights that its config.json leaves unused (%s, ...)", path, len(unused), unused[0])
    if adapter_folder is not None:
        model = merge_adapter(model, adapter_folder)
        log.info("the adapter %s is merged into the model", adapter_folder)
    _check_ids(path, model.generation_config)
    cast(torch.nn.Module, model.eval()).to(torch.device(device))  # whose hints of `to` are lost in PreTrainedModel
    return model if device != "cpu" or computes_bfloat16() else widened(model)


def _check_ids(path: str, config: GenerationConfig) -> None:
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


def widened(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights in float32, if they are in a half type and memory holds them twice.

    On a CPU with AVX-512 and no bfloat16 instructions a matrix product of 64 rows runs at 94 GFLOP/s in float32 and at
    25 in bfloat16 (torch 2.13, one core).
    """
    if model.dtype not in (torch.bfloat16, torch.float16) or 4 * model.num_parameters() > free_bytes():
        return model
    log.info("this CPU emulates %s: the weights are computed in float32", str(model.dtype).removeprefix("torch."))
    return model.float()


def first_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
