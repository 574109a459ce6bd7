"""Chats as ShareGPT and LLaVA spell them: a list of `{from, value}`, and `<image>` in a text. In words of OpenAI's API.

Knows no more of a message than who says it, and where `<image>` stands for an image of a column.
"""

from __future__ import annotations

from typing import cast

from relabel.errors import RowRejected
from relabel.rejected import Code

_SPEAKERS = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "assistant", "model", "bard", "bing", "bot"), "assistant"),
    "system": "system",
}
_PLACE = "<image>"


def is_sharegpt(messages: list[object]) -> bool:
    """Whether a list of messages begins as such a chat does."""
    first = messages[0]
    return isinstance(first, dict) and "from" in first and cast(dict[str, object], first).get("role") is None


def as_messages(chat: list[object], *, has_images: bool) -> list[object]:
    """The same chat as a list of `{role, content}`. Raises RowRejected (prompt) where someone else speaks.

    `has_images`: the row brings images in columns, and `<image>` in a text is the place of one.
    """
    messages: list[object] = []
    for number, message in enumerate(chat, start=1):
        if not isinstance(message, dict):
            messages.append(message)
            continue
        keys = cast(dict[str, object], message)
        speaker, text = keys.get("from"), keys.get("value")
        role = _SPEAKERS.get(speaker.lower()) if isinstance(speaker, str) else None
        if role is None:
            raise RowRejected(
                Code.PROMPT, f"message {number} is from another than human, gpt or system, such as a tool"
            )
        others = {key: value for key, value in keys.items() if key not in ("from", "value")}
        messages.append({**others, "role": role, "content": text})
    return with_places(messages) if has_images else messages


def with_places(messages: list[object]) -> list[object]:
    """The same messages, in whose texts `<image>` is the place of an image of a column.

    None of them is changed where one already says in parts where images stand.
    """
    contents = [message.get("content") for message in messages if isinstance(message, dict)]
    if any(isinstance(content, list) for content in contents):
        return messages
    return [
        {**message, "content": _parts(content)}
        if isinstance(message, dict) and isinstance(content := message.get("content"), str) and _PLACE in content
        else message
        for message in messages
    ]


def _parts(text: str) -> list[object]:
    """Texts and places of images. A line break between a place and its text is no part of the text."""
    parts: list[object] = []
    for at, piece in enumerate(text.split(_PLACE)):
        parts += [{"type": "image"}] * bool(at)
        parts += [{"type": "text", "text": piece.strip("\n")}] * bool(piece.strip("\n"))
    return parts
