"""Tiny models of many families with random weights, built in code: no download, a second for all of them.

Their matrices are sharpened, or greedy text would repeat one token for ever and equality would mean nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as token_models
from transformers import (
    CLIPVisionConfig,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Mamba2Config,
    Mamba2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

from relabel.engine import Request

VOCAB_SIZE = 128
PAD, BOS, EOS, IMAGE, VISION_START, VISION_END = 0, 1, 2, 99, 97, 96
TEXT: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}
VISION: dict[str, Any] = {
    "image_size": 28,
    "patch_size": 7,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def llama() -> Any:
    return build(LlamaForCausalLM, LlamaConfig(**TEXT))


def qwen3() -> Any:
    return build(Qwen3ForCausalLM, Qwen3Config(**TEXT, head_dim=8))


def mistral() -> Any:
    """Its window is shorter than the prompts of the tests."""
    return build(MistralForCausalLM, MistralConfig(**TEXT, sliding_window=6))


def gemma2() -> Any:
    """The cap on its attention is low enough to bite."""
    config = Gemma2Config(**TEXT, head_dim=8, sliding_window=6, attn_logit_softcapping=2.0, tie_word_embeddings=False)
    return build(Gemma2ForCausalLM, config)


def gpt_oss() -> Any:
    """Sinks in the attention, experts in the MLP."""
    return build(
        GptOssForCausalLM,
        GptOssConfig(**TEXT, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=6),
    )


def mamba2() -> Any:
    """A running state instead of attention: padding would leak into it."""
    config = Mamba2Config(
        vocab_size=VOCAB_SIZE, hidden_size=32, num_hidden_layers=2, state_size=8, expand=2, num_heads=8, head_dim=8,
        n_groups=2, chunk_size=8, pad_token_id=PAD, bos_token_id=BOS, eos_token_id=EOS,
    )  # fmt: skip
    return build(Mamba2ForCausalLM, config)


def llava() -> Any:
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, projection_dim=32),
        text_config=LlamaConfig(**TEXT),
        image_token_id=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        pad_token_id=PAD,
    )
    return build(LlavaForConditionalGeneration, config)


QWEN_VISION = {
    "depth": 2,
    "hidden_size": 32,
    "out_hidden_size": 32,
    "intermediate_size": 48,
    "num_heads": 4,
    "patch_size": 4,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}


def qwen2_5_vl() -> Any:
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    vision = {
        **QWEN_VISION,
        "window_size": 16,
        "fullatt_block_indexes": [1],
        "in_channels": 3,
    }
    config = Qwen2_5_VLConfig(
        text_config={**TEXT, "rope_parameters": rope},
        vision_config=vision,
        image_token_id=IMAGE,
        video_token_id=98,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    return build(Qwen2_5_VLForConditionalGeneration, config)


def qwen3_vl() -> Any:
    """It reads features of a deeper layer, too."""
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    vision = {
        **QWEN_VISION,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0],
    }
    config = Qwen3VLConfig(
        text_config={**TEXT, "rope_parameters": rope, "head_dim": 8},
        vision_config=vision,
        image_token_id=IMAGE,
        video_token_id=98,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
    )
    return build(Qwen3VLForConditionalGeneration, config)


def gemma3() -> Any:
    """The tokens of an image see each other; the window of every other layer is shorter than the prompts."""
    kinds = ["sliding_attention", "full_attention"]
    config = Gemma3Config(
        vision_config=VISION,
        text_config=Gemma3TextConfig(**TEXT, head_dim=8, sliding_window=16, layer_types=kinds).to_dict(),
        mm_tokens_per_image=4,
        image_token_id=IMAGE,
        pad_token_id=PAD,
    )
    return build(Gemma3ForConditionalGeneration, config)


def smolvlm() -> Any:
    config = SmolVLMConfig(
        vision_config=VISION,
        text_config={**LlamaConfig(**TEXT).to_dict(), "model_type": "llama"},
        scale_factor=2,
        image_token_id=IMAGE,
        pad_token_id=PAD,
    )
    return build(SmolVLMForConditionalGeneration, config)


def build(kind: Any, config: Any) -> Any:
    """Random weights, the same every time."""
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() >= 2:
                weight.mul_(3.0)
    return model.eval()


def generate_alone(model: Any, request: Request, max_new_tokens: int, stop: list[int]) -> list[int]:
    """What transformers itself makes of one row, without the stop token."""
    ids = torch.tensor([list(request.prompt_ids)], device=model.device)
    tensors = {name: torch.from_numpy(value).to(model.device) for name, value in request.tensors.items()}
    new = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        **tensors,
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=stop,
        pad_token_id=PAD,
    )[0, ids.shape[1] :].tolist()
    return new[:-1] if new[-1] in stop else new


def tokenizer(special: tuple[str, ...] = ()) -> PreTrainedTokenizerFast:
    """One printable ASCII character a token, so that any text has an obvious encoding."""
    vocab = {"<pad>": PAD, "<s>": BOS, "</s>": EOS}
    vocab |= {chr(code): code - 30 for code in range(33, 127)} | {"Ġ": 97, "Ċ": 98}
    backend = Tokenizer(token_models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(special),
    )


def save(model: Any, folder: Path, special: tuple[str, ...] = ()) -> Path:
    model.save_pretrained(folder)
    tokenizer(special).save_pretrained(folder)
    return folder
