"""The sections that say what the model is shown of a row, how it answers, and where its labels go.

Knows nothing of files, models or Ray.
"""

from __future__ import annotations

import re
from datetime import date as Day
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from relabel.spec.engines.keys import EngineName
from relabel.spec.running.table import Table
from relabel.spec.section import RESERVED_COLUMNS, Section

NOT_OF_THE_TEMPLATE = {
    "add_generation_prompt": "the model's turn is always opened, or set prompt.continue_final_message: true",
    "continue_final_message": "set prompt.continue_final_message: true",
    "chat_template": "the template is the model's own; change it in the model's folder",
    "messages": "name the column of a chat in prompt.messages",
    "strftime_now": "set prompt.date to the day that the template takes for today",
    **dict.fromkeys(("tools", "documents"), "prompts have neither tools nor documents"),
    **dict.fromkeys(
        ("tokenize", "return_dict", "return_tensors", "padding", "truncation", "max_length"),
        "prompts are always tokenized, to the length of model.max_prompt_tokens",
    ),
}
"""Flags of `apply_chat_template` and what relabel gives the template itself, each with what to write in its place."""


class Prompt(Section):
    """What the model reads of a row. Templates are Jinja2, run in a sandbox over the row's columns."""

    user: str | None = None
    """The template of the user's message, for example `Describe the image. Its alt text was: {{ alt_text }}`."""
    system: str | None = None
    """The template of the system message. Without it the chat has none, unless the model's chat template adds one."""
    messages: str | None = None
    """The column that holds a whole chat, as a list of `{role, content}` or its JSON. It replaces `user` and
    `system`."""
    image: str | list[str] | None = None
    """The column or columns of images: encoded bytes, base64 text, `{bytes, path}` structs, paths under
    `source.image_root`, or lists of these."""
    chat: Literal["always", "never"] = "always"
    """Whether the prompt goes through the model's chat template (`always`) or is sent as it is rendered (`never`)."""
    chat_template_kwargs: dict[str, bool | int | float | str] = {}
    """Options of the model's chat template, for example `{enable_thinking: false}` for Qwen3."""
    continue_final_message: bool = False
    """Whether the model goes on with the last message of a chat in `messages` where that is the assistant's. Without it
    such a row is rejected."""
    date: Day | None = None
    """The day that a chat template takes for today where it writes one, as Llama 3.2's does. The default is the day of
    the first run, which the output keeps."""
    truncate: str | None = None
    """The column whose text is cut where a prompt exceeds `model.max_prompt_tokens`. Without it such a row is
    rejected."""
    max_image_bytes: Annotated[int, Field(ge=1)] = 32 * 2**20
    """The most bytes of an encoded image. A row with a larger one is rejected before the image is decoded."""
    max_image_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    """The most pixels (width x height) of an image. A row with a larger one is rejected before the image is decoded."""

    @field_validator("chat_template_kwargs")
    @classmethod
    def _are_the_templates(cls, variables: dict[str, bool | int | float | str]) -> dict[str, bool | int | float | str]:
        for name, remedy in NOT_OF_THE_TEMPLATE.items():
            if name in variables:
                raise ValueError(f"{name} is no option of a chat template: {remedy}")
        return variables

    @model_validator(mode="after")
    def _is_one_prompt(self) -> Prompt:
        if self.messages is not None and not (self.user is self.system is self.truncate is None):
            raise ValueError("messages holds the whole chat: leave out user, system and truncate")
        if self.messages is not None and self.chat == "never":
            raise ValueError("messages need the model's chat template: leave out chat: never")
        if self.continue_final_message and self.messages is None:
            raise ValueError("continue_final_message goes with messages, a chat whose last message may be begun")
        return self

    @property
    def images(self) -> list[str]:
        if self.image is None:
            return []
        return [self.image] if isinstance(self.image, str) else list(self.image)


