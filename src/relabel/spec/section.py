"""What all sections of a spec have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

BOOKKEEPING = (
    "text",
    "reasoning",
    "status",
    "reason",
    "finish_reason",
    "prompt_tokens",
    "output_tokens",
    "attempts",
    "logprob",
    "probabilities",
    "agreement",
)
"""Columns that are written for every label, under its name where there are several."""
RESERVED_COLUMNS = frozenset(("source_file", "source_row", *BOOKKEEPING))


def column_of(name: str, key: str) -> str:
    """The output column `key` of a label: as it is, or where a row has several labels behind the label's name."""
    if not name:
        return key
    return name if key == "label" else f"{name}_{key}"


class Section(BaseModel):
    """Frozen, without unknown keys. An error names the place of a wrong value and never quotes it: it may be a secret.

    The docstring of a field is its description in the JSON schema and in the reference: it stands alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
