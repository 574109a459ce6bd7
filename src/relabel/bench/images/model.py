"""The vision-language models that are benchmarked: a small Idefics3 with random weights, or the user's own.

Knows how they are made and loaded; nothing of pictures or time.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import Idefics3Config, Idefics3ForConditionalGeneration, Idefics3Processor, PreTrainedTokenizerFast
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from relabel.bench.model import SMALL, Model, load_folder
from relabel.engine.model.processor import load_processor
from relabel.errors import ModelRefused

if TYPE_CHECKING:
    from transformers import ProcessorMixin

QUESTION = "Describe the image ."
"""What is asked of every image."""
EDGE, TILE, PATCH, MERGED = 448, 224, 16, 4
"""An image is scaled to the edge and cut into tiles, beside which it is seen once more as a whole. Patches of a square
of MERGED become one token."""
IMAGE_TOKENS = (TILE // PATCH) ** 2 // MERGED
"""Of a tile."""
VISION = {
    "image_size": TILE,
    "patch_size": PATCH,
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
}
IMAGE = "<image>"
SPECIAL = (IMAGE, "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
TILES = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeeingModel:
    """One model and its processor."""

    model: Model
    processor: ProcessorMixin

    @classmethod
    def load(cls, path: str | None, dtype: torch.dtype, device: torch.device) -> SeeingModel:
        """The model of a folder; without one the small model."""
        if path is None:
            processor = make_processor()
            with tempfile.TemporaryDirectory() as folder:
                write_small(folder, processor)
                model = load_folder(folder, "random Idefics3 of 46 M", dtype, device)
            return cls(model=model, processor=processor)
        loaded = load_processor(path)
        if not hasattr(loaded, "image_processor"):
            raise ModelRefused(f"{path} takes no images, or lacks the file that says how (processor_config.json)")
        return cls(model=load_folder(path, path, dtype, device), processor=cast("ProcessorMixin", loaded))


def write_small(folder: str, processor: Idefics3Processor) -> None:
    """The small model in bfloat16; the same seed, so the same model every time."""
    torch.manual_seed(0)
    config = Idefics3Config(
        vision_config=VISION,
        text_config={**SMALL, "model_type": "llama"},
        scale_factor=int(MERGED**0.5),
        image_token_id=processor.tokenizer.convert_tokens_to_ids(IMAGE),
    )
    model = Idefics3ForConditionalGeneration(config).eval()
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            weight.data.mul_(3.0)  # random weights that are not sharpened repeat one token for ever
    cast(torch.nn.Module, model).to(torch.bfloat16)
    model.save_pretrained(folder)


def make_processor() -> Idefics3Processor:
    """A word-level tokenizer that knows the question, and what makes tiles of pictures, without torchvision."""
    known = ["<pad>", "<s>", "</s>", "<unk>", *SPECIAL, *TILES, *QUESTION.split()]
    words = [*known, *(f"w{token}" for token in range(len(known), SMALL["vocab_size"]))]
    backend = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens([AddedToken(token) for token in (*SPECIAL, *TILES)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side="left",
    )
    pictures = Idefics3ImageProcessorPil(size={"longest_edge": EDGE}, max_image_size={"longest_edge": TILE})
    return Idefics3Processor(pictures, tokenizer, image_seq_len=IMAGE_TOKENS)
