"""A rendered prompt in, what the model reads out: token ids, and for images uint8 pixels at the model's size.

Holds the one processor of a process, which all labels of a spec share. Loads no weights; knows no rows and no limits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image

from relabel.data.labels.reasoning_formats import FORMATS, find_format, unknown_marks
from relabel.data.prompts.chat import Message
from relabel.data.prompts.origin import Traced, plain
from relabel.engine.model.chat import source_of, template_in
from relabel.engine.model.pixels import with_levels
from relabel.engine.model.processor import load_processor
from relabel.engine.model.token_ids import ids_of
from relabel.errors import ModelRefused, RowRejected
from relabel.job.encoding.chat_template import ChatTemplate, PlainText, Renderer, Variables, render
from relabel.job.encoding.control_tokens import ControlTokens
from relabel.job.encoding.encoded import Encoded
from relabel.job.encoding.processor import Processor, Tokenizer, edge_of
from relabel.job.engine import in_words_of_the_spec
from relabel.rejected import Code
from relabel.spec import Model, Prompt

log = logging.getLogger("relabel")

MAX_NAMED = 6
"""Tokens that one sentence names."""
SEQUENCE_INPUTS = frozenset({"token_type_ids", "mm_token_type_ids"})


class PromptTokenizer:
    """For one model and what the prompts of all labels have in common. Raises ModelRefused where they do not fit."""

    def __init__(self, model: Model, prompt: Prompt) -> None:
        with in_words_of_the_spec():
            found = load_processor(model.path, model.revision)
        loaded, self._ids = cast("Processor | Tokenizer", found), ids_of(found)
        self._tokenizer = cast(Tokenizer, getattr(loaded, "tokenizer", loaded))
        self._bos = self._tokenizer.bos_token
        self._processor = cast(Processor, loaded) if hasattr(loaded, "image_processor") else None
        self.takes_images = self._processor is not None
        has_images = prompt.images or prompt.messages is not None
        self.image_edge = edge_of(self._processor.image_processor) if self._processor and has_images else None
        """See `Fit.edge`."""
        self.control = ControlTokens(self._tokenizer, loaded)
        template = f"{getattr(loaded, 'chat_template', '')}{getattr(self._tokenizer, 'chat_template', '')}"
        self.reasoning = _format_of_reasoning(model.path, self._tokenizer, template)
        """The name of the format of the model's reasoning; None where none fits."""
        tokens = [getattr(loaded, name, None) for name in ("image_token", "boi_token")]
        self._image_tokens = [token for token in tokens if isinstance(token, str)]
        image_token = str(getattr(loaded, "image_token", ""))
        chat = ChatTemplate(loaded, self._tokenizer, image_token, prompt.chat_template_kwargs, prompt.date)
        if prompt.chat == "always" and not chat.is_there:
            raise ModelRefused(
                f"{model.path} has no chat template: set prompt.chat: never to send the rendered text as it is, "
                "or choose an instruction-tuned model"
            )
        if prompt.images and not self.takes_images:
            raise ModelRefused(
                f"{model.path} takes no images, or lacks the file that says how (processor_config.json or "
                f"preprocessor_config.json), but prompt.image names {prompt.images[0]!r}"
            )
        if prompt.chat == "always" and model.adapter is not None:
            _compare_templates(model.path, model.adapter, source_of(loaded) or source_of(self._tokenizer))
        self.writes_the_day = prompt.chat == "always" and chat.writes_the_day
        """Whether the text of a prompt depends on the day."""
        self.renderer: Renderer = chat if prompt.chat == "always" else PlainText(image_token)
        marks = (mark.strip() for one in FORMATS.values() for mark in one.marks)
        self._writes_marks = prompt.chat == "never" or any(mark in template for mark in marks)
        # chat templates of text models write their own first token; those of processors may leave it out
        self._adds_bos = prompt.chat == "never" or self.takes_images

    def render(self, messages: Sequence[Message], variables: Variables) -> Traced:
        """The prompt of a row. Raises RowRejected."""
        return render(self.renderer, messages, variables)

    def reply_start(self, messages: Sequence[Message], variables: Variables, text: str) -> str:
        """What opens the model's own text in a rendered prompt, as a template alone wrote it.

        Empty where the chat template writes no mark of reasoning, which saves rendering a row again.
        """
        return self.renderer.reply_start(messages, variables, text) if self._writes_marks else ""

    def image_place(self, text: str) -> str:
        """What stands in a rendered prompt for each of its images; empty where only the processor knows.

        Gemma's template, for example, writes `boi_token`, of which its processor makes many image tokens.
        """
        return next((token for token in self._image_tokens if token in text), "")

    def tokenize(self, text: str, images: Sequence[Image.Image], place: str, reply_start: str = "") -> Encoded:
        """What the model reads of a rendered prompt whose images stand at `place`. Raises RowRejected (prompt)."""
        bare = plain(text)
        if bare and not images and not self.control.has_foreign(text):  # most prompts of text
            return Encoded(prompt_ids=self._ids_of(bare, is_first=True), text=bare, reply_start=reply_start)
        pieces = list(self.control.split(text))
        if not pieces or pieces[0][1]:  # what begins a prompt begins one whose first word is the row's, too
            pieces = [("", False), *pieces]
        encoded = Encoded(prompt_ids=[])
        waiting, with_images = list(images), []
        for index, (piece, is_spelled_out) in enumerate(pieces):
            if is_spelled_out:
                goes_on = index > 1 or bool(pieces[0][0])
                encoded = _joined(encoded, Encoded(prompt_ids=self.control.ids_as_text(piece, goes_on=goes_on)))
                continue
            if index:
                head = self.control.head_of(piece)
                encoded = _joined(encoded, Encoded(prompt_ids=self.control.ids_behind(head)))
                piece = piece[len(head) :]
            num_images = min(piece.count(place), len(waiting)) if place else len(waiting) * bool(piece)
            encoded = _joined(encoded, self._piece(piece, waiting[:num_images], is_first=index == 0))
            waiting = waiting[num_images:]
            with_images += [piece] * bool(num_images)
        if waiting:
            raise RowRejected(Code.PROMPT, "the rendered prompt has no place for its image")
        tensors = encoded.tensors
        if len(with_images) > 1:  # only the processor knows how the tensors of several images are laid out
            whole = self._piece("".join(with_images), list(images), is_first=True).tensors
            tensors = tensors | {name: tensor for name, tensor in whole.items() if name not in SEQUENCE_INPUTS}
        return replace(encoded, tensors=tensors, text=bare, reply_start=reply_start)

    def without_tail(self, text: str, num_tokens: int) -> str:
        """The text less its last tokens, cut where a token begins."""
        batch = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts = [start for start, _ in batch["offset_mapping"]]
        return text[: starts[-num_tokens]] if num_tokens < len(starts) else ""

    def _piece(self, piece: str, images: list[Image.Image], *, is_first: bool) -> Encoded:
        if not images or self._processor is None:
            return Encoded(prompt_ids=self._ids_of(piece, is_first=is_first))
        special = self._adds(piece, is_first=is_first)
        batch = self._processor(text=[piece], images=images, return_tensors="pt", add_special_tokens=special)
        arrays = {name: np.asarray(value) for name, value in batch.items() if name != "attention_mask"}
        ids = arrays.pop("input_ids")[0].tolist()
        return Encoded(prompt_ids=ids, tensors=with_levels(arrays, self._processor.image_processor))

    def _ids_of(self, piece: str, *, is_first: bool) -> list[int]:
        return self._ids(piece, add_special_tokens=self._adds(piece, is_first=is_first))

    def _adds(self, piece: str, *, is_first: bool) -> bool:
        """Whether the tokenizer adds its special tokens to a piece."""
        return is_first and self._adds_bos and not (self._bos and piece.startswith(self._bos))


