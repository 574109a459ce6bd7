"""The text of a first spec: what is to be asked of the data, with comments about what else can be.

Total: of any columns it makes a spec that loads. Reads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

import yaml

from relabel.data.draft.columns import Column, Holds
from relabel.data.draft.form import Data
from relabel.data.prompts.template import PromptTemplate
from relabel.errors import SpecError
from relabel.spec import Prompt
from relabel.spec.section import RESERVED_COLUMNS

VISION_MODEL = "Qwen/Qwen2.5-VL-7B-Instruct"
TEXT_MODEL = "Qwen/Qwen2.5-7B-Instruct"

_SPOKEN_OF = re.compile(r"caption|alt|text|title|desc|prompt|label|txt", re.IGNORECASE)
_SHORT, _LONG = 2_000, 20_000
_NUM_NAMED = 30


def spec_text(data: Data, columns: Sequence[Column], *, model: str | None, output: str, has_gpu: bool) -> str:
    """A YAML spec of the data, commented.

    `model` is the one to name in it, None for one that people take for such data; `output` the folder of the labels;
    `has_gpu` whether the machine that it is drafted on has one.
    """
    by = {holds: [column for column in columns if column.holds is holds] for holds in Holds}
    images = _images(by[Holds.IMAGE])
    is_batch = data.source.format == "openai"
    keep = [column.name for column in by[Holds.KEY] if column.name not in RESERVED_COLUMNS]
    named = [column.name for column in columns]
    label = next(name for name in ("caption" if images else "answer", "new_text", "relabelled") if name not in named)
    default = VISION_MODEL if images else TEXT_MODEL
    lines = [
        "# yaml-language-server: $schema=relabel.schema.json",
        "# Drafted by `relabel init`. `relabel preview` shows the prompts of the first rows, `relabel plan` counts,",
        "# `relabel run` labels. With the file of `relabel schema > relabel.schema.json` an editor explains each key.",
        "source:",
        f"  path: {_yaml(data.source.path)}",
        f"  format: {data.source.format}",
        *([] if is_batch else _seen(columns)),
        *_prompt(by, images, is_batch=is_batch),
        "model:",
        f"  path: {_yaml(model or default)}{'' if model else '   # a folder, or a name on the Hugging Face hub'}",
        "  # revision: the 40 digits of a commit, so that each run loads the same model",
        f"  max_prompt_tokens: {_max_prompt_tokens(columns)}           # a row with a longer prompt is rejected",
        "sampling:",
        "  max_new_tokens: 256",
        "  temperature: 0.0                 # above 0 texts are drawn; with a seed the same ones each time",
    ]
    if not is_batch:
        lines += [
            "label:",
            "  parse: text                      # or last_line, regex, choice, json",
            f"  column: {label}",
            "  # parse: choice                  # the answer is one of these, and nothing else is generated:",
            "  # choices: [good, bad]",
            "  # parse: json                    # the answer is an object, whose properties become typed columns:",
            "  # json_schema: {type: object, properties: {kind: {type: string}, year: {type: integer}}}",
        ]
    lines += ["output:", f"  path: {_yaml(output)}"]
    if not is_batch:
        lines.append(f"  keep: {_yaml(keep)}".ljust(34) + " # columns that are copied beside the label")
    lines += [
        "resources:",
        "  actors: 1                        # processes that hold the model, such as one for each GPU",
        f"  gpus_per_actor: {int(has_gpu)}                # "
        + ("0 generates on the CPU" if has_gpu else "this machine has no GPU; 1 where one is there"),
    ]
    return "\n".join(lines) + "\n"


def template_name(column: str) -> str:
    """How a template names a column: as it is where Jinja reads it so, else as a key of `row`."""
    with suppress(SpecError):
        if PromptTemplate(Prompt(user=f"{{{{ {column} }}}}")).columns() == {column}:
            return column
    letters = (
        one if one.isprintable() else ascii(one)[1:-1] for one in column.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'row["{"".join(letters)}"]'


def _images(columns: Sequence[Column]) -> list[Column]:
    """Those that are pictures of their own: a path beside the bytes names the same picture, and so does a suffix."""
    if own := [column for column in columns if column.name == "image"]:
        return own
    encoded = [column for column in columns if column.kind != "string"]
    return encoded or list(columns)


def _prompt(by: dict[Holds, list[Column]], images: list[Column], *, is_batch: bool) -> list[str]:
    if is_batch:
        return ["# each line brings its own messages, images and sampling settings"]
    lines = ["prompt:"]
    if by[Holds.CHAT]:
        chat = by[Holds.CHAT][0]
        whole = f"messages: {_yaml(chat.name)}"
        if chat.question:
            lines += ["  user: |-", f"    {{{{ {template_name(chat.name)}{chat.question} }}}}"]
            lines += [f"  # {whole}, in place of user, takes chats whose last message is the user's; or answers that"]
            lines += ["  # were begun, with continue_final_message: true"]
        else:
            lines.append(f"  {whole}")
    elif images:
        hints = [column for column in by[Holds.TEXT] if _SPOKEN_OF.search(column.name)]
        lines += ["  user: |-", "    Describe this image in one or two plain sentences."]
        lines += [f"    It was called: {{{{ {template_name(hint.name)} }}}}" for hint in hints[:1]]
    else:
        texts = sorted(by[Holds.TEXT], key=lambda column: -column.num_characters) or by[Holds.KEY] or by[Holds.OTHER]
        lines += ["  user: |-", "    Rewrite this text in plain words. Answer with the new text alone.", ""]
        lines += [f"    {{{{ {template_name(text.name)} }}}}" for text in texts[:1]]
    if images:
        names = [column.name for column in images]
        lines.append(f"  image: {_yaml(names[0] if len(names) == 1 else names)}")
    return lines


def _seen(columns: Sequence[Column]) -> list[str]:
    """A comment for each column."""
    lines = [f"  # {_yaml(column.name)}: {_what(column)}" for column in columns[:_NUM_NAMED]]
    rest = len(columns) - len(lines)
    return ["  # columns:", *lines, *([f"  # and {rest} more"] if rest else [])]


def _what(column: Column) -> str:
    if column.holds is Holds.TEXT:
        return f"text of some {column.num_characters} characters"
    if column.holds is Holds.ADDRESS:
        return "web addresses, which are not fetched: download what they name, and read it from a folder"
    return (
        f"{column.holds} ({column.kind})" if len(column.kind) < 40 and column.kind.isprintable() else str(column.holds)
    )


def _max_prompt_tokens(columns: Sequence[Column]) -> int:
    longest = max((column.num_characters for column in columns if column.holds is Holds.TEXT), default=0)
    return 2048 if longest < _SHORT else 8192 if longest < _LONG else 32768


def _yaml(value: str | list[str]) -> str:
    """A value on one line."""
    style = None if "".join(value).isprintable() else '"'  # in it a line's end, such as U+0085, is written as an escape
    text = yaml.safe_dump(value, default_flow_style=True, default_style=style, allow_unicode=True, width=2**30)
    return text.removesuffix("...\n").rstrip("\n")
