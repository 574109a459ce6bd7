"""What is wrong with one label as a text: it loops, or it refuses.

Knows one text at a time, with single spaces; nothing of rows, files or limits.
"""

from __future__ import annotations

import re

_LEAST = 32
"""Characters that a loop has at least: "no, no, no, no, no" may be what somebody said."""
_SHORT_REPEATS, _LONG_REPEATS, _LONG = 6, 3, 100
_ANCHOR = 8

_MODEL = r"(?:ai|a\.i\.|artificial intelligence|(?:large )?language model)\b"
_VERBS = (
    r"(?:(?:accurately|actually|currently|directly|really|also) )?"
    r"(?:help(?:\W*$|[.,;]| (?:you|with|identify|create|write)\b)"
    r"|tell (?:who|what|which|if|whether|from|you (?:who|what))\b"
    r"|see (?:an?|any|the|this|that|your) (?:image|picture|photo|attachment|file|video|text)"
    r"|do (?:that|this)\b|give you\b|have access\b|be able to\b"
    r"|(?:analy[sz]e|answer|assist|caption|classify|comment|comply|complete|continue|create|describe|determine"
    r"|discuss|display|engage|extract|fulfil|generate|identify|interpret|offer|participate|perform|process|produce"
    r"|provide|respond|rewrite|share|summari[sz]e|translate|view|write)[a-z]*\b)"
)
_REFUSAL = re.compile(
    r"\W*(?:unfortunately\W+)?(?:"
    r"(?:i'm|i am|we're|we are) (?:(?:very|so|really|truly) )?sorry\W+(?:but|i|as an?|this|that)\b"
    r"|sorry\W+(?:but|i (?:can|am|do|won)|i'm (?:not|un)|as an?)\b"
    r"|(?:i|we) (?:sincerely )?apologi[sz]e\b|my apologies\b"
    rf"|as an? {_MODEL}|as an? (?:virtual |text-based )?assistant\W+i\b|i(?:'m| am) (?:just |only )?an? {_MODEL}"
    r"|(?:i|we) (?:(?:really|simply|just) )?(?:cannot|can't|can not|won't|will not)"
    rf"(?:\W*$|[.!]| {_VERBS})"
    r"|(?:i|we) (?:do not|don't) (?:(?:currently|actually) )?"
    r"(?:have (?:access|the ability|enough information)|see (?:an?|any|the|your) (?:image|picture|photo|attachment))"
    r"|(?:i'm|i am|we're|we are) (?:(?:currently|really) )?(?:unable|not able|not allowed) to\b"
    r"|(?:i'm|i am) not (?:comfortable|programmed|designed|permitted)\b"
    r")",
    re.IGNORECASE,
)
"""In English, at the very beginning. "I can't believe it" and `a sign says "I cannot help"` are no refusals."""


def repeats(text: str) -> bool:
    """Whether the text loops: one piece of it follows itself, exactly, to the end of the text or over most of it.

    A loop has at least six repeats, from 100 characters on at least three, and 32 characters. It ends where the text
    ends, as where it was cut off, or it fills at least the middle half. A list whose items differ is no loop: exactly
    the same characters must come back at once, and the last repeat may lack a quarter, as where it was cut off. Needs
    no words: it compares characters, as in Chinese.
    """
    length = len(text)
    return _ends_in_loop(text, _LEAST) or _ends_in_loop(text[: length * 3 // 4], max(length // 2, _LEAST))


def refuses(text: str) -> bool:
    """Whether the text begins as a refusal does, in English."""
    return _REFUSAL.match(text.replace("\u2019", "'").replace("\u2018", "'")) is not None


def _ends_in_loop(text: str, at_least: int) -> bool:
    """Whether at least so many characters at the end are a loop.

    A loop of period p holds its own last characters p earlier, which `rfind` finds: nearly every text that does not
    loop is done after one search, and no other period is tried.
    """
    length = len(text)
    if length < at_least:
        return False
    anchor, end = text[-_ANCHOR:], length - 1
    while (at := text.rfind(anchor, 0, end)) >= 0:
        period = length - _ANCHOR - at
        missing = period // 4
        if _LONG_REPEATS * period - missing > length:
            return False
        size = max(at_least, min(_SHORT_REPEATS * period - missing, max(_LONG_REPEATS * period - missing, _LONG)))
        if size <= length and text[length - size : length - period] == text[length - size + period :]:
            return True
        end = at + _ANCHOR - 1
    return False
