"""One row in, what the model reads for each of its labels out.

The labels share one processor, the row's chat and its decoded images. Knows nothing of blocks or engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from PIL import Image

from relabel.data.images.picture import Fit
from relabel.data.images.root import open_root
from relabel.data.images.value import decode_image
from relabel.data.sources.formats.openai import SETTINGS
from relabel.errors import RowRejected, SourceUnreadable, SpecError
from relabel.job.encoding.conversation import Decode, PromptSource, Row
from relabel.job.encoding.encode import Encoder
from relabel.job.encoding.encoded import Encoded
from relabel.job.encoding.probe import PROBE_SECONDS, probe
from relabel.job.encoding.prompts import ChatPrompt, TemplatePrompt
from relabel.job.encoding.settings.own import OwnSettings, check_settings, read_settings
from relabel.job.encoding.tokenize import PromptTokenizer
from relabel.rejected import Code, Rejected
from relabel.spec import Spec

Begun = Callable[[], Encoded]
"""A rendered prompt: tokenizes it. Raises RowRejected."""
Done = TypeVar("Done")

STEP = 64
"""Rows that are rendered before they are tokenized. Of a thousand so much lives at once that Python's collector goes
through all that the process has imported three times as often, 0.2 s each time."""


class RowEncoder:
    """Encodes rows for all queries of a spec. Raises SpecError or ModelRefused where one and the model do not fit."""

    def __init__(self, spec: Spec, image_root: str | None, probe_seconds: float = PROBE_SECONDS) -> None:
        self._queries = spec.queries
        tokenizer = PromptTokenizer(spec.model, spec.prompt)
        self.writes_the_day = tokenizer.writes_the_day
        """Whether the prompts depend on the day, which `prompt.date` can settle."""
        self.reasoning = tokenizer.reasoning
        """The name of the format of the model's reasoning; None where none fits."""
        sources = _sources(spec, tokenizer)
        truncate = spec.prompt.truncate
        read = [source.columns(has_row=has_row) for source in sources for has_row in (False, True)]
        if truncate is not None and not any(columns.get(truncate) == "prompt" for columns in read):
            raise SpecError(f"prompt.truncate names {truncate!r}, which no template reads; name one that does")
        # labels whose prompts have the same shape have one probe: encoding the largest image takes seconds
        probes = {source.example: source for source in sources}
        probes = {shape: probe(tokenizer, source, spec.model, probe_seconds) for shape, source in probes.items()}
        for found in probes.values():
            _check_room(spec, found.num_tokens, has_images=bool(found.row_bytes))
        self._encoders = {
            source: Encoder(
                source,
                tokenizer,
                probes[source.example].image_place,
                spec.model.max_prompt_tokens,
                truncate,
                keeps_chat=spec.model.engine == "server" and spec.server.api == "chat",
            )
            for source in sources
        }
        self._sources = sources
        self.may_read = frozenset(column for columns in read for column in columns)
        """The source columns that the prompts name, whether or not one of the source is called `row`."""
        self.has_row = False
        """Whether the source has a column `row`: set by whoever has seen its columns."""
        self.settings = SETTINGS if spec.source.format == "openai" else None
        """The column of a row's own sampling settings, or None where rows have none."""
        self.row_bytes = max(found.row_bytes for found in probes.values())
        """Bytes of tensors that a row with images of the largest size becomes; 0 without images."""
        self._root = None if image_root is None else open_root(image_root)
        self._decode_image = partial(
            decode_image,
            root=self._root,
            max_bytes=spec.prompt.max_image_bytes,
            max_pixels=spec.prompt.max_image_pixels,
            fit=Fit(num_pixels=spec.model.image_pixels, edge=tokenizer.image_edge),
        )

    @property
    def columns(self) -> dict[str, str]:
        """The source columns the prompts need, each with the spec key that names it."""
        settings = {self.settings: "source.format"} if self.settings else {}
        read = [source.columns(has_row=self.has_row) for source in self._sources]
        return settings | {column: key for columns in read for column, key in columns.items()}

    def encode(self, row: Row) -> list[Encoded | Rejected]:
        """For each query what the model reads, or the reason why the row cannot be encoded for it."""
        return self._finished(self._begun(row))

    def encode_all(self, rows: Iterable[Row]) -> list[list[Encoded | Rejected]]:
        """The same of rows that are worked on together.

        Some are rendered before the first of them is tokenized: what a short loop needs stays in the caches of a core,
        and rows of text take a quarter less time. Images are held for one row at a time.
        """
        left, encoded = iter(rows), list[list[Encoded | Rejected]]()
        while begun := [self._begun(row) for row in islice(left, 1 if self.row_bytes else STEP)]:
            encoded += map(self._finished, begun)
        return encoded

    def _begun(self, row: Row) -> list[Begun | Rejected]:
        """For each query its rendered prompt; the same one for those that share it."""
        try:
            given = row[self.settings] if self.settings else None
            own = None if given is None else read_settings(given)
        except RowRejected as error:
            return [error.rejected] * len(self._queries)
        decode = self._decode_once()
        if own is None and len(self._sources) == 1:  # as nearly always
            source = self._sources[0]
            return [_or_rejected(partial(self._encoders[source].begin, row, decode, {}))]
        known: dict[PromptSource, Begun | Rejected] = {}
        begun: list[Begun | Rejected] = []
        for query, source in zip(self._queries, self._sources, strict=True):
            try:
                if own is not None:
                    check_settings(own, query)
            except RowRejected as error:
                begun.append(error.rejected)
                continue
            if source not in known:
                known[source] = _or_rejected(partial(_begin, self._encoders[source], row, decode, own))
            begun.append(known[source])
        return begun

    def _finished(self, begun: Sequence[Begun | Rejected]) -> list[Encoded | Rejected]:
        known = {one: one if isinstance(one, Rejected) else _or_rejected(one) for one in begun}
        return [known[one] for one in begun] if len(begun) > 1 else [*known.values()]

    def check_root(self) -> None:
        """Asked after the rows of a unit. Raises SourceUnreadable where the image root is why they have no images."""
        if self._root is not None:
            self._root.check()

    def prompt_texts(self, row: Row) -> list[str | None]:
        """The rendered prompt for each query, as far as there is one, of a row that cannot be encoded."""
        return [self._encoders[source].prompt_text(row) for source in self._sources]

    def _decode_once(self) -> Decode:
        """Decodes the images of one row, which are the same for all its labels."""
        images: list[Image.Image] | None = None

        def decode(values: Iterable[object]) -> list[Image.Image]:
            nonlocal images
            images = [self._decode_image(value) for value in values] if images is None else images
            return images

        return decode


