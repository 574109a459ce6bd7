"""A whole chat in a column, as OpenAI's API spells it: its messages with their images apart, or why it is none.

Total: any value gives a Chat or a RowRejected that never quotes it. Fetches no URL and decodes no image. Knows nothing
of chat templates, tokens or models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from relabel.data.prompts.openai_messages import HARMLESS, read_messages
from relabel.data.prompts.sharegpt import as_messages, is_sharegpt, with_places
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
    reasoning: str | None = None
    """What came before an answer of the assistant, for chat templates that read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The messages of one row."""

    messages: tuple[Message, ...]
    image_urls: tuple[str | None, ...] = ()
    """The URLs of the images, in the order in which they stand in the messages; None for one that a column holds."""

    @property
    def num_places(self) -> int:
        """How many images of columns the messages have places for."""
        return self.image_urls.count(None)


def read_chat(value: object, *, has_images: bool = False) -> Chat:
    """The chat that a column holds: a list of `{role, content}` or of `{from, value}`, or its JSON.

    `has_images`: columns of the row hold images, and `<image>` in a text is the place of one.
    Raises RowRejected (prompt).
    """
    if isinstance(value, str | bytes):
        value = _parsed(value)
    if isinstance(value, dict):
        value = _unwrapped(cast(dict[str, object], value))
    if value is None:
        raise RowRejected(Code.PROMPT, "no messages")
    if not isinstance(value, list):
        raise RowRejected(Code.PROMPT, "the messages are not a list")
    if not value:
        raise RowRejected(Code.PROMPT, "the list of messages is empty")
    if is_sharegpt(value):
        value = as_messages(value, has_images=has_images)
    elif has_images:
        value = with_places(value)
    given = read_messages(value)
    urls = tuple(url for message in given for url in message.image_urls)
    if len(urls) > MAX_IMAGES:
        raise RowRejected(Code.PROMPT, f"{len(urls)} images, limit {MAX_IMAGES}")
    indices = [index for message in given for index in message.indices]
    if any(index not in (None, at) for at, index in enumerate(indices)):
        raise RowRejected(Code.PROMPT, "an image has another index in the messages than its place among them")
    messages = tuple(
        Message(role=_ROLES[message.role], parts=message.parts, reasoning=message.reasoning_content)
        for message in given
    )
    length = sum(len(part or "") for message in messages for part in message.parts)
    if length > MAX_PROMPT_CHARACTERS:
        raise RowRejected(Code.PROMPT_TOO_LONG, f"{length} characters, limit {MAX_PROMPT_CHARACTERS}")
    return Chat(messages=messages, image_urls=urls)


def _unwrapped(row: dict[str, object]) -> object:
    """The list in an object that holds a chat and nothing else that a model could be told."""
    lists = [name for name in ("messages", "conversations", "conversation") if isinstance(row.get(name), list)]
    others = {name for name, item in row.items() if item is not None and name not in (*lists, *HARMLESS)}
    return row[lists[0]] if len(lists) == 1 and not others else row


def _parsed(text: str | bytes) -> object:
    try:
        return json.loads(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        raise RowRejected(Code.PROMPT, "the messages are not valid UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise RowRejected(Code.PROMPT, "the messages are not JSON") from error