def _compare_templates(path: str, adapter: str, template: str | None) -> None:
    """Who trains an adapter often saves the tokenizer with it; prompts are the model's own all the same."""
    other = template_in(Path(adapter).expanduser())
    if other is not None and other.strip() != (template or "").strip():
        log.warning(
            "the adapter %s brings another chat template than %s has, and prompts are made by the model's: copy "
            "chat_template.jinja and the tokenizer from the one folder to the other if it was trained with them",
            adapter,
            path,
        )


def _format_of_reasoning(path: str, tokenizer: Tokenizer, template: str) -> str | None:
    tokens = {token.content for token in tokenizer.added_tokens_decoder.values()}
    found = find_format(tokens, template)
    if found is None and (unknown := unknown_marks(tokens)):
        log.warning(
            "%s has tokens that look like marks of reasoning, and no format knows them: %s. What it thinks stays in "
            "its texts; name a format in label.reasoning where one fits",
            path,
            ", ".join(unknown[:MAX_NAMED]),
        )
    return found


def _joined(before: Encoded, new: Encoded) -> Encoded:
    """Both as one: inputs for each token are zeros where a piece has none, other tensors are those of an image."""
    merged = {**before.tensors, **new.tensors}
    for name in SEQUENCE_INPUTS & merged.keys():
        columns = [one.tensors.get(name, np.zeros((1, len(one.prompt_ids)), dtype=np.int64)) for one in (before, new)]
        merged[name] = np.concatenate(columns, axis=1)
    return Encoded(prompt_ids=[*before.prompt_ids, *new.prompt_ids], tensors=merged)
