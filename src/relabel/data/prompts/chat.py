"""A whole chat in a column, as OpenAI's API spells it: its messages with their images apart, or why it is none.

Total: any value gives a Chat or a RowRejected that never quotes it. Fetches no URL and decodes no image. Knows nothing
of chat templates, tokens or models.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.errors import RowRejected
from relabel.rejected import Code

MAX_IMAGES = 64
"""In one chat. Decoded at a model's size an image has some 3 MB, and a small file may claim any number of them."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn."""

    role: str
    """`system`, `user` or `assistant`."""
    parts: tuple[str | None, ...]
    """Texts, and None where an image stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The turns of one row."""

    messages: tuple[Message, ...]
    image_urls: tuple[str, ...] = ()
    """Of the images, in the order in which they stand in the messages."""

    def with_texts(self, change: Callable[[Sequence[str]], Sequence[str]]) -> Chat:
        """The same chat with every text changed, those together that stand side by side."""
        return replace(self, messages=tuple(replace(one, parts=_changed(one.parts, change)) for one in self.messages))


def _changed(parts: Sequence[str | None], change: Callable[[Sequence[str]], Sequence[str]]) -> tuple[str | None, ...]:
    changed: list[str | None] = []
    for is_text, run in groupby(parts, lambda part: part is not None):
        some = list(run)
        changed += change([part for part in some if part is not None]) if is_text else some
    return tuple(changed)


def read_chat(value: Any) -> Chat:
    """The chat that a column holds: a list of `{role, content}`, or its JSON. Raises RowRejected (prompt)."""
    if isinstance(value, str | bytes):
        value = _parsed(value)
    if value is None:
        raise RowRejected(Code.PROMPT, "no messages")
    if not isinstance(value, list):
        raise RowRejected(Code.PROMPT, "the messages are not a list")
    if not value:
        raise RowRejected(Code.PROMPT, "the list of messages is empty")
    urls: list[str] = []
    messages = tuple(_message(message, f"message {at}", urls) for at, message in enumerate(value, start=1))
    if len(urls) > MAX_IMAGES:
        raise RowRejected(Code.PROMPT, f"{len(urls)} images, limit {MAX_IMAGES}")
    length = sum(len(part or "") for message in messages for part in message.parts)
    if length > MAX_PROMPT_CHARACTERS:
        raise RowRejected(Code.PROMPT_TOO_LONG, f"{length} characters, limit {MAX_PROMPT_CHARACTERS}")
    return Chat(messages=messages, image_urls=tuple(urls))


def image_of(url: str, max_bytes: int) -> bytes | str:
    """What `decode_image` makes an image of: the bytes in a data: URL; any other URL as it is, to be refused there."""
    if url[:5].lower() != "data:":
        return url
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise RowRejected(Code.IMAGE, "a data: URL that is not in base64")
    if len(data) * 3 // 4 - 2 > max_bytes:
        raise RowRejected(Code.IMAGE, f"{len(data) * 3 // 4} bytes is over the limit of {max_bytes}")
    try:
        return b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RowRejected(Code.IMAGE, "a data: URL that is not valid base64") from error


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise RowRejected(Code.PROMPT, "the messages are not valid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise RowRejected(Code.PROMPT, "the messages are not JSON") from error


def _message(value: Any, where: str, urls: list[str]) -> Message:
    if not isinstance(value, dict):
        raise RowRejected(Code.PROMPT, f"{where} is not an object")
    role = value.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise RowRejected(Code.PROMPT, f"{where} has a role other than {', '.join(_ROLES)}")
    # what answers of the API hold besides, such as `refusal: null`, says nothing; tool calls would
    if _has_more(value, ("role", "content")):
        raise RowRejected(Code.PROMPT, f"{where} has more than a role and content, such as tool calls")
    content = value.get("content")
    if content is None or content == []:
        raise RowRejected(Code.PROMPT, f"{where} has no content")
    if isinstance(content, str):
        return Message(role=_ROLES[role], parts=(_text(content, where),))
    if not isinstance(content, list):
        raise RowRejected(Code.PROMPT, f"the content of {where} is neither text nor a list of parts")
    return Message(role=_ROLES[role], parts=tuple(_parts(content, where, urls)))


def _parts(content: Sequence[Any], where: str, urls: list[str]) -> Iterator[str | None]:
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str) and not _has_more(part, ("type", "text")):
            yield _text(part["text"], where)
        elif kind == "image_url" and not _has_more(part, ("type", "image_url")):
            urls.append(_url(part.get("image_url"), where))
            yield None
        else:
            raise RowRejected(Code.PROMPT, f"{where} has a part that is neither text nor image_url")


def _url(image: Any, where: str) -> str:
    url = image.get("url") if isinstance(image, dict) else None
    if not isinstance(url, str):
        raise RowRejected(Code.PROMPT, f"{where} has an image_url without a url")
    return url


def _has_more(value: dict[Any, Any], keys: Sequence[str]) -> bool:
    """Whether more is said than under these keys. Parquet gives every struct of a list all keys, most of them null."""
    return any(item is not None and item != [] and key not in keys for key, item in value.items())


def _text(text: str, where: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowRejected(Code.PROMPT, f"{where} is not valid UTF-8") from error
    return text
