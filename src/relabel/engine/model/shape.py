"""How large a model is, out of its config alone: it is built without memory for its weights, which need not be here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from relabel.engine.checkpoint.files import check_config, locate
from relabel.engine.model.sizes import ModelSize, kv_bytes, token_bytes
from relabel.engine.model.weights import DTYPES, first_line
from relabel.errors import ModelRefused

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def size_of(path: str, revision: str | None = None, dtype: str = "auto") -> ModelSize:
    """The sizes of the model at `path`, a folder or a hub name, in a number type. Raises ModelRefused."""
    folder = locate(path, revision)
    kind = check_config(folder)["model_type"]
    auto = AutoModelForImageTextToText if kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES else AutoModelForCausalLM
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        quantised = getattr(config, "quantization_config", None) is not None
        with torch.device("meta"):
            model: PreTrainedModel = auto.from_config(config, trust_remote_code=False)
    except Exception as error:  # a damaged config makes transformers raise anything
        raise ModelRefused(f"the size of {path} cannot be told from its config.json: {first_line(error)}") from error
    named = getattr(config, "dtype", None) if dtype == "auto" else DTYPES[dtype]
    item_bytes = named.itemsize if isinstance(named, torch.dtype) else torch.float32.itemsize
    head = model.get_output_embeddings()
    linears = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module is not head]
    text, files = config.get_text_config(decoder=True), sorted(folder.glob("*.safetensors"))
    return ModelSize(
        body=sum(linear.weight.numel() for linear in linears),
        head=0 if head is None else sum(weight.numel() for weight in head.parameters()),
        weight_bytes=sum(file.stat().st_size for file in files)
        if quantised and files
        else sum(weight.numel() for weight in model.parameters()) * item_bytes,
        kv_bytes=kv_bytes(text, item_bytes),
        activation_bytes=token_bytes(text, item_bytes),
        vocabulary=text.vocab_size,
        item_bytes=item_bytes,
    )
