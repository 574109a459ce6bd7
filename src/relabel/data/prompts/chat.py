"""A whole chat in a column, as OpenAI's API spells it: its messages with their images apart, or why it is none.

Total: any value gives a Chat or a RowRejected that never quotes it. Fetches no URL and decodes no image. Knows nothing
of chat templates, tokens or models.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from relabel.data.prompts.openai_messages import read_messages
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.errors import RowRejected
from relabel.rejected import Code

MAX_IMAGES = 64
"""Images in one chat. At a model's size an image has some 3 MB, and a small file may claim any number of them."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a chat."""

    role: str
    """`system`, `user` or `assistant`."""
    parts: tuple[str | None, ...]
    """The texts of the message, and None where an image stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The messages of one row."""

    messages: tuple[Message, ...]
    image_urls: tuple[str, ...] = ()
    """The URLs of the images, in the order in which they stand in the messages."""

    def with_texts(self, change: Callable[[Sequence[str]], Sequence[str]]) -> Chat:
        """The same chat with every text changed, those together that stand side by side."""
        return replace(self, messages=tuple(replace(one, parts=_changed(one.parts, change)) for one in self.messages))


def _changed(parts: Sequence[str | None], change: Callable[[Sequence[str]], Sequence[str]]) -> tuple[str | None, ...]:
    changed: list[str | None] = []
    for is_text, run in groupby(parts, lambda part: part is not None):
        some = list(run)
        changed += change([part for part in some if part is not None]) if is_text else some
    return tuple(changed)


def read_chat(value: object) -> Chat:
    """The chat that a column holds: a list of `{role, content}`, or its JSON. Raises RowRejected (prompt)."""
    if isinstance(value, str | bytes):
        value = _parsed(value)
    if value is None:
        raise RowRejected(Code.PROMPT, "no messages")
    if not isinstance(value, list):
        raise RowRejected(Code.PROMPT, "the messages are not a list")
    if not value:
        raise RowRejected(Code.PROMPT, "the list of messages is empty")
    given = read_messages(value)
    urls = tuple(url for message in given for url in message.image_urls)
    if len(urls) > MAX_IMAGES:
        raise RowRejected(Code.PROMPT, f"{len(urls)} images, limit {MAX_IMAGES}")
    messages = tuple(Message(role=_ROLES[message.role], parts=message.parts) for message in given)
    length = sum(len(part or "") for message in messages for part in message.parts)
    if length > MAX_PROMPT_CHARACTERS:
        raise RowRejected(Code.PROMPT_TOO_LONG, f"{length} characters, limit {MAX_PROMPT_CHARACTERS}")
    return Chat(messages=messages, image_urls=urls)


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise RowRejected(Code.PROMPT, "the messages are not valid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise RowRejected(Code.PROMPT, "the messages are not JSON") from error
