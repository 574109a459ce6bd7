"""One row in, what the model reads for one prompt out, within the limit of tokens; or why it cannot.

One road for all prompts: read the conversation, render it, tokenize it. Runs on CPUs, sees no Ray.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from relabel.data.prompts.origin import Traced, plain
from relabel.errors import RowRejected
from relabel.job.encoding.chat_template import Variables
from relabel.job.encoding.conversation import Conversation, Decode, PromptSource, Row
from relabel.job.encoding.encoded import Encoded
from relabel.job.encoding.tokenize import PromptTokenizer
from relabel.rejected import Code

MAX_CUTS = 8
"""Cutting a text changes how it is tokenized: a cut may be a few tokens short, and the next takes off what is left."""


class Encoder:
    """Encodes rows for one prompt."""

    def __init__(
        self,
        source: PromptSource,
        tokenizer: PromptTokenizer,
        image_place: str,
        max_tokens: int,
        truncate: str | None,
        *,
        keeps_chat: bool = False,
    ) -> None:
        """`keeps_chat`: the engine takes messages."""
        self._source, self._tokenizer, self._image_place = source, tokenizer, image_place
        self._max_tokens = max_tokens
        self._keeps_chat = keeps_chat
        self._truncate = truncate
        """The column whose text may be cut."""

    def encode(self, row: Row, decode: Decode, variables: Variables) -> Encoded:
        """What the model reads of a row, whose `variables` for the chat template go over those of the spec.

        Raises RowRejected with the reason where it cannot be encoded.
        """
        return self.begin(row, decode, variables)()

    def begin(self, row: Row, decode: Decode, variables: Variables) -> Callable[[], Encoded]:
        """The same in two steps: the row is rendered, and what is returned tokenizes it. Both raise RowRejected."""
        conversation = self._source.read(row, decode)
        if self._keeps_chat and variables:
            raise RowRejected(Code.SETTINGS, "chat servers take no variables of a chat template")
        text = self._tokenizer.render(conversation.messages, variables)
        return partial(self._within_limit, row, decode, variables, conversation, text)

    def _within_limit(
        self, row: Row, decode: Decode, variables: Variables, conversation: Conversation, text: Traced
    ) -> Encoded:
        encoded = self._tokenized(conversation, variables, text)
        length = len(encoded.prompt_ids)
        if length <= self._max_tokens:
            return encoded
        for _ in range(MAX_CUTS):
            excess = len(encoded.prompt_ids) - self._max_tokens
            if excess <= 0:
                break
            if self._truncate is None or not (cuttable := self._source.cuttable(row)):
                raise self._too_long(length)
            row = {**row, self._truncate: self._tokenizer.without_tail(cuttable, excess)}
            conversation = self._source.read(row, decode)
            encoded = self._tokenized(conversation, variables, self._tokenizer.render(conversation.messages, variables))
        if len(encoded.prompt_ids) > self._max_tokens:
            raise self._too_long(length)
        remark = f"column {self._truncate!r} was cut, the prompt had {length} tokens, limit {self._max_tokens}"
        return replace(encoded, remark=f"truncated: {remark}")

    def prompt_text(self, row: Row) -> str | None:
        """The rendered prompt of a row that cannot be encoded; None where there is none, either."""
        try:
            return plain(self._tokenizer.render(self._source.read(row, lambda _: []).messages, {}))
        except RowRejected:
            return None

    def _tokenized(self, conversation: Conversation, variables: Variables, text: Traced) -> Encoded:
        reply_start = self._tokenizer.reply_start(conversation.messages, variables, text)
        encoded = self._tokenizer.tokenize(text, conversation.images, self._image_place, reply_start)
        if not self._keeps_chat:
            return encoded
        chat = tuple((one.role, "".join(map(plain, filter(None, one.parts)))) for one in conversation.messages)
        return replace(encoded, chat=chat)

    def _too_long(self, length: int) -> RowRejected:
        return RowRejected(Code.PROMPT_TOO_LONG, f"{length} tokens, limit {self._max_tokens}")
