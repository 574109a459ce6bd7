"""What the user writes: one frozen spec, checked once at the edge and trusted inside.

`source`, `prompt`, `model`, `sampling`, `label` and `output` decide the result; `resources` decides only speed.
Knows nothing of files, models or Ray.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError, field_validator, model_validator

from relabel.errors import SpecError

RESERVED_COLUMNS = frozenset(
    ("source_file", "source_row", "text", "status", "reason", "finish_reason", "prompt_tokens", "output_tokens")
)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Section):
    """Where the rows are."""

    path: str | list[str]
    """A file, folder, glob or URL, or a list of them. Local, s3://, gs://, hf:// or any fsspec URL."""
    format: Literal["parquet", "jsonl", "csv", "webdataset", "images"]
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


class Prompt(_Section):
    """What the model is shown of a row: sandboxed Jinja2 over the row's columns."""

    user: str
    system: str | None = None
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

    @property
    def images(self) -> list[str]:
        if self.image is None:
            return []
        return [self.image] if isinstance(self.image, str) else list(self.image)


class Model(_Section):
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


class Sampling(_Section):
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
    stop: list[Annotated[str, Field(min_length=1)]] = []
    """Texts that end a row; they are not part of the label."""
    stop_token_ids: list[Annotated[int, Field(ge=0)]] = []
    """Tokens that end a row; by default the model's own: its EOS list and its tokenizer's end of turn."""

    @model_validator(mode="after")
    def _can_end(self) -> Sampling:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError("min_new_tokens is larger than max_new_tokens")
        return self


class Label(_Section):
    """How the label is taken from the generated text."""

    parse: Literal["text", "last_line"] = "text"
    """`text` is the whole text, stripped; `last_line` its last line that is not blank."""
    column: str = "label"

    @field_validator("column")
    @classmethod
    def _is_free(cls, column: str) -> str:
        if column in RESERVED_COLUMNS:
            raise ValueError(f"{column!r} is a column that relabel writes itself; choose another name")
        return column


class Output(_Section):
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


class Resources(_Section):
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


class Spec(_Section):
    """One job: every row of `source` gets one label, in `output`."""

    source: Source
    prompt: Prompt
    model: Model
    sampling: Sampling = Sampling()
    label: Label = Label()
    output: Output
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _columns_do_not_clash(self) -> Spec:
        if self.label.column in self.output.keep:
            raise ValueError(f"label.column {self.label.column!r} is also in output.keep; rename one of them")
        return self


def load_spec(path: str | Path, overrides: list[str] | None = None) -> Spec:
    """Read a YAML spec and apply `a.b=c` overrides, values in YAML. Raises SpecError with the place and the remedy."""
    try:
        fields = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict):
        raise SpecError(f"{path} must hold the sections {', '.join(Spec.model_fields)}")
    for override in overrides or []:
        _set(fields, override)
    return make_spec(fields, where=str(path))


def make_spec(fields: dict[str, Any], where: str = "spec") -> Spec:
    """Check plain fields (from YAML or Python). Raises SpecError naming every wrong key and the nearest known one."""
    try:
        return Spec.model_validate(fields)
    except ValidationError as error:
        raise SpecError("\n".join(f"{where}: {_sentence(problem)}" for problem in error.errors())) from error


def _set(fields: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    section, dot, name = key.partition(".")
    if not (equals and dot and section and name) or "." in name:
        raise SpecError(f"--set takes section.key=value, for example sampling.seed=7; got {override!r}")
    target = fields.setdefault(section, {})
    if not isinstance(target, dict):
        raise SpecError(f"--set {key}: {section} is not a section")
    try:
        target[name] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SpecError(f"--set {key}: {value!r} is not a YAML value") from error


def _sentence(problem: Any) -> str:
    place = ".".join(str(step) for step in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *section, key = problem["loc"]
        known = list(Spec.model_fields if not section else _fields_of(str(section[0])))
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.0)
        return f"unknown key {place}; did you mean {near[0]}?" if near else f"unknown key {place}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])


def _fields_of(section: str) -> list[str]:
    annotation = Spec.model_fields[section].annotation if section in Spec.model_fields else None
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
