"""What a model thought before it answered, told apart from the answer. Knows the marks, nothing of labels."""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"


def split_reasoning(text: str) -> tuple[str | None, str]:
    """The reasoning, None where there is none, and the answer.

    Chat templates may open the block in the prompt already, so that the text holds only its end.
    """
    before, closing, answer = text.rpartition(CLOSING)
    if closing:
        return before.strip().removeprefix(OPENING).strip(), answer
    if (stripped := text.strip()).startswith(OPENING):
        return stripped.removeprefix(OPENING).strip(), ""
    return None, text
