"""Whether vLLM is the better engine for a model on this machine. Knows the model's config alone; loads no weights."""

# pyright: reportMissingImports=false
from __future__ import annotations

import torch
from vllm.model_executor.models.registry import ModelRegistry

from relabel.engine.checkpoint.files import check_config, locate


def takes(path: str, revision: str | None = None) -> bool:
    """Whether a GPU is here and vLLM has a class of its own for the model. vLLM must be installed."""
    if not torch.cuda.is_available():
        return False
    named = check_config(locate(path, revision)).get("architectures")
    return isinstance(named, list) and bool(set(named) & set(ModelRegistry.get_supported_archs()))
