"""The chat template of a model as transformers compiles it: its text, its environment, and what it may read.

Knows no messages, and renders nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment
from transformers.utils.chat_template_utils import _compile_jinja_template  # pyright: ignore[reportPrivateUsage]


def source_of(holder: object) -> str | None:
    """The chat template of a processor or tokenizer; of several the one called `default`. None where there is none."""
    template = getattr(holder, "chat_template", None)
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) and template else None


def template_in(folder: Path) -> str | None:
    """The chat template that lies in a folder, as `save_pretrained` of a tokenizer leaves one beside an adapter."""
    with suppress(OSError, ValueError, RecursionError):
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    with suppress(OSError, ValueError, RecursionError, AttributeError):
        template = json.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template")
        return template if isinstance(template, str) and template else None
    return None


def environment_of(source: str) -> Environment:
    """The sandbox in which transformers renders a chat template. Raises TemplateError where that is not valid."""
    return _compile_jinja_template(source).environment
