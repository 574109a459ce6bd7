"""A JSON schema of five fields, valid documents of it, and a byte-level tokenizer trained on code and on them."""

import json
import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

LABEL = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 60},
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "topic": {"enum": ["science", "sports", "politics", "culture", "other"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "safe": {"type": "boolean"},
    },
    "required": ["title", "score", "topic", "tags", "safe"],
    "additionalProperties": False,
}


def trained_tokenizer(size: int = 32_000, characters: int = 12_000_000) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer, in about 15 s: sources of the standard library, and labels as JSON."""

    def texts() -> Iterator[str]:
        left, root = characters, Path(sysconfig.get_path("stdlib"))
        for path in sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts):
            text = path.read_text(encoding="utf-8", errors="ignore")
            if (left := left - len(text)) < 0:
                break
            yield text
        yield from labels(2000, seed=1)

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet, special = pre_tokenizers.ByteLevel.alphabet(), ["<pad>", "<s>", "</s>"]
    some = {"initial_alphabet": alphabet, "special_tokens": special, "show_progress": False}
    trainer = trainers.BpeTrainer(vocab_size=size, **some)
    tokenizer.train_from_iterator(texts(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", bos_token="<s>", pad_token="<pad>")


def labels(number: int, seed: int = 0) -> list[str]:
    """Valid documents of LABEL."""
    draw, topics = random.Random(seed), LABEL["properties"]["topic"]["enum"]
    words = ["a", "small", "red", "table", "café", "東京", "of", "the", "house", "said", "“no”", "12", "(left)"]

    def some(most: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(1, most)))

    return [
        json.dumps(
            {
                "title": some(10)[:60],
                "score": draw.randint(0, 10),
                "topic": draw.choice(topics),
                "tags": [some(2) for _ in range(draw.randint(0, 4))],
                "safe": draw.random() < 0.5,
            },
            ensure_ascii=False,
        )
        for _ in range(number)
    ]
