"""The weights of a LoRA adapter merged into those of its model.

After merging nothing of it is left but other weights, so that every engine runs it at the speed of the model. Knows
nothing of how a model is loaded.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from relabel.engine.checkpoint.files import ADAPTER_WEIGHTS, header_of
from relabel.errors import ModelRefused

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def merge_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The model with the weights of the adapter added to its own. Raises ModelRefused where the two do not fit."""
    try:
        from peft import PeftModel, get_peft_model_state_dict  # an extra: few runs have an adapter
    except ImportError as error:
        raise ModelRefused(f"{folder} is a LoRA adapter: pip install 'ray-relabel[adapters]' to use it") from error
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of weights that are missing, which is checked below
            _check_vocabulary(model, folder)
            adapted = PeftModel.from_pretrained(model, str(folder))
            wanted, given = (
                set(get_peft_model_state_dict(adapted)),
                set(header_of(folder / ADAPTER_WEIGHTS)) - {"__metadata__"},
            )
            if odd := sorted(wanted ^ given):
                raise ValueError(f"{len(odd)} of its weights have no counterpart in the model, the first {odd[0]}")
            _untie(adapted)
            merged: PreTrainedModel = adapted.merge_and_unload(safe_merge=True)
    except (ValueError, RuntimeError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelRefused(f"the adapter {folder} does not fit this model: {why}") from error
    return merged


def _check_vocabulary(model: PreTrainedModel, folder: Path) -> None:
    """Raises ValueError where the adapter holds embeddings or a head of more tokens than the model has."""
    layers = {id(layer) for layer in (model.get_input_embeddings(), model.get_output_embeddings())}
    known = {
        f"base_model.model.{name}.weight": module.weight
        for name, module in model.named_modules()
        if id(module) in layers and isinstance(module.weight, torch.Tensor)
    }
    header = cast("dict[str, dict[str, list[int]]]", header_of(folder / ADAPTER_WEIGHTS))
    for name in known.keys() & header.keys():
        given, own = header[name]["shape"], known[name].shape
        if given[1:] == list(own[1:]) and given[0] != own[0]:
            raise ValueError(
                f"it was trained with {given[0]:,} tokens where the model has {own[0]:,}. Merge the two by peft's "
                "merge_and_unload, and save the whole model with the tokenizer of the adapter"
            )


def _untie(adapted: PeftModel) -> None:
    """Give each adapted layer that shares its weight with another layer a weight of its own.

    Where the embeddings are the head as well, an adapter of one would else be added to both. From then on the model is
    one that has two matrices.
    """
    layers = [
        module for module in adapted.modules() if isinstance(getattr(module, "base_layer", None), torch.nn.Module)
    ]
    owners: dict[int, int] = {}
    for module in adapted.modules():
        for weight in module.parameters(recurse=False):
            owners[id(weight)] = owners.get(id(weight), 0) + 1
    for layer in layers:
        base = cast(torch.nn.Module, layer.base_layer)
        weight = getattr(base, "weight", None)
        if isinstance(weight, torch.nn.Parameter) and owners[id(weight)] > 1:
            owners[id(weight)] -= 1
            base.weight = torch.nn.Parameter(weight.detach().clone(), requires_grad=False)
            for config in (adapted.config, adapted.config.get_text_config(decoder=True)):
                config.tie_word_embeddings = False
