"""What decides the result of a run, as plain data with one fingerprint, and the difference of two such recipes.

Knows the spec's sections. Must never know speed: what `resources` says changes nothing here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from relabel.spec import Spec
from relabel.spec.engines.keys import OF_TEXTS
from relabel.spec.schemas.json_schema import rules_of

Recipe = Mapping[str, Any]
"""Plain JSON: sections of the spec by name, each a dict of its fields, a list or null, as a version has them."""

_ABSENT = "(absent)"
_LATER = {
    "source": dict.fromkeys(("delimiter", "encoding", "quote", "escape")),
    "prompt": {"continue_final_message": False, "date": None},
    "model": {"engine": "relabel"},
}
"""Keys that earlier versions did not have, with the value that stands for what they did: it is left out."""
_DECIDES_NOTHING: Mapping[str, Any] = {
    "resources": True,
    "notify": True,
    "vllm": True,
    "server": True,
    "source": {"removed"},
    "output": {"path", "table"},
    "label": {"gate"},
    "labels": {"__all__": {"gate"}},
}
"""Keys that change no label."""
_UNCHECKED = {"max_rejected": None}
"""The gate of an output that notes none: an earlier version made it."""
_WHERE = {"model": ("path", "revision", "adapter"), "server": ("urls", "api_key_env")}
"""Keys that say where the model is or who runs it: they are there for whoever reads the recipe back, and do not count
beside an identity of the model."""


def make_recipe(spec: Spec, model_identity: Mapping[str, object], engine: Mapping[str, object] | None = None) -> Recipe:
    """Everything but `resources`, where parts go and what becomes of labels whose source is gone, with the model's
    identity, because a path can be overwritten.

    `engine` is the identity of an engine that is not relabel's own, whose settings that texts depend on are there, too.
    Where the model and its adapter are is there for whoever reads the recipe back: beside an identity it does
    not count.
    """
    recipe = spec.model_dump(mode="json", exclude=_DECIDES_NOTHING)
    for section, defaults in _LATER.items():
        recipe[section] = {k: v for k, v in recipe[section].items() if k not in defaults or v != defaults[k]}
    recipe["source"]["path"] = spec.source.paths
    recipe["prompt"]["image"] = spec.prompt.images
    for label in (recipe["label"], *recipe["labels"]):
        if label["json_schema"] is not None:  # as text: the order of its properties is that of the columns
            label["json_schema"] = json.dumps(label["json_schema"], ensure_ascii=False)
    rules = [rules_of(label.json_schema) for label in spec.labels or [spec.label] if label.json_schema is not None]
    if any(rules):  # an output that others began has no such field: it goes on where all rules say the same
        recipe["rules"] = {"json_schema": max(filter(None, rules))}
    name = spec.model.engine
    if keys := OF_TEXTS.get(name):
        recipe[name] = getattr(spec, name).model_dump(mode="json", include=keys | set(_WHERE.get(name, ())))
        recipe["engine"] = dict(engine or {})
    return {**recipe, "model_identity": dict(model_identity)}


def fields_of(recipe: Recipe, gates: Mapping[str, object], url: str) -> dict[str, object]:
    """The fields of the spec that a recipe was made from, less its resources; `url` is that of its output."""
    fields = {key: value for key, value in recipe.items() if key not in ("model_identity", "rules", "engine")}
    if fields.get("labels"):
        fields.pop("label", None)
        fields["labels"] = [{**label, "gate": gates.get(label["name"], _UNCHECKED)} for label in fields["labels"]]
    else:
        fields["label"] = {**fields["label"], "gate": gates.get("", _UNCHECKED)}
    return {**fields, "output": {**fields["output"], "path": url}}


def fingerprint(recipe: Recipe) -> str:
    """The same for recipes of one result in every process. Raises TypeError or ValueError on a value without a stable
    text."""
    _check(recipe, "recipe")
    text = json.dumps(_what_counts(recipe), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changed_fields(old: Recipe, new: Recipe) -> list[str]:
    """One `section.field: old -> new` for every field that differs."""
    if old.get("model_identity") == new.get("model_identity"):
        old, new = _what_counts(old), _what_counts(new)
    before, after = _flat(old), _flat(new)
    changed = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
    return [f"{key}: {_clip(before, after, key)} -> {_clip(after, before, key)}" for key in changed]


def _what_counts(recipe: Recipe) -> Recipe:
    """The recipe without the way to its model: a folder may be moved, or mounted elsewhere on the next machine."""
    if not recipe.get("model_identity") or not isinstance(recipe.get("model"), Mapping):
        return recipe
    less = {
        name: {key: value for key, value in section.items() if key not in keys}
        for name, keys in _WHERE.items()
        if isinstance(section := recipe.get(name), Mapping)
    }
    return {**recipe, **less}


def _check(value: object, place: str) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{place} has the key {key!r}: only texts can be fingerprinted as keys")
            _check(item, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{place}[{index}]")
    elif value is not None and not isinstance(value, str | int | float):
        raise TypeError(f"{place} is a {type(value).__name__}, which has no stable fingerprint")


def _flat(recipe: Recipe) -> dict[str, str]:
    """`section.field` and its value as JSON; a list is a section whose fields are numbered, a value one by itself."""
    return {
        f"{section}.{field}".removesuffix("."): json.dumps(value, ensure_ascii=False, sort_keys=True)
        for section, fields in recipe.items()
        for field, value in _fields(fields)
    }


def _fields(section: object) -> Iterable[tuple[object, object]]:
    if isinstance(section, Mapping):
        return section.items()
    return enumerate(section) if isinstance(section, list) else [("", section)]


def _clip(these: Mapping[str, str], those: Mapping[str, str], key: str) -> str:
    """The value, or of a long one the piece around the first character that differs."""
    this, that = these.get(key, _ABSENT), those.get(key, _ABSENT)
    at = next((i for i, (a, b) in enumerate(zip(this, that, strict=False)) if a != b), min(len(this), len(that)))
    start = max(at - 20, 0) if len(this) > 60 else 0
    return f"{'...' if start else ''}{this[start : start + 60]}{'...' if len(this) > start + 60 else ''}"
