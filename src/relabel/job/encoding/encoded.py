"""What becomes of a row before the engine: token ids and tensors. Values alone; imports no tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from relabel.job.encoding.settings.own import OwnSettings
from relabel.rejected import Rejected

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A row as the engine takes it."""

    prompt_ids: list[int]
    tensors: Tensors = field(default_factory=dict)
    text: str = ""
    """The prompt that was tokenized, as `preview` shows it."""
    chat: tuple[tuple[str, str], ...] = ()
    """The same as messages, each a role and a text, where the engine takes these; empty for all others."""
    reply_start: str = ""
    """What the chat template wrote behind the messages: where the model's own text begins, and perhaps its thoughts."""
    remark: str | None = None
    """`truncated: ...` where the prompt was cut to fit."""
    settings: OwnSettings | None = None
    """The row's own sampling settings; None where its source has none."""


def with_remark(one: Encoded | Rejected, remark: str) -> Encoded | Rejected:
    """The same with one more remark; a reason is left as it is."""
    if isinstance(one, Rejected):
        return one
    return replace(one, remark=remark if one.remark is None else f"{one.remark}; {remark}")
