"""What a model says of itself: whether its rows may be padded, or share one stream without padding."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKABLE = frozenset({"full_attention", "sliding_attention"})


def why_not_packed(model: PreTrainedModel, *, has_image_probe: bool = False) -> str | None:
    """Why the rows of a model cannot share one stream without padding; None where nothing is known against it.

    A model that takes pixels and no features is believed only where a row with an image was compared.
    """
    text = model.config.get_text_config(decoder=True)
    arguments = inspect.signature(model.forward).parameters
    rope = getattr(text, "rope_parameters", None) or {}
    if not getattr(model, "_supports_attention_backend", False):
        return "its attention cannot be exchanged"
    if getattr(model.config, "is_encoder_decoder", False):
        return "it is an encoder-decoder"
    if not is_paddable(model) or not set(getattr(text, "layer_types", None) or ()) <= PACKABLE:
        return "it has layers other than full and sliding attention"
    sees = "pixel_values" in arguments
    if (sees and "token_type_ids" in arguments) or getattr(text, "use_bidirectional_attention", None):
        return "tokens of its images see those after them"
    if sees and not takes_features(model) and not has_image_probe:
        return "it does not take the features of images apart from their pixels, and no image was at hand to try it"
    if rope.get("rope_type") in ("dynamic", "longrope"):
        return "its rotary positions depend on the longest row of a batch"
    return None


def takes_features(model: PreTrainedModel) -> bool:
    """Whether a model that sees takes the features of images apart from their pixels, as many do since
    transformers 5.18."""
    return "mm_encoder_outputs" in inspect.signature(model.forward).parameters


def is_paddable(model: PreTrainedModel) -> bool:
    """False where padding leaks into a row: running states (linear attention, convolutions) and sparse indexers."""
    layers = set(getattr(model.config.get_text_config(decoder=True), "layer_types", None) or ())
    running = any(getattr(module, "_is_stateful", False) for module in model.modules())
    return not running and layers <= {*PACKABLE, "chunked_attention"}


def attention_of(model: PreTrainedModel) -> str:
    """The implementation of attention that the text part of a model is run with."""
    return cast(str, model.config.get_text_config(decoder=True)._attn_implementation)
