"""Token ids in, text out: the model library of relabel, usable without Ray.

`Request`, `Sampling`, `Result` and the batching policy need no torch; the rest is imported when it is first asked for.
Knows nothing of rows, files or jobs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from relabel.engine.api.constraint import Constraint
from relabel.engine.api.engine import Engine
from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling
from relabel.engine.api.thoughts import Thoughts
from relabel.engine.model.pixels import dequantise, quantise
from relabel.engine.scheduling.step import Limits
from relabel.engine.scripted import ScriptedEngine

if TYPE_CHECKING:
    from relabel.engine.checkpoint.identity import model_identity
    from relabel.engine.continuous.engine import ContinuousEngine
    from relabel.engine.loading import load_engine
    from relabel.engine.model.processor import load_processor, load_tokenizer
    from relabel.engine.model.weights import load_model
    from relabel.engine.sampling.stops import find_stop_tokens
    from relabel.engine.static.engine import StaticEngine

_HOMES = {
    "ContinuousEngine": "continuous.engine",
    "StaticEngine": "static.engine",
    "find_stop_tokens": "sampling.stops",
    "load_engine": "loading",
    "load_model": "model.weights",
    "load_processor": "model.processor",
    "load_tokenizer": "model.processor",
    "model_identity": "checkpoint.identity",
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
    "ScriptedEngine",
    "StaticEngine",
    "Thoughts",
    "dequantise",
    "find_stop_tokens",
    "load_engine",
    "load_model",
    "load_processor",
    "load_tokenizer",
    "model_identity",
    "quantise",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
