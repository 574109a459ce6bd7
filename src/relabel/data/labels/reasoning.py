"""What a model thought before it answered, told apart from the answer. Knows the marks, nothing of labels."""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"


def split_reasoning(text: str, *, is_held: bool = False) -> tuple[str | None, str]:
    """The reasoning, None where there is none, and the answer.

    Chat templates may open the block in the prompt already, so that the text holds only its end. A text that is held to
    a label is its answer from the first mark on; a free one may speak of marks while it thinks, so its last one counts.
    """
    before, closing, answer = text.partition(CLOSING) if is_held else text.rpartition(CLOSING)
    if closing:
        return before.strip().removeprefix(OPENING).strip(), answer
    if (stripped := text.strip()).startswith(OPENING):
        return stripped.removeprefix(OPENING).strip(), ""
    return None, text
