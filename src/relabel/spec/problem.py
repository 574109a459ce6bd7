"""The sentence for each key that is wrong in a spec, with the nearest known one. Quotes no value of a spec."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel

from relabel.spec.running.resources import NUMBER, RANGE
from relabel.spec.spec import Spec


def sentence(kind: str, steps: Sequence[str | int], message: str) -> str:
    """What is wrong at a place of the spec, from the kind and the message that pydantic has for it."""
    steps = [step for step in steps if step not in (NUMBER, RANGE)]
    place = ".".join(str(step) for step in steps)
    if kind == "extra_forbidden":
        *section, key = steps
        near = difflib.get_close_matches(str(key), _keys_at(section), n=1, cutoff=0.0)
        return f"unknown key {place}; did you mean {near[0]}?" if near else f"unknown key {place}"
    if kind == "missing":
        return f"{place} is missing"
    message = message.removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _keys_at(steps: Sequence[str | int]) -> list[str]:
    """The keys known at a place of the spec, for example at `label.gate` or `labels.0`."""
    section: object = Spec
    for step in steps:
        if isinstance(step, int):
            section = get_args(section)[0]
        elif isinstance(section, type) and issubclass(section, BaseModel) and step in section.model_fields:
            section = section.model_fields[step].annotation
    return list(found.model_fields) if (found := _section_in(section)) else []


def _section_in(annotation: object) -> type[BaseModel] | None:
    """The section that a key is, or may be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)
