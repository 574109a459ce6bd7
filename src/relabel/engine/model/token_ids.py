"""A text's token ids alone. Where in the text each token stands nobody asks, and to tell it takes half of the time.

The ids are those of transformers: the short way is taken for tokenizers whose call leads, unchanged, to the library
that it uses, and whose ids were the same both ways when they were loaded. Knows nothing of prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from transformers import PreTrainedTokenizerFast

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

_ON_THE_WAY = (
    "__call__",
    "_encode_plus",
    "_convert_encoding",
    "_get_padding_truncation_strategies",
    "backend_tokenizer",
    "set_truncation_and_padding",
)
"""What transformers' own call consists of."""
_TRIED = (
    "",
    " ",
    "a",
    "\n\n x",
    "One of two, isn't it?  12,345.67\t",
    "Grüße, 漢字かな한글 العربية 👩‍👩‍👧 e\u0301",
    "\x00\ufffd\u200b",
)

Ids = Callable[..., list[int]]


def ids_of(loaded: PreTrainedTokenizerBase | ProcessorMixin) -> Ids:
    """A function of a text and of whether the tokenizer adds its special tokens: the ids that its own call gives."""

    tokenizer = cast("PreTrainedTokenizerBase", getattr(loaded, "tokenizer", loaded))

    def usual(text: str, *, add_special_tokens: bool) -> list[int]:
        return tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"]

    if not isinstance(tokenizer, PreTrainedTokenizerFast) or not _is_plain(tokenizer):
        return usual
    backend = tokenizer.backend_tokenizer

    def short(text: str, *, add_special_tokens: bool) -> list[int]:
        if (
            backend.truncation is not None
            or backend.padding is not None
            or backend.encode_special_tokens != tokenizer.split_special_tokens
        ):
            return usual(text, add_special_tokens=add_special_tokens)  # which sets them as they should be
        try:
            return backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids
        except Exception:  # noqa: BLE001  the library raises nothing narrower; what transformers raises is what is told
            return usual(text, add_special_tokens=add_special_tokens)

    added = "".join(token.content for token in tokenizer.added_tokens_decoder.values() if len(token.content) < 99)
    for text in (*_TRIED, f"a{added[:4000]} b"):
        for adds in (False, True):
            if short(text, add_special_tokens=adds) != usual(text, add_special_tokens=adds):
                return usual
    return short


def _is_plain(tokenizer: PreTrainedTokenizerFast) -> bool:
    if hasattr(tokenizer, "_switch_to_input_mode"):
        return False
    made = type(tokenizer)
    return all(
        getattr(made, name, None) is getattr(PreTrainedTokenizerFast, name, None) and name not in vars(tokenizer)
        for name in _ON_THE_WAY
    )
