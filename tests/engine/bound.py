"""Constraints of each kind, and the engines that hold a tiny model to them."""

from __future__ import annotations

import json

from relabel.engine import ContinuousEngine, Limits, Sampling, StaticEngine
from relabel.engine.api.constraint import Constraint
from tests.engine import models

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "size": {"enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "parts": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
    },
    "required": ["name", "size", "count", "parts"],
    "additionalProperties": False,
}
CHOICES = ["red", "red car", "blue"]
JSON = Constraint(kind="json", value=json.dumps(SCHEMA))
REGEX = Constraint(kind="regex", value=r"[A-Z]{2,9}-\d{1,3}(/\d)?")
CHOICE = Constraint(kind="choice", value=json.dumps(CHOICES))
LONG = {"max_new_tokens": 120, "temperature": 1.0, "seed": 3}


def engine(batching: str, *, num_slots: int = 8, **sampling):
    """The tiny Llama speaks one character a token."""
    settings = Sampling(**{**LONG, **sampling})
    if batching == "static":
        return StaticEngine(models.llama(), models.tokenizer(), settings)
    limits = Limits(kv_tokens=4096, num_slots=num_slots, step_tokens=64 + num_slots)
    return ContinuousEngine(models.llama(), models.tokenizer(), settings, limits=limits)


def text_of(result) -> str:
    return models.tokenizer().decode(result.token_ids)
