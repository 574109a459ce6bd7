"""Small JSON schemas, each about one feature, and what a library for constrained decoding makes of each.

The schemas are made so that text which ignores the feature is soon invalid: few values, few properties. Formats are
judged by the parsers here, since jsonschema checks many of them only where further packages are installed.
"""

import ipaddress
import json
import os
import random
import re
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonschema import Draft202012Validator, FormatChecker
from transformers import PreTrainedTokenizerFast

FORMATS = FormatChecker(formats=())
WALKS, MAX_TOKENS = 30, 600


class Refused(Exception):
    """The library does not take the schema."""


@dataclass(frozen=True, kw_only=True)
class Matcher:
    """Where one row's text is in its grammar: what comes next into a row of the masks, and one token further."""

    inner: Any
    fill: Callable[[torch.Tensor, int], Any]
    accept: Callable[[int], bool]


Fresh = Callable[[], Matcher]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One feature: a schema, and valid instances which a constraint must let through."""

    name: str
    schema: dict[str, Any]
    instances: list[Any]
    ascii_only: bool = False


def _format(name: str) -> Callable[[Callable[[str], Any]], Callable[[str], Any]]:
    """Registers a parser that raises ValueError, or answers False, on text that is not of the format."""

    def register(parse: Callable[[str], Any]) -> Callable[[str], Any]:
        FORMATS.checks(name, raises=ValueError)(lambda value: not isinstance(value, str) or parse(value) is not False)
        return parse

    return register


@_format("date")
def _date(text: str) -> Any:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII)) and date.fromisoformat(text)


@_format("time")
def _time(text: str) -> Any:
    return _date_time(f"2024-02-29T{text}")


@_format("date-time")
def _date_time(text: str) -> Any:
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)[Tt]((?:[01]\d|2[0-3]):[0-5]\d:)(\d\d)(?:\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
        text,
        re.ASCII,
    )
    # RFC 3339 has leap seconds, which datetime does not read.
    return match is not None and datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3].replace('60', '59')}")


@_format("email")
def _email(text: str) -> Any:
    # RFC 5321: dotted atoms or a quoted local part, and a domain or an address in brackets.
    local = r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[ -~])*\""
    return bool(re.fullmatch(rf"(?:{local})@(?:[a-zA-Z0-9.-]+|\[[0-9A-Za-z:.-]+\])", text, re.ASCII))


@_format("uri")
def _uri(text: str) -> Any:
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\w:/?#\[\]@!$&'()*+,;=.~%-]*", text, re.ASCII))


@_format("uuid")
def _uuid(text: str) -> Any:
    return bool(re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)) and uuid.UUID(text)


@_format("ipv4")
def _ipv4(text: str) -> Any:
    return ipaddress.IPv4Address(text)


CASES = tuple(Case(**case) for case in json.loads(Path(__file__).with_name("constraint_cases.json").read_text()))
"""One feature each, in constraint_cases.json; the last is what pydantic makes of nested models."""


def allowed(masks: torch.Tensor, row: int = 0) -> np.ndarray:
    return np.unpackbits(masks[row].numpy().view(np.uint8), bitorder="little").astype(bool)


def random_walk(
    matcher: Matcher, masks: torch.Tensor, draw: random.Random, closing: np.ndarray, eos: int
) -> list[int] | None:
    """Allowed tokens up to EOS, leaning towards the end and towards tokens that close something; None if none comes."""
    tokens: list[int] = []
    while len(tokens) < MAX_TOKENS:
        matcher.fill(masks, 0)
        options = np.flatnonzero(allowed(masks))
        rest = options[options != eos]
        if len(rest) < len(options) and (len(rest) == 0 or draw.random() < 0.6):
            return tokens
        if len(rest) == 0:
            return None
        ends = rest[closing[rest]]
        lean = len(ends) > 0 and draw.random() < (0.3 if len(tokens) < 30 else 0.9)
        tokens.append(int(draw.choice(ends if lean else rest)))
        assert matcher.accept(tokens[-1]), tokens
    return None


def objection(text: str, schema: dict[str, Any], repeats: Counter[str]) -> str | None:
    """Why a text is not valid, or None; counts texts with a key that comes twice in one object."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        repeats["texts"] += len(dict(pairs)) < len(pairs)
        return dict(pairs)

    def not_json(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=not_json)
    except ValueError as error:
        return str(error)
    error = next(Draft202012Validator(schema, format_checker=FORMATS).iter_errors(value), None)
    return error and error.message


def lets_through(matcher: Matcher, masks: torch.Tensor, tokens: list[int]) -> bool:
    for token in tokens:
        matcher.fill(masks, 0)
        if not allowed(masks)[token]:
            return False
        assert matcher.accept(token)
    return True


@contextmanager
def heard() -> Iterator[list[str]]:
    """Lines that the libraries' own code wrote to stderr meanwhile, past Python."""
    lines: list[str] = []
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            lines += file.read().decode(errors="replace").splitlines()


def outcome_of(case: Case, compiles: Callable[[Any], Fresh], tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """What a library makes of a case, as the outcomes of constraints.py; the first text that is not valid, and why."""
    eos, width = tokenizer.eos_token_id, len(tokenizer)
    try:
        with heard() as lines:
            fresh = compiles(case.schema)
    except Refused as refusal:
        return {"outcome": "refused", "why": " ".join(str(refusal).split())[:160]}
    masks = torch.empty((1, -(-width // 32)), dtype=torch.int32)
    closing = np.array([any(mark in tokenizer.decode([token]) for mark in '"}]') for token in range(width)])
    finished, repeats, wrong = 0, Counter(), []
    for seed in range(WALKS):
        tokens = random_walk(fresh(), masks, random.Random(seed), closing, eos)
        if tokens is not None:
            finished, text = finished + 1, tokenizer.decode(tokens)
            if why := objection(text, case.schema, repeats):
                wrong.append(f"{text[:60]!r}: {why[:100]}")
    missed = []
    for instance in case.instances:
        text = json.dumps(instance, ensure_ascii=case.ascii_only)
        assert objection(text, case.schema, Counter()) is None, (case.name, text)
        if not lets_through(fresh(), masks, [*tokenizer.encode(text, add_special_tokens=False), eos]):
            missed.append(text[:60])
    outcome = "stuck" if not finished else "unsound" if wrong else "too_strict" if missed else "sound"
    found = {"outcome": outcome, "finished": finished, "invalid": len(wrong), "why": wrong[0] if wrong else None}
    found |= {"not_let_through": missed, "warned_on_stderr": bool(lines), "texts_with_a_repeated_key": repeats["texts"]}
    return {name: value for name, value in found.items() if value}
