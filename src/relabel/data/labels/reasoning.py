"""What a model thought before it answered, told apart from the answer. Knows marks and text, nothing of labels.

The rules, for any text:
- A text that begins with an opening, or whose prompt has begun a thought, is reasoning up to a closing. Without one all
  of it is reasoning, and there is no answer.
- A text that does neither is its answer. Where it is free it may still hold a closing: what stands before is reasoning.
- A text that is held to a label ends its thoughts with the first closing; a free one may speak of marks while it
  thinks, so the last counts. In channels the first counts: what stands behind it is the answer up to its end.
- A text that was cut off inside its first mark is reasoning.
"""

from __future__ import annotations

from enum import StrEnum

from relabel.data.labels.reasoning_formats import ReasoningFormat


class Start(StrEnum):
    """Where in a format the prompt ends."""

    BEFORE = "before"
    """Nothing is said yet: the model may think, or answer."""
    THINKING = "thinking"
    """The prompt has begun a thought."""
    ANSWERING = "answering"
    """The prompt has ended the thoughts, or passed them over."""


def start_of(format: ReasoningFormat, reply_start: str) -> Start:
    """Where a prompt ends, by what its template writes behind the messages."""
    opened, closed = _last_end(reply_start, format.openings), _last_end(reply_start, format.closings)
    if opened == closed or (format.between and reply_start.rfind(format.between) >= opened > closed):
        return Start.BEFORE  # neither is there, or a thought that has ended
    return Start.THINKING if opened > closed else Start.ANSWERING


def split_reasoning(
    text: str,
    format: ReasoningFormat,
    *,
    start: Start = Start.BEFORE,
    is_held: bool = False,
    is_cut_off: bool = False,
) -> tuple[str | None, str | None]:
    """The reasoning, None where there is none, and the answer, None where the text ended before it."""
    if format.turn and text.lstrip().startswith(format.turn):
        text = text.lstrip().removeprefix(format.turn)
    stripped = text.lstrip()
    opening = "" if format.closing.match(stripped) else _first_of(stripped, format.openings)
    if start is Start.THINKING or opening:
        said = stripped if format.is_of_channels else stripped.removeprefix(opening)
        thoughts, answer = _parted(said, format, is_held=is_held)
        return _joined(thoughts, format), None if answer is None else _bare(answer, format, is_held=is_held)
    if start is Start.BEFORE:
        if is_cut_off and stripped and any(mark.startswith(stripped) for mark in format.openings):
            return stripped.strip(), None
        thoughts, answer = _parted(text, format, is_held=is_held)
        if answer is not None and (format.is_of_channels or not is_held):
            has_thoughts = bool(thoughts.strip()) or not format.is_of_channels
            return _joined(thoughts, format) if has_thoughts else None, _bare(answer, format, is_held=is_held)
    return None, _bare(text, format, is_held=is_held, is_inside=start is Start.ANSWERING)


def before_answer(text: str, format: ReasoningFormat, *, start: Start, is_held: bool) -> str | None:
    """What stands in a text before its answer, marks included; None where it has no answer."""
    _, answer = split_reasoning(text, format, start=start, is_held=is_held)
    if answer is None or not (bare := answer.strip()):
        return None
    before = text[: text.rfind(bare)]
    return before if before.strip() else ""


def _first_of(text: str, marks: tuple[str, ...]) -> str:
    """The mark that a text begins with; empty where it begins with none."""
    return next((mark for mark in marks if text.startswith(mark)), "")


def _last_end(text: str, marks: tuple[str, ...]) -> int:
    """Where the last of some marks ends in a text; -1 where there is none."""
    return max((at + len(mark) for mark in marks if (at := text.rfind(mark)) >= 0), default=-1)


def _parted(text: str, format: ReasoningFormat, *, is_held: bool) -> tuple[str, str | None]:
    """What stands before a closing and what stands behind it."""
    if not (found := list(format.closing.finditer(text))):
        return text, None
    closing = found[0 if is_held or format.is_of_channels else -1]
    return text[: closing.start()], text[closing.end() :]


def _joined(thoughts: str, format: ReasoningFormat) -> str:
    """Thoughts without marks, a blank line between those of several channels."""
    if not format.is_of_channels:  # the text may repeat what its prompt has begun
        return thoughts.strip().removeprefix(_first_of(thoughts.strip(), format.openings)).strip()
    return "\n\n".join(part for part in map(str.strip, format.header.split(thoughts)) if part)


def _bare(answer: str, format: ReasoningFormat, *, is_held: bool, is_inside: bool = False) -> str:
    """An answer without the marks around it; `is_inside`: the prompt may hold the first of them.

    One that is held ends by itself: a mark in it is text.
    """
    first, last = format.answer
    if first and answer.lstrip().startswith(first):
        answer = answer.lstrip().removeprefix(first)
    elif first and not is_inside:
        return answer
    return answer.partition(last)[0] if last and not is_held else answer
