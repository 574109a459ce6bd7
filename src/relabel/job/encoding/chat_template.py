"""Messages in, the text of a prompt out: by the chat template of a model, or as they are.

The text knows which of it the template wrote (`origin`); what it writes of a message is data. Knows nothing of rows,
tokens or images but where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from functools import cached_property
from typing import Protocol, cast

from jinja2 import Template, TemplateError, nodes

from relabel.data.prompts.chat import Message
from relabel.data.prompts.origin import Traced, join, own, own_of, plain
from relabel.data.prompts.outline import Outlines, joined
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.data.prompts.tracing import may_be_outlined, outlined, template_of, traced
from relabel.engine.model.chat import environment_of, source_of
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

Variables = Mapping[str, object]
_WORDS = {word: own(word) for word in ("system", "user", "assistant", "image", "text")}
"""Of our own: a template may write a token of its words and of these, such as `<|` and `user` and `|>`."""
_CLOCK = "strftime_now"


class Renderer(Protocol):
    """Messages in, the text of the prompt out. Raises any of FAILS, and RowRejected where there is none."""

    def __call__(self, messages: Sequence[Message], variables: Variables) -> Traced: ...

    def reply_start(self, messages: Sequence[Message], variables: Variables, text: str) -> str:
        """What of their rendered text stands behind the messages and comes from no row."""
        ...


def render(renderer: Renderer, messages: Sequence[Message], variables: Variables) -> Traced:
    """The prompt of a row. Raises RowRejected, which never quotes what a template says of the row."""
    try:
        text = renderer(messages, variables)
    except FAILS as error:
        raise RowRejected(Code.PROMPT, "the model's chat template does not take such messages") from error
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise RowRejected(Code.PROMPT_TOO_LONG, f"{len(text)} characters, limit {MAX_PROMPT_CHARACTERS}")
    return text


class PlainText:
    """No chat template: the image tokens, then the texts as they are."""

    def __init__(self, image_token: str) -> None:
        self._image_token = own(image_token)

    def __call__(self, messages: Sequence[Message], variables: Variables) -> Traced:
        parts = [part for message in messages for part in message.parts]
        texts = [part for part in parts if part is not None]
        text = join(texts) if len(texts) == 1 else Traced("\n\n").join(texts)
        return text if len(parts) == len(texts) else self._image_token * parts.count(None) + text

    def reply_start(self, messages: Sequence[Message], variables: Variables, text: str) -> str:
        """What the spec's template wrote itself behind the last value of the row."""
        return plain(text)[_own_end(text) :]


