"""Chats as ShareGPT and LLaVA spell them: a list of `{from, value}`. Their messages in the words of OpenAI's API.

Knows no more of a message than who says it, and where `<image>` stands for an image of a column.
"""

from __future__ import annotations

from typing import cast

from relabel.errors import RowRejected
from relabel.rejected import Code

_SPEAKERS = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "assistant", "model"), "assistant"),
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
        if not isinstance(speaker, str) or speaker not in _SPEAKERS:
            raise RowRejected(
                Code.PROMPT, f"message {number} is from another than human, gpt or system, such as a tool"
            )
        content = _parts(text) if has_images and isinstance(text, str) and _PLACE in text else text
        others = {key: value for key, value in keys.items() if key not in ("from", "value")}
        messages.append({**others, "role": _SPEAKERS[speaker], "content": content})
    return messages


def _parts(text: str) -> list[object]:
    """Texts and places of images. A line break between a place and its text is no part of the text."""
    parts: list[object] = []
    for at, piece in enumerate(text.split(_PLACE)):
        parts += [{"type": "image"}] * bool(at)
        parts += [{"type": "text", "text": piece.strip("\n")}] * bool(piece.strip("\n"))
    return parts
