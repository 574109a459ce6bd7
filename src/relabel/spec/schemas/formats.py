"""Which `format`s of a JSON schema are checked, whatever the draft, and which ask for nothing; any other is refused.

Knows names and places; nothing of how a text is held to a format while it is written.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs

from relabel.spec.schemas.places import places

_UUID = "^[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-{}[0-9a-fA-F]{{3}}-[89abAB][0-9a-fA-F]{{3}}-[0-9a-fA-F]{{12}}$"
_BASE64 = "^(?:{0}{{4}})*(?:{0}{{2}}==|{0}{{3}}=)?$"
PATTERNS = {
    "base64": _BASE64.format("[A-Za-z0-9+/]"),
    "base64url": _BASE64.format("[A-Za-z0-9_-]"),
    **{f"uuid{version}": _UUID.format(version) for version in (1, 3, 4, 5, 6, 7, 8)},
}
"""Formats that pydantic writes into schemas beside those of the standard, each as an expression of ECMAScript."""
CHECKED = (
    *PATTERNS,
    *("date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri"),
    *("iri-reference", "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference"),
    *("uri-template", "uuid"),
)
"""Of strings: those of JSON Schema 2020-12 and of pydantic."""
FREE = ("binary", "directory-path", "file-path", "password", "path")
"""By these pydantic and OpenAPI say what a string is for; any string is of them."""
OF_NUMBERS = ("int64", "float", "double")
"""What a column of numbers holds anyway. OpenAPI's other formats of numbers would have to be checked."""


class FormatCheck:
    """Whether a text is of a format, by the rules of 2020-12: older drafts leave out some of the names."""

    def __init__(self, name: str) -> None:
        asked = {"pattern": PATTERNS[name]} if name in PATTERNS else {"format": name}
        self._validator = jsonschema_rs.validator_for(asked, validate_formats=True)

    def __call__(self, text: str) -> bool:
        """Raises nothing: any text is of the format or not."""
        return self._validator.is_valid(text)


@lru_cache(maxsize=1)
def format_checks() -> dict[str, FormatCheck]:
    """One for each of the formats that are checked."""
    return {name: FormatCheck(name) for name in CHECKED}


def unchecked_format(schema: dict[str, Any]) -> str | None:
    """The sentence for the first format that would not be checked; None where all are."""
    for pointer, node in places(schema):
        name = node.get("format")
        if not isinstance(name, str) or name in CHECKED or name in FREE:
            continue
        if name in OF_NUMBERS and node.get("type") in ("integer", "number"):
            continue
        return (
            f"the JSON schema has format {name!r} at {pointer}/format, which is not checked: "
            "remove it, or say it as a pattern"
        )
    return None