def _sources(spec: Spec, tokenizer: PromptTokenizer) -> tuple[PromptSource, ...]:
    """One for each query; the same for all where the row brings the whole chat."""
    if spec.prompt.messages is not None:
        chat = ChatPrompt(spec.prompt, takes_images=tokenizer.takes_images)
        return (chat,) * len(spec.queries)
    return tuple(TemplatePrompt(query.prompt) for query in spec.queries)


def _check_room(spec: Spec, num_tokens: int, *, has_images: bool) -> None:
    """A chat may be as long as it likes, and is rejected by itself."""
    limit = spec.model.max_prompt_tokens
    if num_tokens > limit and spec.prompt.messages is None:
        what = "the images" if has_images else "the model's chat template"
        raise SpecError(f"model.max_prompt_tokens is {limit}, but {what} alone can take {num_tokens} tokens; raise it")


def _begin(encoder: Encoder, row: Row, decode: Decode, own: OwnSettings | None) -> Begun:
    if own is None:
        return encoder.begin(row, decode, {})
    tokenize = encoder.begin(row, decode, own.template_variables)
    return lambda: replace(tokenize(), settings=own)


def _or_rejected(work: Callable[[], Done]) -> Done | Rejected:
    """What is done of one row, or the reason why it cannot be."""
    try:
        return work()
    except RowRejected as error:
        return error.rejected
    except SourceUnreadable:
        raise
    except Exception as error:  # noqa: BLE001  the boundary of a row: a processor that cannot take it
        return Rejected(Code.PROMPT, f"it cannot be encoded ({type(error).__name__})")
