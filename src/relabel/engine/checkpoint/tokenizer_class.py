"""Which class of transformers loads a tokenizer, told of the usual models without AutoTokenizer, which imports torch.

That is 1.2 s of a command that needs no more of torch. A test holds the table to what AutoTokenizer itself chooses, in
the version that it was written for; all else is left to AutoTokenizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import transformers

from relabel.engine.checkpoint.files import read_json
from relabel.errors import Refused

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = "5.23."
"""Of transformers; others may choose otherwise."""
_BYTES, _PLAIN = "GPT2Tokenizer", "TokenizersBackend"
CLASSES = {
    ("gemma2", "GemmaTokenizer"): "GemmaTokenizer",
    ("gemma3_text", "GemmaTokenizer"): "GemmaTokenizer",
    ("gpt2", _BYTES): _BYTES,
    ("gpt_oss", _PLAIN): _PLAIN,
    ("granite", _BYTES): _PLAIN,
    ("llama", _BYTES): _BYTES,
    ("llama", _PLAIN): _PLAIN,
    ("olmo2", _BYTES): _PLAIN,
    ("qwen2", "Qwen2Tokenizer"): "Qwen2Tokenizer",
    ("qwen3", "Qwen2Tokenizer"): "Qwen2Tokenizer",
    ("qwen3_moe", "Qwen2Tokenizer"): "Qwen2Tokenizer",
    ("smollm3", _PLAIN): _PLAIN,
}
"""By the type of the model and the class that its tokenizer's config names, by its name of today."""
_ALSO = {"PreTrainedTokenizerFast": _PLAIN}


def usual_loader(folder: Path, config: Mapping[str, object]) -> Callable[..., PreTrainedTokenizerBase] | None:
    """`from_pretrained` of the class that AutoTokenizer would choose for a folder; None where only it knows."""
    if not transformers.__version__.startswith(VERSION) or not folder.is_absolute() or "model_name" in config:
        return None
    with suppress(Refused):  # AutoTokenizer says what is wrong with it
        named = read_json(folder / "tokenizer_config.json")
        declared = str(named.get("tokenizer_class"))
        declared = _ALSO.get(declared, declared.removesuffix("Fast"))
        found = CLASSES.get((str(config.get("model_type")), declared))
        if found is not None and "auto_map" not in named and (folder / "tokenizer.json").is_file():
            return getattr(transformers, found).from_pretrained
    return None
