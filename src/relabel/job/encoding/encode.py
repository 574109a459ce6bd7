"""One row in, what the model reads out: token ids, and for images uint8 pixels at the model's size.

Joins the prompt template, the image decoder and the model's processor. Runs on CPUs; loads no weights, sees no Ray.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from relabel.data.prompts.chat import Chat, Message, image_of, read_chat
from relabel.data.prompts.images import decode_image
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS, PromptTemplate
from relabel.engine.model.pixels import quantise
from relabel.engine.model.processor import load_processor, within
from relabel.errors import ModelRefused, RowRejected, SpecError
from relabel.job.encoding.chat_template import FAILS, ChatTemplate
from relabel.job.encoding.control_tokens import ControlTokens
from relabel.rejected import Code
from relabel.spec import Prompt, Spec

SEQUENCE_INPUTS = frozenset({"token_type_ids", "mm_token_type_ids"})
PROBE_SECONDS = 20.0
"""A chat template that takes longer for one word has a loop without end."""
MAX_CUTS = 8
"""Cutting a text changes how it is tokenized: a cut may be a few tokens short, and the next takes off what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A row as the engine takes it."""

    prompt_ids: list[int]
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    remark: str | None = None
    """`truncated: ...` where the prompt was cut to fit."""


class Encoder:
    """Encodes rows for one prompt. Raises SpecError or ModelRefused where it and the model do not fit."""

    def __init__(self, spec: Spec, prompt: Prompt, image_root: str | None) -> None:
        self._spec, self._prompt = spec, prompt
        self._image_root = image_root
        self._template = PromptTemplate(prompt)
        self._processor: Any = load_processor(spec.model.path, spec.model.revision)
        self._tokenizer: Any = getattr(self._processor, "tokenizer", self._processor)
        self._control = ControlTokens(self._tokenizer, self._processor)
        self._is_chat = prompt.chat == "always"
        self._sees = hasattr(self._processor, "image_processor")
        self._chat = ChatTemplate(self._processor, self._tokenizer, prompt.chat_template_kwargs)
        if self._is_chat and not self._chat.is_there:
            raise ModelRefused(
                f"{spec.model.path} has no chat template: set prompt.chat: never to send the rendered text as it is, "
                "or choose an instruction-tuned model"
            )
        if prompt.images and not self._sees:
            raise ModelRefused(f"{spec.model.path} takes no images, but prompt.image names {prompt.images[0]!r}")
        self._place = ""
        """What stands in a rendered prompt for each of its images; empty where only the processor knows."""
        self.row_bytes = self._probe()
        """Bytes of tensors that a row with images of the largest size becomes; 0 without images. The number of images
        in a chat is known of none: one is counted."""

    @property
    def text_columns(self) -> frozenset[str]:
        """The columns that the templates read."""
        return self._template.columns

    @property
    def columns(self) -> dict[str, str]:
        """The source columns a prompt needs, each with the spec key that names it."""
        text = dict.fromkeys(self._template.columns, "prompt")
        if self._prompt.messages is not None:
            text[self._prompt.messages] = "prompt.messages"
        return text | dict.fromkeys(self._prompt.images, "prompt.image")

    def images(self, row: Mapping[str, Any]) -> list[Image.Image]:
        """The decoded images of a row. Raises RowRejected with the reason where one cannot be used."""
        if self._prompt.messages is None:
            return [self._image(row[column]) for column in self._prompt.images]
        urls = self._read_chat(row).image_urls
        if urls and not self._sees:
            raise RowRejected(Code.IMAGE, "the messages hold one, and the model takes none")
        return [self._image(image_of(url, self._prompt.max_image_bytes)) for url in urls]

    def encode(self, row: Mapping[str, Any], images: list[Image.Image]) -> Encoded:
        """Encode one row. Raises RowRejected with the reason where it cannot be."""
        limit = self._spec.model.max_prompt_tokens
        values = self._template.values(row)
        encoded = self._encode_chat(row, images) if self._prompt.messages is not None else self._encode(values, images)
        length = len(encoded.prompt_ids)
        if length <= limit:
            return encoded
        cut = self._prompt.truncate
        for _ in range(MAX_CUTS):
            if cut is None or not values.get(cut):
                break
            values[cut] = self._without_tail(str(values[cut]), len(encoded.prompt_ids) - limit)
            encoded = self._encode(values, images)
            if len(encoded.prompt_ids) <= limit:
                remark = f"truncated: column {cut!r} was cut, the prompt had {length} tokens, limit {limit}"
                return Encoded(prompt_ids=encoded.prompt_ids, tensors=encoded.tensors, remark=remark)
        raise RowRejected(Code.PROMPT_TOO_LONG, f"{length} tokens, limit {limit}")

    def prompt_text(self, row: Mapping[str, Any]) -> str:
        """The rendered prompt before tokenization, as `preview` shows it."""
        if self._prompt.messages is not None:
            return self._chat.render(self._read_chat(row).messages)
        text = self._render(self._template.values(row), len(self._prompt.images))
        return "".join(piece for piece, _ in self._control.split(text))

    def _probe(self) -> int:
        """Encode a fixed text with images of the largest size: what cannot be done is refused before any row."""
        num_images = int(self._sees) if self._prompt.messages is not None else len(self._prompt.images)
        images = [_noise(self._spec.model.image_pixels)] * num_images
        system = None if self._prompt.system is None else "text"
        try:
            if self._is_chat:
                turns = self._turns("text", system, num_images)
                prompt = within(PROBE_SECONDS, lambda: self._chat.render_unguarded(turns))
            else:
                prompt = self._plain("text", num_images)
            if len(prompt) > MAX_PROMPT_CHARACTERS:
                raise ValueError(f"its chat template makes {len(prompt)} characters of one word")
            self._place = self._place_of_image(prompt) if images else ""
            ids, tensors = self._ids(prompt, images, is_first=True)
        except FAILS as error:
            why = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelRefused(f"{self._spec.model.path} cannot take such a prompt: {why}") from error
        if len(ids) > (limit := self._spec.model.max_prompt_tokens) and self._prompt.messages is None:
            what = "the images" if images else "the model's chat template"
            raise SpecError(
                f"model.max_prompt_tokens is {limit}, but {what} alone can take {len(ids)} tokens; raise it"
            )
        return sum(tensor.nbytes for tensor in tensors.values())

    def _image(self, value: Any) -> Image.Image:
        prompt = self._prompt
        return decode_image(
            value,
            root=self._image_root,
            max_bytes=prompt.max_image_bytes,
            max_pixels=prompt.max_image_pixels,
            fit_pixels=self._spec.model.image_pixels,
        )

    def _read_chat(self, row: Mapping[str, Any]) -> Chat:
        return read_chat(row[self._prompt.messages or ""])

    def _encode_chat(self, row: Mapping[str, Any], images: list[Image.Image]) -> Encoded:
        chat = self._read_chat(row).with_texts(self._control.mark_beside)
        return self._tokenize(self._control.close(self._chat.render(chat.messages)), images)

    def _encode(self, values: dict[str, Any], images: list[Image.Image]) -> Encoded:
        marked = {column: self._control.mark(value) for column, value in values.items()}
        return self._tokenize(self._render(marked, len(images)), images)

    def _tokenize(self, text: str, images: list[Image.Image]) -> Encoded:
        """The token ids of a rendered prompt in which the row's control tokens are marked."""
        pieces = list(self._control.split(text))
        ids: list[int] = []
        tensors: dict[str, np.ndarray] = {}
        waiting, seen = images, []
        for at, (piece, is_spelled_out) in enumerate(pieces or [("", False)]):
            if is_spelled_out:
                new, new_tensors = self._control.ids_as_text(piece), {}
            else:
                num_images = min(piece.count(self._place), len(waiting)) if self._place else len(waiting)
                new, new_tensors = self._ids(piece, waiting[:num_images], is_first=at == 0)
                waiting = waiting[num_images:]
                seen += [piece] * bool(num_images)
            tensors = _extended(tensors, len(ids), new_tensors, len(new))
            ids += new
        if waiting:
            raise RowRejected(Code.PROMPT, "the rendered prompt has no place for its image")
        if len(seen) > 1:  # only the processor knows how the tensors of several images are laid out
            whole = self._ids("".join(seen), images, is_first=True)[1]
            tensors |= {name: tensor for name, tensor in whole.items() if name not in SEQUENCE_INPUTS}
        return Encoded(prompt_ids=ids, tensors=tensors)

    def _render(self, values: dict[str, Any], num_images: int) -> str:
        text = self._template.render(values, self._control.join)
        if self._is_chat:
            return self._chat.render(self._turns(text.user, text.system, num_images))
        return self._plain(text.user if text.system is None else f"{text.system}\n\n{text.user}", num_images)

    def _plain(self, text: str, num_images: int) -> str:
        return self._chat.image_token * num_images + text

    def _turns(self, user: str, system: str | None, num_images: int) -> list[Message]:
        """The system message and one turn of the user."""
        turns = [] if system is None else [Message(role="system", parts=(system,))]
        return [*turns, Message(role="user", parts=(*[None] * num_images, user))]

    def _place_of_image(self, prompt: str) -> str:
        """Gemma's template, for example, writes `boi_token`, of which its processor makes many image tokens."""
        tokens = [getattr(self._processor, name, None) for name in ("image_token", "boi_token")]
        return next((token for token in tokens if isinstance(token, str) and token in prompt), "")

    def _ids(self, piece: str, images: list[Image.Image], *, is_first: bool) -> tuple[list[int], dict[str, np.ndarray]]:
        special = is_first and self._adds_bos(piece)
        if not images:
            return self._tokenizer(piece, add_special_tokens=special)["input_ids"], {}
        batch = self._processor(text=[piece], images=images, return_tensors="pt", add_special_tokens=special)
        arrays = {name: np.asarray(value) for name, value in batch.items() if name != "attention_mask"}
        ids = arrays.pop("input_ids")[0].tolist()
        image_processor = self._processor.image_processor
        if image_processor.do_normalize and image_processor.do_rescale:
            levels, norm = quantise(arrays["pixel_values"], image_processor.image_mean, image_processor.image_std)
            arrays |= {"pixel_values": levels} if norm is None else {"pixel_values": levels, "pixel_norm": norm}
        return ids, arrays

    def _adds_bos(self, piece: str) -> bool:
        """Chat templates of text models write their own first token; those of processors may leave it out."""
        if self._is_chat and not self._sees:
            return False
        bos = self._tokenizer.bos_token
        return not (bos and piece.startswith(bos))

    def _without_tail(self, text: str, num_tokens: int) -> str:
        """The text less its last tokens, cut where a token begins."""
        batch = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts = [start for start, _ in batch["offset_mapping"]]
        return text[: starts[-num_tokens]] if num_tokens < len(starts) else ""


def _noise(num_pixels: int) -> Image.Image:
    side = max(1, int(num_pixels**0.5))
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def _extended(
    tensors: dict[str, np.ndarray], num_ids: int, new: dict[str, np.ndarray], num_new: int
) -> dict[str, np.ndarray]:
    """Per-token inputs go on with zeros where a piece has none; other tensors are those of the piece with images."""
    merged = {**tensors, **new}
    for name in SEQUENCE_INPUTS & merged.keys():
        before = tensors.get(name, np.zeros((1, num_ids), dtype=np.int64))
        after = new.get(name, np.zeros((1, num_new), dtype=np.int64))
        merged[name] = np.concatenate([before, after], axis=1)
    return merged
