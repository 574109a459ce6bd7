"""The engines that a spec may name beside relabel's own, and the keys of each.

Knows settings; nothing of how an engine is made, or whether it is there.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from relabel.spec.section import Section

EngineName = Literal["relabel", "vllm", "server", "auto"]


class Vllm(Section):
    """How vLLM runs the model, where `model.engine` is `vllm`. Nothing else can be handed to it."""

    gpu_memory: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The share of a GPU's whole memory that one actor takes, weights and KV cache together; where actors share a GPU,
    of the actor's part of it. It decides speed alone."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """The most rows in one step of the model. The default is vLLM's own. It decides speed alone."""
    step_tokens: Annotated[int, Field(ge=1)] | None = None
    """The most tokens in one step of the model. The default is vLLM's own. It decides speed alone."""
    eager: bool = False
    """Whether the model runs without compiling it and without CUDA graphs. It starts sooner and is slower."""
    kv_dtype: Literal["auto", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2"] = "auto"
    """The number type of the KV cache. `auto` is that of the model; the others change texts and take less memory."""
    quantization: Literal["fp8_per_tensor", "fp8_per_block", "int8_per_channel_weight_only"] | None = None
    """Into what unquantised weights are quantised when they are loaded. A checkpoint that is quantised already needs
    nothing here: its own config.json says how."""
    speculate_ngram: Annotated[int, Field(ge=0, le=16)] = 0
    """The most tokens that each step guesses from what the prompt and the text hold already. It is for texts that
    repeat their prompt, does not go with `sampling.min_p`, and 0 guesses nothing."""
    batch_invariant: bool = False
    """Whether vLLM uses only kernels whose results do not depend on the batch. It is slower, and needs a GPU of NVIDIA
    from compute capability 8.0."""


class Server(Section):
    """The servers that generate, where `model.engine` is `server`. The prompts leave this machine for them."""

    urls: list[str] = []
    """The addresses of the servers, such as `http://10.0.0.7:8000/v1`, all of the same model. They may change between
    runs of one recipe."""
    api: Literal["tokens", "chat"] = "tokens"
    """How the servers are asked: `tokens` sends and takes token ids by `/completions`, as vLLM does; `chat` sends
    messages and takes texts by `/chat/completions`."""
    model: str | None = None
    """The name that the servers know the model by. The default is the only one that they serve."""
    api_key_env: str | None = None
    """The name of the environment variable that holds the servers' key, never the key itself."""
    max_requests: Annotated[int, Field(ge=1, le=4096)] = 256
    """The most requests that are under way at one address. Fewer are sent where a server says that it has too many."""
    timeout: Annotated[float, Field(gt=0, le=86_400)] = 600.0
    """Seconds in which a server must answer one request."""

    @field_validator("urls")
    @classmethod
    def _are_addresses(cls, urls: list[str]) -> list[str]:
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("an address begins with http:// or https:// and names a host")
            if parts.username or parts.password or parts.query or parts.fragment:
                raise ValueError("an address has no user, key, ? or #: name the key's variable in server.api_key_env")
        if len(set(urls)) < len(urls):
            raise ValueError("an address is named twice")
        return urls

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", name):
            raise ValueError("it is the name of an environment variable, such as OPENAI_API_KEY, never the key itself")
        return name


OF_TEXTS = {"vllm": {"kv_dtype", "quantization", "speculate_ngram", "batch_invariant"}, "server": {"api", "model"}}
"""The keys of each section that texts depend on; the others may change between runs of one recipe."""
OF_SPEED = {"vllm": ("gpu_memory", "max_rows", "step_tokens", "eager"), "server": ("max_requests", "timeout")}
