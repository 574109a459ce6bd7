"""A regular expression as the grammar library reads it: the same texts, in the syntax of Rust, without names.

Two dialects have two judges: labels are judged by Python's package `regex`, patterns of JSON schemas as ECMAScript has
them. Where Rust means something else, the sets are spelled out. Knows nothing of grammars or schemas.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Literal, Never

import regex

Dialect = Literal["python", "ecmascript"]
_ECMASCRIPT = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": r"\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}",
}
_ANY = {"python": ".", "ecmascript": r"[^\n\r\x{2028}\x{2029}]"}
_COUNT = re.compile(r"\{(\d+(?:,\d*)?|,\d+)\}")
_GROUP = re.compile(r"\(\?(?:(?P<name>P?<(?![=!])[^>]*>)|(?P<flags>[a-zA-Z-]*)(?P<end>[:)])|(?P<comment>#[^)]*\)))")
_CLASS = re.compile(r"\\(?:[dDwWsS]|[pP](?:\{[^}]*\}|.))", re.DOTALL)
_NAMED_SET = re.compile(r"\[:\^?\w+:\]")
_NOT_IN_JSON = re.compile(
    r"[\x00-\x07\x0b\x0e-\x1f\x7f]|\\(?:(?:x|u00)(?:0[0-7beBEfF]|1[0-9a-fA-F]|7[fF])|v|c[a-zA-Z])"
)
"""Characters without a short escape in JSON: llguidance leaves them out of strings, so that a literal one vanishes."""
_CONTROLS = {"/": r"\/", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def in_rust(expression: str, dialect: Dialect) -> str:
    """Raises ValueError, naming what it is, where an expression has something that no grammar can hold a text to."""
    return _Scanner(expression, dialect).whole()


class _Scanner:
    def __init__(self, expression: str, dialect: Dialect) -> None:
        self._text, self._dialect, self._at = expression, dialect, 0

    def whole(self) -> str:
        pieces = []
        while self._at < len(self._text):
            pieces.append(self._piece())
        return "".join(pieces)

    def _piece(self) -> str:
        sign = self._text[self._at]
        if self._dialect == "ecmascript" and _NOT_IN_JSON.match(self._text, self._at):
            self._refuse("a control character")
        if sign == "\\":
            return self._escape(is_in_set=False)
        if sign == "[":
            return self._set()
        if sign == "(":
            return self._group()
        if sign in "*+?{":
            return self._repetition()
        self._at += 1
        return _ANY[self._dialect] if sign == "." else _CONTROLS.get(sign, sign)

    def _escape(self, *, is_in_set: bool) -> str:
        if found := _CLASS.match(self._text, self._at):
            self._at = found.end()
            return _spelled(found[0], self._dialect)
        sign = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if sign == "b" and is_in_set and self._dialect == "python":
            return r"\x08"
        if sign and sign in "bB":
            self._refuse("a word boundary")
        if sign and sign in "123456789kg":
            self._refuse("a back reference")
        if sign == "Z" and self._dialect == "python":
            return r"\z"
        return _CONTROLS.get(sign, f"\\{sign}")

    def _set(self) -> str:
        self._at += 1
        pieces = ["["]
        if self._text.startswith("^", self._at):
            pieces.append("^")
            self._at += 1
        is_first = True
        while (sign := self._text[self._at : self._at + 1]) and (sign != "]" or is_first):
            pieces.append(self._member(sign))
            is_first = False
        self._at += 1
        return "".join([*pieces, "]"])

    def _member(self, sign: str) -> str:
        if sign == "\\":
            is_class = _CLASS.match(self._text, self._at)
            piece = self._escape(is_in_set=True)
            if is_class and self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1  # a hyphen behind a whole set is itself
                piece += r"\-"
            return piece
        if self._dialect == "python" and (found := _NAMED_SET.match(self._text, self._at)):
            self._at = found.end()
            return _spelled(f"[{found[0]}]", self._dialect)
        if sign == "-" and self._text.startswith("--", self._at):
            self._refuse("-- in a set")
        self._at += 1
        return f"\\{sign}" if sign in "[&~" else "\\]" if sign == "]" else _CONTROLS.get(sign, sign)

    def _group(self) -> str:
        if not self._text.startswith("(?", self._at):
            self._at += 1
            return "("
        found = _GROUP.match(self._text, self._at)
        if found is None:
            is_around = re.match(r"\(\?<?[=!]", self._text[self._at :])
            self._refuse("look-around" if is_around else "a group of a kind that grammars do not have")
        begin, self._at = self._at, found.end()
        if found["comment"]:
            return ""
        if found["name"]:
            return "("
        flags = found["flags"]
        if self._dialect == "python":
            flags = flags.replace("u", "")
            if begin > 0 and found["end"] == ")":
                self._refuse("a flag behind the beginning")
        allowed = "is-" if self._dialect == "python" else "i-"
        if set(flags) - set(allowed):
            self._refuse("a flag that grammars do not have")
        if not flags.strip("-"):
            return "(?:" if found["end"] == ":" else ""
        return f"(?{flags}{found['end']}"

    def _repetition(self) -> str:
        if self._text[self._at] != "{":
            piece = self._text[self._at]
            self._at += 1
        elif found := _COUNT.match(self._text, self._at):
            piece = f"{{0{found[1]}}}" if found[1].startswith(",") else found[0]
            self._at = found.end()
        else:
            self._refuse("a brace that is no count")
        if self._text.startswith("+", self._at):
            self._refuse("a possessive repetition")
        if self._text.startswith("?", self._at):  # the shortest match is as much a match
            self._at += 1
        return piece

    def _refuse(self, what: str) -> Never:
        raise ValueError(what)


@lru_cache(maxsize=256)
def _spelled(name: str, dialect: Dialect) -> str:
    """A set of characters by its name, such as \\w. Unicode of the judge's version: others have fewer letters."""
    if dialect == "ecmascript":
        if (low := name[1].lower()) not in _ECMASCRIPT:
            return name if name[0] == "\\" else name[1:-1]
        return f"[{'^' * (name[1] != low)}{_ECMASCRIPT[low]}]"
    try:
        runs = regex.findall(f"{name}+", _every_character())
    except regex.error as error:
        raise ValueError("a set of characters of no known name") from error
    return f"[{''.join(map(_range, runs))}]" if runs else r"[^\s\S]"


def _range(run: str) -> str:
    return rf"\x{{{ord(run[0]):X}}}-\x{{{ord(run[-1]):X}}}"


@lru_cache(maxsize=1)
def _every_character() -> str:
    return "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
