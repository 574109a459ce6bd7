"""The output row: which columns a run writes, in which types, fixed before the first row.

Knows what a spec says of labels; nothing of how text was generated or parsed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import pyarrow as pa
from pydantic import BeforeValidator, TypeAdapter

from relabel.data.labels.arrow_types import label_types
from relabel.spec import Label, NamedLabel
from relabel.spec.schemas.places import places
from relabel.spec.section import column_of


def labels_of(recipe: Mapping[str, object]) -> dict[str, Label]:
    """The labels of a recipe by name; a single label has the empty name. Raises ValueError where there is no label."""
    found = _LABELLED.validate_python(recipe)
    if not found.labels and found.label is None:
        raise ValueError("there is neither a label nor labels")
    named: dict[str, Label] = {label.name: label for label in found.labels or ()}
    labels = named or ({"": found.label} if found.label else {})
    return labels if recipe.get("rules") else {name: _before_rules(label) for name, label in labels.items()}


def _before_rules(label: Label) -> Label:
    """A label as it was before recipes had rules: what several members of an `allOf` declare becomes no columns."""
    if label.json_schema is None:
        return label
    schema = copy.deepcopy(label.json_schema)
    for _, node in places(schema):
        if len(node.get("allOf", ())) > 1:
            del node["allOf"]
    return label.model_copy(update={"json_schema": schema})


def output_schema(kept: pa.Schema, labels: Mapping[str, Label], num_samples: int = 1) -> pa.Schema:
    """The one schema of every part of a run."""
    types: dict[str, pa.DataType] = {}
    for name, label in labels.items():
        types |= {column_of(name, key): type for key, type in label_columns(label, num_samples).items()}
        types |= {column_of(name, key): type for key, type in columns_beside(label, num_samples).items()}
    types = {**types, "status": pa.string(), "reason": pa.string()}
    return pa.schema(
        [
            pa.field("source_file", pa.string(), nullable=False),
            pa.field("source_row", pa.int64(), nullable=False),
            *(field.with_nullable(True).remove_metadata() for field in kept),
            *(pa.field(column, type, nullable=column != "status") for column, type in types.items()),
        ]
    )


def own_columns(labels: Mapping[str, Label], num_samples: int = 1) -> list[str]:
    """The names of the columns of every part that are not the source's."""
    return output_schema(pa.schema([]), labels, num_samples).names


def label_columns(label: Label, num_samples: int) -> dict[str, pa.DataType]:
    """The columns of a label's own values by key, each a list where every sample has its own value."""
    is_list = num_samples > 1 and not label.vote
    return {key: pa.list_(type) if is_list else type for key, type in label_types(label).items()}


def columns_beside(label: Label, num_samples: int) -> dict[str, pa.DataType]:
    """The columns beside a label's own by key: its text, its status, and what it cost."""

    def each(type: pa.DataType) -> pa.DataType:
        return pa.list_(type) if num_samples > 1 else type

    types = {
        "text": each(pa.string()),
        "reasoning": each(pa.string()),
        "status": pa.string(),
        "reason": pa.string(),
        "finish_reason": each(pa.string()),
        "prompt_tokens": pa.int32(),
        "output_tokens": pa.int32(),
        "attempts": pa.int32(),
    }
    if label.logprobs:
        types["logprob"] = each(pa.float32())
        if label.choices is not None:
            types["probabilities"] = pa.struct([(choice, pa.float32()) for choice in label.choices])
    if label.vote:
        types["agreement"] = pa.float32()
    return types


def _brings_its_schema(fields: object) -> object:
    """Refuse a JSON schema that is named and not written out: it would be a file to read, or code to import."""
    schema = fields.get("json_schema") if isinstance(fields, Mapping) else None
    if isinstance(schema, str) and not schema.lstrip().startswith("{"):
        raise ValueError("json_schema is no JSON schema")
    return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labelled:
    """The sections of a recipe that say what its labels are."""

    label: Annotated[Label, BeforeValidator(_brings_its_schema)] | None = None
    labels: list[Annotated[NamedLabel, BeforeValidator(_brings_its_schema)]] | None = None


_LABELLED = TypeAdapter(_Labelled)
