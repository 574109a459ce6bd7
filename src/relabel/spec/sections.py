"""The sections that say where rows are, what the model is shown of them, and how it answers.

Knows nothing of files, models or Ray.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import ByteSize, Field, field_validator, model_validator

from relabel.spec.section import RESERVED_COLUMNS, Section


class Source(Section):
    """Where the rows are."""

    path: str | list[str]
    """A file, folder, glob or URL, or a list of them. Local, s3://, gs://, hf:// or any fsspec URL."""
    format: Literal["parquet", "jsonl", "csv", "webdataset", "images", "openai"]
    """`openai`: batch files of OpenAI's API. Each row brings its messages and its own sampling settings."""
    unit_rows: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Rows in one unit of work; by default 1,024 rows of text, or at most 128 rows with images."""
    image_root: str | None = None
    """The folder that paths in an image column may not leave; by default the folder of the source."""

    @field_validator("path")
    @classmethod
    def _is_not_empty(cls, path: str | list[str]) -> str | list[str]:
        if not path or any(not pattern for pattern in path):
            raise ValueError("name at least one path")
        return path

    @property
    def paths(self) -> list[str]:
        return [self.path] if isinstance(self.path, str) else list(self.path)


class Prompt(Section):
    """What the model is shown of a row: sandboxed Jinja2 over the row's columns."""

    user: str | None = None
    system: str | None = None
    messages: str | None = None
    """In place of `user` and `system`: the column that holds a whole chat, a list of `{role, content}` or its JSON."""
    image: str | list[str] | None = None
    """The column or columns that hold images: bytes, `{bytes, path}` structs, or paths under the image root."""
    chat: Literal["always", "never"] = "always"
    """`always` uses the model's chat template; `never` sends the rendered text as it is."""
    chat_template_kwargs: dict[str, bool | int | float | str] = {}
    """Options of the model's chat template, for example `{enable_thinking: false}` for Qwen3."""
    truncate: str | None = None
    """The column whose text may be cut so that a prompt fits `model.max_prompt_tokens`; else the row is rejected."""
    max_image_bytes: Annotated[int, Field(ge=1)] = 32 * 2**20
    """A larger encoded image is rejected before it is decoded."""
    max_image_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    """An image with more pixels (width x height) is rejected before it is decoded."""

    @model_validator(mode="after")
    def _is_one_prompt(self) -> Prompt:
        if self.messages is not None and not (self.user is self.system is self.truncate is None):
            raise ValueError("messages holds the whole chat: leave out user, system and truncate")
        if self.messages is not None and self.chat == "never":
            raise ValueError("messages need the model's chat template: leave out chat: never")
        if self.messages is not None and self.images:
            raise ValueError("messages holds the whole chat, its images too (as data: URLs): leave out image")
        return self

    @property
    def images(self) -> list[str]:
        if self.image is None:
            return []
        return [self.image] if isinstance(self.image, str) else list(self.image)


class Model(Section):
    """Which model, loaded how."""

    path: str
    """A folder, or a name on the Hugging Face hub."""
    revision: str | None = None
    """A commit of the hub repository, 40 hexadecimal digits; a branch name is refused because it moves."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_prompt_tokens: Annotated[int, Field(ge=1)] = 2048
    image_pixels: Annotated[int, Field(ge=1)] = 1_003_520
    """An image with more pixels is scaled down to this before the model's own processor sees it."""

    @field_validator("revision")
    @classmethod
    def _stays(cls, revision: str | None) -> str | None:
        if revision is not None and not re.fullmatch(r"[0-9a-f]{40}", revision):
            raise ValueError(
                f"{revision!r} is not a commit (40 hexadecimal digits); a branch or tag may move under a run"
            )
        return revision


class Sampling(Section):
    """How tokens are chosen. Temperature 0 is greedy; nothing is taken from the checkpoint's own defaults."""

    max_new_tokens: Annotated[int, Field(ge=1)] = 256
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    """0 keeps the whole vocabulary."""
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Tokens less probable than this fraction of the most probable one are left out."""
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Above 1 makes tokens that the prompt or the text holds already less probable."""
    min_new_tokens: Annotated[int, Field(ge=0)] = 0
    """A row does not end before this many tokens."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    num_samples: Annotated[int, Field(ge=1, le=256)] = 1
    """Texts for each row, each with a draw of its own. Above 1 the columns of a label hold lists."""
    stop: list[Annotated[str, Field(min_length=1)]] = []
    """Texts that end a row; they are not part of the label."""
    stop_token_ids: list[Annotated[int, Field(ge=0)]] = []
    """Tokens that end a row; by default the model's own: its EOS list and its tokenizer's end of turn."""

    @model_validator(mode="after")
    def _can_end(self) -> Sampling:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError("min_new_tokens is larger than max_new_tokens")
        return self


class Output(Section):
    """Where parts go, and which source columns go with them."""

    path: str
    keep: list[str] = []

    @field_validator("keep")
    @classmethod
    def _are_free(cls, keep: list[str]) -> list[str]:
        if taken := sorted(RESERVED_COLUMNS & set(keep)):
            raise ValueError(f"{taken[0]!r} is a column that relabel writes itself; rename it in the source")
        if len(set(keep)) < len(keep):
            raise ValueError("a column is named twice")
        return keep


class Resources(Section):
    """Speed only: may change between runs of the same recipe."""

    actors: Annotated[int, Field(ge=1)] = 1
    gpus_per_actor: Annotated[float, Field(ge=0, le=1)] = 1.0
    """0 runs the model on CPUs; a fraction lets actors share a GPU, whose memory `kv_memory` then divides. One model on
    several GPUs is not supported."""
    batching: Literal["auto", "continuous", "static"] = "auto"
    """`auto` and `continuous` never pad and never wait for the longest row; where a model does not allow it, or the
    check at the start finds a difference, `static` takes its place and the log says why."""
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """Padded tokens (prompt and new) in one static batch; by default from the memory that is free."""
    kv_memory: ByteSize | None = None
    """Keys and values of the continuous engine, for example 20GiB; by default what is left of the memory."""
    deadline: Annotated[float, Field(gt=0, le=7 * 86400)] = 1800.0
    """Seconds in which a unit must be read, or published, and a model must come one step further; a process that hangs
    for longer is ended and its unit tried again."""
