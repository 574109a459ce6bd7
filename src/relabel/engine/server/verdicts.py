"""What an answer of a server means for its row, for the server and for the run. Plain Python over numbers and words.

No sentence holds anything that a server wrote, which may quote the row or the key.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any

from relabel.rejected import Code, Rejected

Document = Mapping[str, Any]
"""A JSON object."""
MOST_WAIT = 60.0
"""Seconds between two tries of a row."""
MOST_RETRY_AFTER = 120.0
"""Seconds that a server may ask to be left alone; then it is asked again."""


class Broken(Exception):
    """No whole answer came, or none that is one. Its text says why in a few words of ours."""


class Meaning(Enum):
    """Of a status."""

    ANSWER = "answer"
    ROW = "row"
    """This row cannot be served."""
    RUN = "run"
    """Nobody is served: the key, the address or the name of the model is wrong."""
    BUSY = "busy"
    BROKEN = "broken"


_OF_STATUS = {200: Meaning.ANSWER, 408: Meaning.BROKEN, 425: Meaning.BROKEN}
_OF_STATUS |= dict.fromkeys((401, 402, 403, 404, 405, 407, 410), Meaning.RUN)
_OF_STATUS |= dict.fromkeys((429, 503, 529), Meaning.BUSY)
_WHY_STOP = {
    401: "it asks for a key, or for another: server.api_key_env names the variable that holds it",
    402: "it wants to be paid",
    403: "it does not let this key in",
    404: "it has no such address, or no longer this model: see server.urls (they end in /v1) and server.model",
    405: "it takes no such request: server.urls end in /v1",
    407: "a proxy in between asks for a key",
}
_TOO_LONG = ("context_length_exceeded", "context_length", "string_above_max_length")
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")


def meaning_of(status: int, body: bytes) -> Meaning:
    """What a status means. Of the body only a code that is known is looked at."""
    if status == 429 and _code(body) in _NO_MONEY:
        return Meaning.RUN
    known = _OF_STATUS.get(status)
    if known is not None:
        return known
    if 300 <= status < 400:
        return Meaning.RUN
    return Meaning.ROW if 400 <= status < 500 else Meaning.BROKEN


def why_stop(status: int) -> str:
    """Why nobody is served, and what to do."""
    if 300 <= status < 400:
        return f"it answers with {status} and another address: name that in server.urls"
    if status == 429:
        return "429: what it may be asked for this key is used up"
    return f"it answers with {status}: {_WHY_STOP.get(status, 'it is gone')}"


def reject_of(status: int, body: bytes) -> Rejected:
    """Why a row is not served."""
    if status == 413 or _code(body) in _TOO_LONG:
        return Rejected(Code.PROMPT_TOO_LONG, f"for the server, which answers with {status}")
    return Rejected(Code.PROMPT, f"the server does not take it ({status})")


def document_of(body: bytes) -> Document:
    """The JSON object of an answer. Raises Broken."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Broken("an answer that is not JSON") from None
    if not isinstance(found, dict):
        raise Broken("an answer that is no JSON object")
    return found


def retry_after(value: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for, within bounds; None where it says nothing."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", value):
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), MOST_RETRY_AFTER)


def wait_before(num_tries: int, first: float) -> float:
    """Seconds before the next try: full jitter, so that rows that failed together do not come back together."""
    return random.uniform(0, min(MOST_WAIT, first * 2 ** min(num_tries - 1, 16)))


def _code(body: bytes) -> str | None:
    try:
        error = document_of(body).get("error")
    except Broken:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else None
