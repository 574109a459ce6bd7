"""Messages in, the text of a prompt out: by the chat template of a model, or as they are.

Knows nothing of rows, tokens or images but where they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from jinja2 import TemplateError

from relabel.data.prompts.chat import Message
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.errors import RowRejected
from relabel.job.encoding.processor import Processor, Tokenizer
from relabel.rejected import Code

# fmt: off
FAILS = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TemplateError, TimeoutError, TypeError,
    ValueError,
)
# fmt: on
"""What the chat template of a model can raise, in the sandbox of transformers."""


class Renderer(Protocol):
    """Messages in, the text of the prompt out. Raises any of FAILS."""

    def __call__(self, messages: Sequence[Message]) -> str: ...

    def reply_start(self, messages: Sequence[Message], text: str) -> str:
        """What of their rendered text stands behind the messages and comes from no row."""
        ...


def render(renderer: Renderer, messages: Sequence[Message]) -> str:
    """The prompt of a row. Raises RowRejected, which never quotes what a template says of the row."""
    try:
        text = renderer(messages)
    except FAILS as error:
        raise RowRejected(Code.PROMPT, "the model's chat template does not take such messages") from error
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise RowRejected(Code.PROMPT_TOO_LONG, f"{len(text)} characters, limit {MAX_PROMPT_CHARACTERS}")
    return text


class PlainText:
    """No chat template: the image tokens, then the texts as they are."""

    def __init__(self, image_token: str) -> None:
        self._image_token = image_token

    def __call__(self, messages: Sequence[Message]) -> str:
        parts = [part for message in messages for part in message.parts]
        return self._image_token * parts.count(None) + "\n\n".join(part for part in parts if part is not None)

    def reply_start(self, messages: Sequence[Message], text: str) -> str:
        """Nothing: a text without a template is the row's."""
        return ""


class ChatTemplate:
    """The template of the processor, or where that has none of the tokenizer, whose content is plain text."""

    def __init__(
        self, processor: Processor | Tokenizer, tokenizer: Tokenizer, image_token: str, variables: Mapping[str, object]
    ) -> None:
        self._holder = processor if getattr(processor, "chat_template", None) else tokenizer
        self._takes_text = self._holder is tokenizer
        self._image_token, self._variables = image_token, variables
        self.is_there = bool(getattr(self._holder, "chat_template", None))
        self._usual = ""
        """What it writes behind the messages of most rows."""

    def __call__(self, messages: Sequence[Message]) -> str:
        """The messages in the words of the template, and what opens the model's own."""
        return self._render(messages, is_asked=True)

    def reply_start(self, messages: Sequence[Message], text: str) -> str:
        """What opens the model's own. It may hang on the row: some templates read `/no_think` in a system message."""
        if self._usual and text.endswith(self._usual):
            return self._usual
        try:
            whole, told = (self._render(messages, is_asked=is_asked) for is_asked in (True, False))
        except FAILS:  # a template that must be asked: nobody can tell where its own words begin
            return ""
        opened = whole.removeprefix(told) if whole.startswith(told) else ""
        self._usual = self._usual or opened
        return opened

    def _render(self, messages: Sequence[Message], *, is_asked: bool) -> str:
        content = self._text if self._takes_text else _parts
        spelled: list[dict[str, object]] = [{"role": one.role, "content": content(one.parts)} for one in messages]
        return self._holder.apply_chat_template(
            spelled, tokenize=False, add_generation_prompt=is_asked, **self._variables
        )

    def _text(self, parts: Sequence[str | None]) -> str:
        """A message as the template of a tokenizer takes it: one text, each image a token in it."""
        text = ""
        for before, part in zip([None, *parts], parts, strict=False):
            text += self._image_token if part is None else part if before is None else f"\n{part}"
        return text


def _parts(parts: Sequence[str | None]) -> list[dict[str, str]]:
    """A message as the template of a processor takes it."""
    return [{"type": "image"} if part is None else {"type": "text", "text": part} for part in parts]
