"""Token ids in, token ids out: the model library of relabel, usable without Ray.

`Request`, `Sampling`, `Result` and the batching policy need no torch; the rest is imported when it is first asked for.
Knows nothing of rows, files or jobs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from relabel.engine.constraint import Constraint
from relabel.engine.goodput import Goodput
from relabel.engine.pixels import dequantise, quantise
from relabel.engine.request import Request, Result, Sampling
from relabel.engine.step import Limits

if TYPE_CHECKING:
    from relabel.engine.checkpoint import model_identity
    from relabel.engine.continuous import ContinuousEngine
    from relabel.engine.loading import Engine, load_engine, load_model
    from relabel.engine.processor import load_processor, load_tokenizer
    from relabel.engine.static import StaticEngine
    from relabel.engine.stops import find_stop_tokens

_HOMES = {
    "ContinuousEngine": "continuous",
    "Engine": "loading",
    "StaticEngine": "static",
    "find_stop_tokens": "stops",
    "load_engine": "loading",
    "load_model": "loading",
    "load_processor": "processor",
    "load_tokenizer": "processor",
    "model_identity": "checkpoint",
}

__all__ = [
    "Constraint",
    "ContinuousEngine",
    "Engine",
    "Goodput",
    "Limits",
    "Request",
    "Result",
    "Sampling",
    "StaticEngine",
    "dequantise",
    "find_stop_tokens",
    "load_engine",
    "load_model",
    "load_processor",
    "load_tokenizer",
    "model_identity",
    "quantise",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
