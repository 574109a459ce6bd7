"""What lies where a model is looked for and is none: pointers, folders around it, weights of other formats and tasks.

Knows names and the first bytes of files; reads no weights. Each is told by what it is, with what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from relabel.errors import ModelRefused

_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_BYTES = 1024
"""No pointer is longer, by the specification of Git LFS."""
_OTHER_TASK = re.compile(
    r"(For(\w*Classification|QuestionAnswering|MultipleChoice|MaskedLM|PreTraining)|RewardModel)$", re.ASCII
)
"""Classes whose heads write no text. Where embeddings are the head as well, transformers loads them as if they did."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.safetensors$", re.ASCII)


def check_pointers(files: Iterable[Path]) -> None:
    """Raises ModelRefused where a file is a pointer of Git LFS."""
    for file in files:
        if file.is_file() and file.stat().st_size <= _POINTER_BYTES and file.read_bytes().startswith(_POINTER):
            raise ModelRefused(
                f"{file} is a pointer of Git LFS and not the file itself: run git lfs pull, or download the model again"
            )


def check_task(folder: Path, config: dict[str, object]) -> None:
    """Raises ModelRefused where the weights were trained for something else than to write text."""
    names = config.get("architectures")
    if isinstance(names, list) and names and all(isinstance(name, str) and _OTHER_TASK.search(name) for name in names):
        raise ModelRefused(
            f"{folder} is a {names[0]}, which writes no text; use a causal or an image-text-to-text model"
        )


def models_below(folder: Path) -> str:
    """The end of a sentence: which folders below this one hold a model; empty where none do."""
    below = sorted(
        path.parent for pattern in ("*/config.json", "snapshots/*/config.json") for path in folder.glob(pattern)
    )
    return f" (there is one in {below[-1]})" if below else ""


def weights_instead(folder: Path) -> str | None:
    """The sentence for a folder that has weights, but none that can be loaded; None where there are none at all."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    pickled = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
    tensors = [name for name in names if name.endswith(".safetensors") and name != "adapter_model.safetensors"]
    if any(_SHARD.search(name) for name in tensors):
        return (
            f"{folder} has shards such as {tensors[0]}, and no model.safetensors.index.json; download the model again"
        )
    if tensors:
        return (
            f"{folder} has {tensors[0]}, and no model.safetensors; rename it if that is the model, or download it again"
        )
    if pickled:
        return (
            f"{folder} holds only pickled weights ({pickled[0]}), which can run code when they are read; "
            "convert them to safetensors"
        )
    if quantized := [name for name in names if name.lower().endswith(".gguf")]:
        return (
            f"{folder} holds weights in the GGUF format ({quantized[0]}); use the model in the format of transformers"
        )
    return None


def renamed(missing: Iterable[str], unused: Iterable[str]) -> str | None:
    """The prefix that all weights of a model have in its files and not in its class, as `torch.compile` leaves one."""
    lacking, found = set(missing), set(unused)
    prefixes = {name[: -len(lack)] for lack in list(lacking)[:1] for name in found if name.endswith(f".{lack}")}
    return next((prefix for prefix in sorted(prefixes) if {prefix + lack for lack in lacking} <= found), None)