class ChatTemplate:
    """The template of the processor, or where that has none of the tokenizer, whose content is plain text."""

    def __init__(
        self,
        processor: Processor | Tokenizer,
        tokenizer: Tokenizer,
        image_token: str,
        variables: Variables,
        day: date | None,
    ) -> None:
        source = source_of(processor)
        self._takes_text = source is None or processor is tokenizer
        self._source = source or source_of(tokenizer)
        self._image_token, self._day = own(image_token), day
        self._variables = cast(Variables, _own({**tokenizer.special_tokens_map, **variables}))
        self.is_there = self._source is not None
        self._outlines = Outlines()
        self._usual = ""
        """What it writes behind the messages of most rows."""

    @property
    def writes_the_day(self) -> bool:
        """Whether the text depends on the day; False for a template that is not valid, which no prompt gets through."""
        return self._parsed is not None and any(one.name == _CLOCK for one in self._parsed.find_all(nodes.Name))

    def __call__(self, messages: Sequence[Message], variables: Variables) -> Traced:
        """The messages in the words of the template, and what opens the model's own.

        Where the last message is the assistant's, the text ends with it, for the model to go on.
        """
        goes_on = messages[-1].role == "assistant"
        text = self._render(messages, variables, is_asked=not goes_on)
        return _until(text, messages[-1]) if goes_on else text

    def reply_start(self, messages: Sequence[Message], variables: Variables, text: str) -> str:
        """What opens the model's own. It may hang on the row: some templates read `/no_think` in a system message."""
        if messages[-1].role == "assistant":
            return ""
        if self._usual and text.endswith(self._usual):
            return self._usual
        try:
            whole, told = (plain(self._render(messages, variables, is_asked=is_asked)) for is_asked in (True, False))
        except FAILS:  # a template that must be asked: nobody can tell where its own words begin
            return ""
        opened = whole.removeprefix(told) if whole.startswith(told) else ""
        self._usual = self._usual or opened
        return opened

    def _render(self, messages: Sequence[Message], variables: Variables, *, is_asked: bool) -> Traced:
        if not variables and self._is_steady:
            texts = [text for message in messages for text in (*message.parts, message.reasoning) if text is not None]
            shapes = (
                (message.role, message.reasoning is None, *[part is None for part in message.parts])
                for message in messages
            )

            def write(blanks: Sequence[Traced]) -> Iterable[str]:
                return self._write(self._of_blanks, _with_texts(messages, blanks), {}, is_asked=is_asked)

            if (text := self._outlines.text((is_asked, *shapes), texts, write)) is not None:
                return text
        return join(self._write(self._template, messages, variables, is_asked=is_asked))

    def _write(
        self, template: Template, messages: Sequence[Message], variables: Variables, *, is_asked: bool
    ) -> Iterable[str]:
        content = self._text if self._takes_text else _parts
        return template.generate(
            messages=[_message(one, content(one.parts)) for one in messages],
            tools=None,
            documents=None,
            add_generation_prompt=is_asked,
            **{_CLOCK: self._now, **self._variables, **cast(Variables, _data(variables))},
        )

    @cached_property
    def _template(self) -> Template:
        return template_of(traced(environment_of(self._source or "")), self._source or "")

    @cached_property
    def _of_blanks(self) -> Template:
        return template_of(outlined(environment_of(self._source or "")), self._source or "")

    @cached_property
    def _parsed(self) -> nodes.Template | None:
        """None where there is none, or one that is not valid."""
        try:
            return environment_of(self._source).parse(self._source) if self._source else None
        except TemplateError:
            return None

    @cached_property
    def _is_steady(self) -> bool:
        """Whether it writes the same of the same messages each time, in a way that outlines know."""
        if self._parsed is None or (self.writes_the_day and self._day is None):
            return False
        return may_be_outlined(self._parsed)

    def _now(self, format: str) -> Traced:
        now = datetime.combine(self._day, time()) if self._day else datetime.now()
        return own(now.strftime(format))

    def _text(self, parts: Sequence[str | None]) -> Traced:
        """A message as the template of a tokenizer takes it: one text, each image a token in it."""
        texts: list[str] = []
        for before, part in zip([None, *parts], parts, strict=False):
            texts += [self._image_token] if part is None else [part] if before is None else ["\n", part]
        return joined(texts)


def _with_texts(messages: Sequence[Message], texts: Sequence[str]) -> list[Message]:
    """The messages with other texts, in their order."""
    left = iter(texts)
    return [
        Message(
            role=one.role,
            parts=tuple(None if part is None else next(left) for part in one.parts),
            reasoning=None if one.reasoning is None else next(left),
        )
        for one in messages
    ]


def _message(message: Message, content: object) -> dict[str, object]:
    spelled: dict[str, object] = {"role": _WORDS[message.role], "content": content}
    if message.reasoning is not None:  # under the two names that transformers gives it
        spelled |= dict.fromkeys(("reasoning_content", "thinking"), joined([message.reasoning]))
    return spelled


def _parts(parts: Sequence[str | None]) -> list[dict[str, Traced]]:
    """A message as the template of a processor takes it."""
    return [
        {"type": _WORDS["image"]} if part is None else {"type": _WORDS["text"], "text": joined([part])}
        for part in parts
    ]


def _until(text: Traced, last: Message) -> Traced:
    """A prompt that ends with its last message: without what the template writes behind one that is complete."""
    said = (last.parts[-1] or "").rstrip()
    end = _own_end(text)
    if not said:
        raise RowRejected(Code.PROMPT, "the last message, which the model is to go on with, is empty")
    if not text[:end].rstrip().endswith(said):
        raise RowRejected(Code.PROMPT, "the model's chat template does not end with the message to go on with")
    return text[:end]


def _own_end(text: str) -> int:
    """Where the template's own words at the end of a text begin."""
    spans = own_of(text)
    return spans[-1][0] if spans and spans[-1][1] == len(text) else len(text)


def _own(value: object) -> object:
    return _with(value, own)


def _data(value: object) -> object:
    return _with(value, Traced)


def _with(value: object, change: Callable[[str], Traced]) -> object:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _with(item, change) for key, item in cast(Mapping[str, object], value).items()}
    if isinstance(value, list | tuple):
        return [_with(item, change) for item in cast(Sequence[object], value)]
    return value
