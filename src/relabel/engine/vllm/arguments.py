"""What vLLM is told at its start: the settings in its own words, and what is the same for every run.

Knows names of arguments and of environment variables; imports nothing of vLLM.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import environ
from pathlib import Path

from relabel.engine.vllm.settings import VllmSettings

PINNED: Mapping[str, object] = {
    "generation_config": "vllm",  # nothing of the checkpoint's sampling defaults, which include max_tokens
    "trust_remote_code": False,
    "load_format": "safetensors",  # `auto` falls back to pickled weights
    "structured_outputs_config": {"backend": "guidance"},  # `auto` is another one by the features of each grammar
    "logprobs_mode": "raw_logprobs",
    "enable_log_requests": False,
    "disable_log_stats": True,
    "enable_prefix_caching": True,
    "use_tqdm_on_load": False,
    "mm_processor_cache_gb": 0,  # images of rows do not come back
}
CPU_STEP_TOKENS = 4096
CPU_KV_BYTES = 2 * 2**30
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM lays out memory for."""
NOTE, PARENT, PYTHON = "RELABEL_VLLM_NOTE", "RELABEL_VLLM_PARENT", "RELABEL_VLLM_PYTHON"
"""Names of variables by which the processes of an engine know the file for the cause of a failed start, that they are
relabel's, and the Python that they begin others with."""


def arguments(
    folder: Path, tokenizer: Path | None, dtype: str, settings: VllmSettings, *, lora_rank: int | None = None
) -> dict[str, object]:
    """The arguments of `AsyncEngineArgs`. `tokenizer` is the folder of one; None where the model has none."""
    found: dict[str, object] = {
        **PINNED,
        "model": str(folder),
        "tokenizer": str(tokenizer or folder),
        "skip_tokenizer_init": tokenizer is None,
        "dtype": dtype,
        "max_model_len": settings.max_tokens,
        "max_num_seqs": settings.max_rows,
        "max_num_batched_tokens": settings.step_tokens,
        "enforce_eager": settings.eager,
        "kv_cache_dtype": settings.kv_dtype,
        "quantization": settings.quantization,
        "limit_mm_per_prompt": {"image": settings.max_images, "video": 0, "audio": 0},
    }
    if settings.device == "cpu":
        # a seeded row whose prompt is cut ends the engine there: "CPU Generator does not use offset"
        found |= {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(settings.max_tokens or 0, settings.step_tokens or CPU_STEP_TOKENS),
            "kv_cache_memory_bytes": settings.kv_memory or CPU_KV_BYTES,
        }
    else:
        found |= {"gpu_memory_utilization": settings.gpu_memory, "kv_cache_memory_bytes": settings.kv_memory}
    if settings.num_gpus > 1:  # inside of a placement group of Ray it would place workers by that
        found |= {"tensor_parallel_size": settings.num_gpus, "distributed_executor_backend": "mp"}
    if lora_rank is not None:
        found |= {
            "enable_lora": True,
            "max_loras": 1,
            "max_lora_rank": next((rank for rank in LORA_RANKS if rank >= lora_rank), lora_rank),
        }
    if settings.speculate_ngram:
        found["speculative_config"] = {
            "method": "ngram",
            "num_speculative_tokens": settings.speculate_ngram,
            "prompt_lookup_min": 2,
            "prompt_lookup_max": 4,
        }
    return {name: value for name, value in found.items() if value is not None}


@contextmanager
def environment(settings: VllmSettings, note: Path) -> Iterator[None]:
    """The variables that vLLM and its processes begin with, as long as the block lasts."""
    ours = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_BATCH_INVARIANT": str(int(settings.batch_invariant)),
        "VLLM_LOGGING_LEVEL": environ.get("VLLM_LOGGING_LEVEL", "ERROR"),
        NOTE: str(note),
        PARENT: "1",
        PYTHON: sys.executable,
    }
    if settings.device == "cpu":  # as many threads as OMP_NUM_THREADS says, wherever the system puts them
        ours["VLLM_CPU_OMP_THREADS_BIND"] = environ.get("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    if (plugins := environ.get("VLLM_PLUGINS")) is not None:
        ours["VLLM_PLUGINS"] = ",".join(filter(None, (plugins, "relabel")))
    before = {name: environ.get(name) for name in ours}
    environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
