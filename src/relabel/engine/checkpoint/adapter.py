"""A LoRA adapter beside a model or in a folder of its own: where it is, and whether its files can be used.

Needs no torch: its weights are merged elsewhere. Knows nothing of how a model is loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relabel.engine.checkpoint.files import ADAPTER, ADAPTER_WEIGHTS, header_of, is_bucket, read_json
from relabel.errors import ArgumentRefused, ModelRefused


def find_adapter(model: Path, path: str | None = None) -> Path | None:
    """The folder of the adapter that goes with a model: the one at `path`, else the model's own; None where none is.

    Raises ArgumentRefused or ModelRefused where it cannot be merged.
    """
    if path is not None and is_bucket(path):
        raise ArgumentRefused(
            f"{path} is in a bucket; copy it to a folder that every node has, and name that in ", "adapter", ""
        )
    folder = model if path is None else Path(path).expanduser()
    if not (folder / ADAPTER).is_file():
        if path is None:
            return None
        raise ArgumentRefused(f"{folder} holds no {ADAPTER}; ", "adapter", " must be the folder of a LoRA adapter")
    if path is not None and (model / ADAPTER).is_file():
        raise ArgumentRefused(f"{model} has an adapter of its own beside its weights; leave out ", "adapter", "")
    kind = read_json(folder / ADAPTER).get("peft_type")
    if kind != "LORA":
        raise ModelRefused(f"{folder} is an adapter of type {kind!r}; only LORA can be merged into a model's weights")
    if not (folder / ADAPTER_WEIGHTS).is_file() and any(folder.glob("adapter_model.*")):
        raise ModelRefused(
            f"{folder} holds its weights pickled, which can run code when they are read; save {ADAPTER_WEIGHTS}"
        )
    header_of(folder / ADAPTER_WEIGHTS)
    return folder


@contextmanager
def without_adapter(model: Path) -> Iterator[Path]:
    """The folder of a model as it is without an adapter in it, which transformers, where peft is there, adds unmerged.

    Of its own it has no way that each version keeps: 5.17 finds an adapter in whatever subfolder it is told to look.
    """
    if not (model / ADAPTER).is_file():
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="relabel-model-") as folder:
        for path in model.iterdir():
            if path.name != ADAPTER:
                (Path(folder) / path.name).symlink_to(path.resolve())
        yield Path(folder)
