"""The chat template of a model: turns in, the prompt as the model was trained to read it out.

Knows nothing of rows, tokens or images but their places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from relabel.data.prompts.chat import Message
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.errors import RowRejected
from relabel.rejected import Code

# fmt: off
FAILS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TemplateError, TimeoutError, TypeError,
    ValueError,
)
# fmt: on
"""What the chat template of a model can raise, in the sandbox of transformers."""


class ChatTemplate:
    """Of the processor, or where that has none of the tokenizer, whose content is plain text."""

    def __init__(self, processor: Any, tokenizer: Any, variables: Mapping[str, Any]) -> None:
        self._holder = processor if getattr(processor, "chat_template", None) else tokenizer
        self._takes_text = self._holder is tokenizer
        self._variables = variables
        self.is_there = bool(getattr(self._holder, "chat_template", None))
        self.image_token = str(getattr(processor, "image_token", ""))

    def render(self, turns: Sequence[Message]) -> str:
        """The prompt of a row's chat. Raises RowRejected, which never quotes what a template says of the row."""
        try:
            text = self.render_unguarded(turns)
        except FAILS as error:
            raise RowRejected(Code.PROMPT, "the model's chat template does not take such messages") from error
        if len(text) > MAX_PROMPT_CHARACTERS:
            raise RowRejected(Code.PROMPT_TOO_LONG, f"{len(text)} characters, limit {MAX_PROMPT_CHARACTERS}")
        return text

    def render_unguarded(self, turns: Sequence[Message]) -> str:
        """The turns in the words of the chat template, and what opens the model's turn. Raises any of FAILS."""
        content = self._text if self._takes_text else _parts
        messages = [{"role": turn.role, "content": content(turn.parts)} for turn in turns]
        return self._holder.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **self._variables)

    def _text(self, parts: Sequence[str | None]) -> str:
        """A turn as the template of a tokenizer takes it: one text, each image a token in it."""
        text = ""
        for before, part in zip([None, *parts], parts, strict=False):
            text += self.image_token if part is None else part if before is None else f"\n{part}"
        return text


def _parts(parts: Sequence[str | None]) -> list[dict[str, str]]:
    """A turn as the template of a processor takes it."""
    return [{"type": "image"} if part is None else {"type": "text", "text": part} for part in parts]
