"""YAML by the words: only true and false are booleans, and only what JSON has as a number is one.

So says YAML 1.2; PyYAML reads 1.1, where yes is true, 12:30 is 750, 01234 is 668 and 1e3 is a text. Where a key can
only hold a boolean, yes and no are still taken for one. Knows nothing of a spec's sections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

import yaml

_BOOL, _STR = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_NUMBERS = {
    _INT: re.compile(r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", re.ASCII),
    _FLOAT: re.compile(
        r"[-+]?(?:(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        re.ASCII,
    ),
}
"""Numbers as YAML 1.2 and JSON have them, or with underscores, but none with leading zeros: 01234 is a code."""
_CALLED = {
    _BOOL: "a boolean",
    _INT: "a number",
    _FLOAT: "a number",
    "tag:yaml.org,2002:null": "null",
    "tag:yaml.org,2002:timestamp": "a date",
}
"""What YAML takes an unquoted word for."""


class Word(str):
    """A yes, no, on or off without quotes."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """YAML whose yes, no, on and off are words."""

    def word_or_bool(self, node: yaml.ScalarNode) -> bool | Word:
        text = str(self.construct_scalar(node))
        return text.lower() == "true" if text.lower() in ("true", "false") else Word(text)


_Loader.add_constructor(_BOOL, _Loader.word_or_bool)
_Loader.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag not in _NUMBERS]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _number in _NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_number.pattern})$", re.ASCII), list("-+.0123456789"))


def load_yaml(text: str) -> object:
    """The value of a document. Raises what PyYAML raises: YAMLError, ValueError, RecursionError."""
    return yaml.load(text, _Loader)


def as_bool(value: object) -> object:
    """The boolean that YAML 1.1 takes a word for; any other value as it is."""
    return value.lower() in ("yes", "on") if isinstance(value, Word) else value


def word_at(text: str, steps: Sequence[str | int]) -> tuple[str, str] | None:
    """The unquoted word at a place of a document as it is written, and what YAML takes it for.

    None where there is none, or where it is a text.
    """
    node: yaml.Node | None = yaml.compose(text, _Loader)
    for step in steps:
        node = _child(node, step)
    if not isinstance(node, yaml.ScalarNode):
        return None
    called = _CALLED.get(str(node.tag))
    return (str(node.value), called) if called else None


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode):
        items = cast(list[yaml.Node], node.value)
        return items[step] if isinstance(step, int) and step < len(items) else None
    if isinstance(node, yaml.MappingNode):
        pairs = cast(list[tuple[yaml.Node, yaml.Node]], node.value)
        return next((value for key, value in reversed(pairs) if key.value == step), None)
    return None


def with_booleans(fields: Mapping[str, object]) -> dict[str, object]:
    """The same mapping, its words as the booleans that they are in YAML 1.1."""
    return {key: as_bool(value) for key, value in fields.items()}
