"""Batch files of OpenAI's API: JSON lines, each a request for a chat completion.

Knows the envelope: which request a line is, its messages, and which fields have no say in the text. What messages and
settings mean is not known here: they are passed on as JSON text.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import pyarrow as pa

from relabel.data.sources.formats import jsonl
from relabel.data.sources.formats.format import Scanned, one_each, takes_all
from relabel.data.sources.types import arrow_union
from relabel.data.sources.unit import Rows, SourceFile, Unit
from relabel.data.sources.values import Record, make_rows, with_reasons
from relabel.rejected import Code, Rejected
from relabel.spec import Source

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
takes, group, union = takes_all, one_each, arrow_union

SCHEMA = pa.schema([("custom_id", pa.string()), ("messages", pa.string()), ("settings", pa.string())])
SETTINGS = "settings"
"""The column of a row's own sampling settings: the fields of its body, as JSON text."""

_URL = "/v1/chat/completions"
_URLS = re.compile(r"(?:https?://[^/?#]+)?(?:/[^?#]*)?/chat/completions/?(?:\?.*)?")
"""Whatever comes before: the name of a server, a deployment (Azure), `/v1`, `/v4` (Zhipu), nothing."""
_ENVELOPE = ("method", "url", "body")
NO_SAY = frozenset(
    ("cache_salt", "metadata", "model", "priority", "prompt_cache_key", "prompt_cache_retention", "request_id")
) | {"safety_identifier", "service_tier", "store", "stream", "stream_options", "user"}
"""Fields of a body that are no settings: they do not change what the text is."""


def scan(file: SourceFile, source: Source, unit_rows: int, needed: Collection[str] | None = None) -> Scanned:
    return replace(jsonl.scan(file, source, unit_rows, needed=()), columns=SCHEMA)


def read(unit: Unit, source: Source, columns: Sequence[str], kept: pa.Schema) -> Rows:
    ids = pa.schema([SCHEMA.field("custom_id")])
    lines = jsonl.read(unit, source, ["custom_id", *_ENVELOPE], ids)
    records: list[Record] = []
    reasons: list[Rejected | None] = []
    for at, why in enumerate(lines.reasons):
        request = {name: values[at] for name, values in lines.columns.items()}
        found = why or _request(request)
        reasons.append(found if isinstance(found, Rejected) else None)
        # a request that cannot be taken keeps its name, so that its error can be told to whoever sent it
        name = {"custom_id": lines.kept["custom_id"][at].as_py()}
        records.append(name if isinstance(found, Rejected) else name | found)
    return with_reasons(make_rows(records, columns, kept), reasons)


def _request(line: dict[str, object]) -> dict[str, str] | Rejected:
    """The messages and settings of one line, or why it holds none."""
    body = line["body"]
    if not isinstance(line["custom_id"], str) or not line["custom_id"]:
        return Rejected(Code.SOURCE, "no custom_id, or one that is no text")
    if line["method"] not in (None, "POST"):
        return Rejected(Code.SOURCE, "the method is not POST")
    if line["url"] is not None and not (isinstance(line["url"], str) and _URLS.fullmatch(line["url"])):
        return Rejected(Code.SOURCE, f"the url is not {_URL}")
    if not isinstance(body, dict):
        return Rejected(Code.SOURCE, "no body, or one that is no object")
    if body.get("messages") is None:
        return Rejected(Code.SOURCE, "the body has no messages")
    settings = {name: value for name, value in body.items() if name not in (*NO_SAY, "messages") and value is not None}
    try:
        return {"messages": _text(body["messages"]), "settings": _text(settings)}
    except RecursionError:
        return Rejected(Code.SOURCE, "the body is nested too deeply")


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
