"""How vLLM is to run a model, in plain values: what a spec may say of it, and nothing else. Needs no vLLM."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSettings:
    """All that may be set of vLLM. There is no way to hand it any other argument: some of them run code."""

    device: str = "cuda"
    """`cuda` or `cpu`: which of the two vLLM was built for."""
    num_gpus: int = 1
    """GPUs of this node that the model is divided over."""
    max_tokens: int | None = None
    """Of a prompt and its text together; None for as many as the model takes."""
    max_images: int = 0
    """Of one row."""
    gpu_memory: float = 0.9
    """The share of a GPU's whole memory."""
    kv_memory: int | None = None
    """Bytes of the KV cache; None for what the weights leave free of `gpu_memory`."""
    max_rows: int | None = None
    """In one step; None for vLLM's own default."""
    step_tokens: int | None = None
    """In one step; None for vLLM's own default."""
    eager: bool = False
    """Whether nothing is compiled."""
    kv_dtype: str = "auto"
    """Of the KV cache."""
    quantization: str | None = None
    """Of unquantised weights, when they are loaded."""
    speculate_ngram: int = 0
    """Tokens that a step guesses."""
    batch_invariant: bool = False
    """Whether kernels do not depend on the batch."""
