"""YAML by the words: only true and false are booleans, and yes, no, on and off are what they are spelled.

So says YAML 1.2; PyYAML reads 1.1. Where a key can only hold a boolean, yes and no are still taken for one. Knows
nothing of a spec's sections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import yaml

_BOOL, _STR = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"
_CALLED = {
    _BOOL: "a boolean",
    "tag:yaml.org,2002:int": "a number",
    "tag:yaml.org,2002:float": "a number",
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
