"""Why a document that was read back is none, in one line. Knows the errors of parsers, not what documents are there."""

from __future__ import annotations

from pydantic import ValidationError


def first_fault(error: BaseException) -> str:
    """Where a document first differs from its form, and how; else the first line of the error."""
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False, include_input=False)[0]
        return ": ".join((".".join(map(str, fault["loc"])) or "the whole", fault["msg"]))
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