class Model(Section):
    """Which model is loaded, and how."""

    path: str
    """The folder of a checkpoint, its name on the Hugging Face hub, or the URL of its folder in a bucket (s3://, gs://,
    az://), which each node copies once. Weights are read from safetensors files only."""
    revision: str | None = None
    """The commit of the hub repository, 40 hexadecimal digits; a branch or tag is refused because it moves. The
    default is the newest commit: once there is a newer one, a further run into the same output is refused. For a model
    in a bucket it is made of the names, sizes and e-tags of its files."""
    adapter: str | None = None
    """The folder of a LoRA adapter (`adapter_config.json` and `adapter_model.safetensors`), which is merged into the
    model's weights when it is loaded. The default is the adapter that lies in the model's own folder, if there is one.
    """
    engine: EngineName = "relabel"
    """What generates: relabel's own engine, vLLM in the same process, or servers. `auto` is vLLM where it and a GPU are
    on the machine of the command and it knows the model, else relabel's own; further runs into an output keep the first
    one's choice."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """The number type of weights and activations. `auto` is the one that the checkpoint was saved in."""
    max_prompt_tokens: Annotated[int, Field(ge=1)] = 2048
    """The most tokens of a prompt, chat template and images included. A row with more is rejected, or cut where
    `prompt.truncate` names a column."""
    image_pixels: Annotated[int, Field(ge=1)] = 1_003_520
    """The most pixels (width x height) of an image that the model sees. A larger one is scaled down before the model's
    own processor runs, unless that makes pictures of one size itself."""

    @field_validator("revision")
    @classmethod
    def _stays(cls, revision: str | None) -> str | None:
        if revision is not None and not re.fullmatch(r"[0-9a-f]{40}", revision):
            raise ValueError(
                f"{revision!r} is not a commit (40 hexadecimal digits); a branch or tag may move under a run"
            )
        return revision


class Sampling(Section):
    """How tokens are chosen. Nothing is taken from the checkpoint's own sampling defaults."""

    max_new_tokens: Annotated[int, Field(ge=1)] = 256
    """The most tokens of a generated text. A text that reaches it is cut off, with `finish_reason: length`."""
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    """The sampling temperature. The default of 0 is greedy decoding: always the most probable token."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: only the most probable tokens whose probabilities reach this sum are drawn. 1 keeps all."""
    top_k: Annotated[int, Field(ge=0)] = 0
    """Only this many of the most probable tokens are drawn. The default of 0 keeps the whole vocabulary."""
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Tokens less probable than this fraction of the most probable one are not drawn. The default of 0 keeps all."""
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] = 1.0
    """Above 1, tokens that the prompt or the text already holds become less probable. The default of 1 changes
    nothing."""
    min_new_tokens: Annotated[int, Field(ge=0)] = 0
    """The fewest tokens of a generated text: before them no stop token is chosen. The default of 0 sets no minimum."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The seed of all random draws. Equal seeds give a row the same draws, in any batch, order or resumed run."""
    num_samples: Annotated[int, Field(ge=1, le=256)] = 1
    """The number of texts generated for each row. Above 1, and without `label.vote`, the columns of a label hold
    lists."""
    stop: list[Annotated[str, Field(min_length=1)]] = []
    """Texts at which generation ends. A stop text is not part of the label."""
    stop_token_ids: list[Annotated[int, Field(ge=0)]] = []
    """Token ids at which generation ends. The default is the model's own: its EOS tokens and the tokenizer's end of
    turn."""

    @model_validator(mode="after")
    def _can_end(self) -> Sampling:
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError("min_new_tokens is larger than max_new_tokens")
        return self


class Output(Section):
    """Where the labels are written, and which source columns go with them."""

    path: str
    """The folder or URL of the output, local, s3://, gs:// or az://. It is new, empty, of the same recipe,
    or without any part yet."""
    keep: list[str] | Literal["all"] = []
    """Source columns that are copied to the output as they are, for example an id. `all` is every column but those of
    bytes and those whose names the output has."""
    table: Table | None = None
    """The Delta, Iceberg or Lance table that all rows are committed to once they are complete. It may change between
    runs of one recipe."""

    @property
    def named(self) -> list[str]:
        """The columns that `keep` names, each of which the source must have."""
        return [] if self.keep == "all" else self.keep

    @field_validator("keep", mode="before")
    @classmethod
    def _is_a_list(cls, keep: object) -> object:
        if isinstance(keep, str) and keep != "all":
            raise ValueError("write a list of columns, such as [id], or all")
        return keep

    @field_validator("keep")
    @classmethod
    def _are_free(cls, keep: list[str] | Literal["all"]) -> list[str] | Literal["all"]:
        if keep == "all":
            return keep
        if taken := sorted(RESERVED_COLUMNS & set(keep)):
            raise ValueError(f"{taken[0]!r} is a column that relabel writes itself; rename it in the source")
        if len(set(keep)) < len(keep):
            raise ValueError("a column is named twice")
        return keep
