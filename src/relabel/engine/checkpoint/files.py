"""The files of a model: where they are, and whether they are safe and whole.

Reads small files and headers, never loads weights.
"""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from relabel.engine.checkpoint.hub import download, find_commit
from relabel.engine.checkpoint.lookalikes import check_pointers, check_task, models_below, weights_instead
from relabel.errors import ArgumentRefused, ModelRefused

if TYPE_CHECKING:
    from relabel.engine.checkpoint.bucket import BucketModel

SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
"""Configs, tokenizer, processor, chat templates; patterns for a download as well."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
ADAPTER, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def locate(path: str, revision: str | None = None, *, weights: bool = False) -> Path:
    """The folder of a model: as named, or copied from a bucket or the hub; weights only if asked for."""
    if is_bucket(path):
        return _copied(path, revision, weights=weights)
    if is_folder(path):
        if revision is not None:
            raise ArgumentRefused("", "revision", f" belongs to a model of the hub, but {path} is a folder; remove it")
        folder = Path(path).expanduser()
        if folder.is_file():
            raise ArgumentRefused(f"{path} is a file; ", "path", " must be the folder of the model that it is of")
        if not folder.is_dir():
            raise ArgumentRefused(f"the model folder {path} does not exist; check ", "path", "")
        return folder
    commit = find_commit(path, revision)
    folder = download(path, commit, SMALL_FILES)
    if weights:
        check_config(folder)
        names = [*_weight_names(folder), ADAPTER_WEIGHTS]
        if not all((download(path, commit, names) / name).is_file() for name in names[:-1]):
            download(path, commit, [SINGLE])  # the index is stale
    return folder


def is_bucket(path: str) -> bool:
    """Whether a path is the URL of a folder in an object store."""
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme not in ("file", "http", "https", "hf")


def _copied(url: str, revision: str | None, *, weights: bool) -> Path:
    from relabel.engine.checkpoint.bucket import (
        copy_files,
        find_bucket_model,
    )  # obstore, which the bare engine needs not

    model = find_bucket_model(url, revision)
    folder = copy_files(model, model.matching((*SMALL_FILES, ADAPTER_WEIGHTS)))
    if not weights:
        return folder
    check_config(folder)
    return copy_files(model, weights_in_bucket(model, folder))


def weights_in_bucket(model: BucketModel, folder: Path) -> list[str]:
    """The weight files of a model in a bucket, of which the folder has the small files. Raises ModelRefused."""
    names = [SINGLE] if SINGLE in model.files else _weight_names(folder)
    if missing := [name for name in names if name not in model.files]:
        raise ModelRefused(
            f"the weight file {missing[0]} is missing in {model.url}; put it there, in safetensors: no other is read"
        )
    return names


def check_config(folder: Path) -> dict[str, object]:
    """The config of a model that transformers has a class for; one that needs code of its repository is refused."""
    if not (folder / "config.json").is_file() and (folder / ADAPTER).is_file():
        base = read_json(folder / ADAPTER).get("base_model_name_or_path")
        raise ArgumentRefused(
            f"{folder} is an adapter without a model (its base is {base}): name the base in ",
            "path",
            " and this folder in adapter",
        )
    check_pointers(file for pattern in (*SMALL_FILES, "*.safetensors") for file in folder.glob(pattern))
    config = read_json(folder / "config.json")
    kind = config.get("model_type")
    if not isinstance(kind, str) or not _is_known(kind):
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
    check_task(folder, config)
    return config


def _is_known(kind: str) -> bool:
    """Whether transformers has a config of this type. Most are in a table that is read without torch."""
    from transformers.models.auto import auto_mappings

    if kind in auto_mappings.CONFIG_MAPPING_NAMES:
        return True
    from transformers import CONFIG_MAPPING

    return kind in CONFIG_MAPPING


def check_weights(folder: Path) -> list[Path]:
    """The safetensors files of a folder, each as long as its header says; pickled weights are never loaded."""
    files = [folder / name for name in _weight_names(folder)]
    for file in files:
        header_of(file)
    return files


def is_folder(path: str) -> bool:
    looks_like_name = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", path) and not path.startswith(".")
    return os.path.isdir(os.path.expanduser(path)) or not looks_like_name


def _weight_names(folder: Path) -> list[str]:
    """The single file where it is there, as transformers takes it: an index beside it may be of an earlier save."""
    if not (folder / SINGLE).is_file() and (folder / INDEX).is_file():
        weight_map = read_json(folder / INDEX).get("weight_map")
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


def header_of(file: Path) -> dict[str, object]:
    """The tensors of a safetensors file by name, which is whole: 8 bytes, a header, and buffers that end where it ends.

    Raises ModelRefused for any other file.
    """
    if not file.is_file():
        if file.name == SINGLE and (instead := weights_instead(file.parent)):
            raise ModelRefused(instead)
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
    return header


def read_json(file: Path) -> dict[str, object]:
    try:
        value = json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise ArgumentRefused(
            f"{file} is missing{models_below(file.parent)}; ",
            "path",
            " must be a folder or hub name of a transformers model",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{file} cannot be read as JSON; download the model again") from error
    if not isinstance(value, dict):
        raise ModelRefused(f"{file} is not a JSON object; download the model again")
    return value
