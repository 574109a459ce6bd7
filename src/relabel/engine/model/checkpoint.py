"""The files of a model: where they are, whether they are safe and whole, and what tells two models apart.

Reads small files and headers, never loads weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from transformers import CONFIG_MAPPING

from relabel.engine.model.hub import download, find_commit
from relabel.errors import ArgumentRefused, ModelRefused

SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
"""Configs, tokenizer, processor, chat templates; patterns for a download as well."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
NUM_SAMPLES = 64
SAMPLE_BYTES = 64 * 2**10
"""Of each weight file in the digest, evenly spread: training changes nearly every tensor; reading all takes minutes."""


def model_identity(path: str, revision: str | None = None) -> dict[str, str]:
    """What the fingerprint of a run holds of its model, found without loading it: a commit, or digests of the files."""
    if not _is_folder(path):
        return {"name": path, "revision": find_commit(path, revision)}
    folder = locate(path, revision)
    check_config(folder)
    weights = hashlib.sha256()
    for file in check_weights(folder):
        weights.update(f"{file.name} {file.stat().st_size} ".encode())
        for block in _sampled(file):
            weights.update(block)
    config = ("config.json", "generation_config.json", INDEX)
    others = sorted({file.name for pattern in SMALL_FILES for file in folder.glob(pattern)} - set(config))
    return {
        "config": _digest(folder, config),
        "tokenizer_and_processor": _digest(folder, others),
        "weights": weights.hexdigest(),
    }


def locate(path: str, revision: str | None = None, *, weights: bool = False) -> Path:
    """The folder of a model: as named, or downloaded from the hub at one commit; weights only if asked for."""
    if _is_folder(path):
        if revision is not None:
            raise ArgumentRefused("", "revision", f" belongs to a model of the hub, but {path} is a folder; remove it")
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise ArgumentRefused(f"the model folder {path} does not exist; check ", "path", "")
        return folder
    commit = find_commit(path, revision)
    folder = download(path, commit, SMALL_FILES)
    if weights:
        check_config(folder)
        download(path, commit, _weight_names(folder))
    return folder


def check_config(folder: Path) -> dict[str, object]:
    """The config of a model that transformers has a class for; one that needs code of its repository is refused."""
    config = _read_json(folder / "config.json")
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        if "auto_map" in config:
            raise ModelRefused(
                f"{folder} needs code from its own repository (auto_map), which is never run; use a model that "
                "transformers knows itself, or a newer transformers"
            )
        raise ModelRefused(
            f"{folder / 'config.json'} names the model type {kind!r}, which this transformers does not know; "
            "install a newer one or use another model"
        )
    if config.get("is_encoder_decoder"):
        raise ModelRefused(f"{folder} is an encoder-decoder model; use a causal or an image-text-to-text model")
    return config


def check_weights(folder: Path) -> list[Path]:
    """The safetensors files of a folder, each as long as its header says; pickled weights are never loaded."""
    files = [folder / name for name in _weight_names(folder)]
    for file in files:
        _check_length(file)
    return files


def _is_folder(path: str) -> bool:
    looks_like_name = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", path) and not path.startswith(".")
    return os.path.isdir(os.path.expanduser(path)) or not looks_like_name


def _weight_names(folder: Path) -> list[str]:
    if (folder / INDEX).is_file():
        weight_map = _read_json(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ModelRefused(f"{folder / INDEX} has no weight_map; download the model again")
        if not all(isinstance(name, str) for name in weight_map.values()):
            raise ModelRefused(f"{folder / INDEX} names a weight file that is no text; download the model again")
        names = sorted(set(weight_map.values()))
        if outside := [name for name in names if Path(name).name != name]:
            raise ModelRefused(f"{folder / INDEX} names the weight file {outside[0]!r} outside of the model's folder")
        if other := [name for name in names if not name.endswith(".safetensors")]:
            raise ModelRefused(
                f"{folder / INDEX} names the weight file {other[0]!r}, which is no safetensors file; convert the model "
                "to safetensors"
            )
        return names
    return [SINGLE]


def _check_length(file: Path) -> None:
    """A safetensors file is 8 bytes, a header, and buffers that end where the file ends."""
    if not file.is_file():
        pickled = [
            other.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for other in file.parent.glob(pattern)
        ]
        if pickled and not any(file.parent.glob("*.safetensors")):
            raise ModelRefused(
                f"{file.parent} holds only pickled weights ({pickled[0]}), which can run code when they are read; "
                "convert them to safetensors"
            )
        raise ModelRefused(f"the weight file {file} is missing; download the model again")
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            (header_size,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(header_size)) if header_size <= min(size - 8, 100 * 2**20) else None
        if header is None:
            raise ValueError
        ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
    except (struct.error, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ModelRefused(
            f"{file} is not a whole safetensors file (its header is damaged); download it again"
        ) from error
    if 8 + header_size + max(ends, default=0) != size:
        raise ModelRefused(f"{file} is truncated or damaged ({size:,} bytes); download it again")


def _sampled(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= NUM_SAMPLES * SAMPLE_BYTES:
            yield stream.read()
            return
        yield stream.read(8 + struct.unpack("<Q", stream.read(8))[0])
        for sample in range(NUM_SAMPLES):
            stream.seek(sample * (size - SAMPLE_BYTES) // (NUM_SAMPLES - 1))
            yield stream.read(SAMPLE_BYTES)


def _digest(folder: Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        if (folder / name).is_file():
            content = (folder / name).read_bytes()
            digest.update(f"{name} {len(content)} ".encode())
            digest.update(content)
    return digest.hexdigest()


def _read_json(file: Path) -> dict[str, object]:
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ArgumentRefused(
            f"{file} is missing; ", "path", " must be a folder or hub name of a transformers model"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{file} cannot be read as JSON; download the model again") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"{file} is not a JSON object; download the model again")
    return value
