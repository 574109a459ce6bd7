"""The tokenizer or processor of a model folder, without the model: what CPU stages need, and no more imports than that.

Knows nothing of weights, requests or rows.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from relabel.engine.checkpoint.files import check_config, locate
from relabel.engine.checkpoint.tokenizer_class import usual_loader
from relabel.errors import ModelRefused

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
Loaded = TypeVar("Loaded")


def load_processor(path: str, revision: str | None = None) -> PreTrainedTokenizerBase | ProcessorMixin:
    """The processor of an image-text-to-text model, or the tokenizer of a causal one, padding on the left.

    Also the tokenizer of a model that sees and has no file that says how: it will do where no image is asked.
    """
    folder = locate(path, revision)
    config = check_config(folder)
    if not any((folder / name).is_file() for name in PROCESSOR_FILES):
        return _tokenizer(folder, config)
    # 3 s of imports that text does not need
    from transformers import AutoProcessor
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if config["model_type"] not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return _tokenizer(folder, config)
    processor: ProcessorMixin = _load(AutoProcessor.from_pretrained, folder)
    processor.tokenizer.padding_side = "left"
    return processor


def load_tokenizer(path: str, revision: str | None = None) -> PreTrainedTokenizerBase | None:
    """The tokenizer alone, or None: a folder without one can still generate from token ids."""
    folder = locate(path, revision)
    if not (folder / "tokenizer_config.json").is_file() and not (folder / "tokenizer.json").is_file():
        return None
    return _tokenizer(folder, check_config(folder))


def within(seconds: float, call: Callable[[], Loaded]) -> Loaded:
    """The prompt that `call` makes of a chat template; a TimeoutError ends a template that goes on for longer.

    By a signal, which also ends one sum of enormous numbers. Only the main thread hears signals: in others there is no
    limit here, and the watchdog of a stage ends its process.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()

    def end(*_: object) -> None:
        raise TimeoutError(f"its chat template does not come to an end within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _tokenizer(folder: Path, config: Mapping[str, object]) -> PreTrainedTokenizerBase:
    if (load := usual_loader(folder, config)) is not None:
        return _load(load, folder)
    from transformers import AutoTokenizer  # torch

    return _load(AutoTokenizer.from_pretrained, folder)


def _load(load: Callable[..., Loaded], folder: Path) -> Loaded:
    try:
        return load(folder, trust_remote_code=False, local_files_only=True, padding_side="left")
    except Exception as error:  # files of a model may hold anything, and transformers then raises anything
        why = " ".join(str(error).split())[:300] or type(error).__name__
        if isinstance(error, ImportError):
            why += "; pip install 'ray-relabel[vision]' has what the processors of vision-language models ask for"
        raise ModelRefused(f"the processor or tokenizer in {folder} cannot be loaded: {why}") from error
