"""What tells two models apart without loading them: the commit of a hub's, digests of a folder's files.

Knows which files decide what a model writes; nothing of how they are loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from relabel.engine.checkpoint.adapter import find_adapter
from relabel.engine.checkpoint.files import (
    ADAPTER,
    ADAPTER_WEIGHTS,
    INDEX,
    SMALL_FILES,
    check_config,
    check_weights,
    is_bucket,
    is_folder,
    locate,
    weights_in_bucket,
)
from relabel.engine.checkpoint.hub import find_commit

NUM_SAMPLES = 64
SAMPLE_BYTES = 64 * 2**10
"""Of each weight file in the digest, evenly spread: training changes nearly every tensor; reading all takes minutes."""


def model_identity(
    path: str, revision: str | None = None, adapter: str | None = None, *, weights: bool = True
) -> dict[str, str]:
    """What the fingerprint of a run holds of its model, found without loading it: a commit, or digests of the files.

    Without `weights` those need not be in the folder: they lie with whoever generates.
    """
    if is_bucket(path):
        return _of_bucket(path, revision, adapter, weights=weights)
    if not is_folder(path):
        identity = {"name": path, "revision": find_commit(path, revision)}
        return identity if adapter is None else {**identity, **_adapter(locate(path, identity["revision"]), adapter)}
    folder = locate(path, revision)
    check_config(folder)
    config = ("config.json", "generation_config.json", INDEX)
    others = sorted({file.name for pattern in SMALL_FILES for file in folder.glob(pattern)} - set(config))
    return {
        "config": _digest(folder, config),
        "tokenizer_and_processor": _digest(folder, others),
        **({"weights": _digest_of_weights(check_weights(folder))} if weights else {}),
        **_adapter(folder, adapter),
    }


def _of_bucket(url: str, revision: str | None, adapter: str | None, *, weights: bool) -> dict[str, str]:
    """What a listing tells; the weights stay where they are. An adapter beside them is one of the files."""
    from relabel.engine.checkpoint.bucket import find_bucket_model  # obstore, which the bare engine needs not

    model = find_bucket_model(url, revision)
    folder = locate(url, model.revision)
    check_config(folder)
    if weights:
        weights_in_bucket(model, folder)
    return {"revision": model.revision, **(_adapter(folder, adapter) if adapter is not None else {})}


def _adapter(model: Path, path: str | None) -> dict[str, str]:
    """Of a model without one nothing, so that what it was known by before there were adapters stays."""
    folder = find_adapter(model, path)
    return (
        {}
        if folder is None
        else {"adapter": _digest(folder, [ADAPTER]) + _digest_of_weights([folder / ADAPTER_WEIGHTS])}
    )


def _digest_of_weights(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name} {file.stat().st_size} ".encode())
        for block in _sampled(file):
            digest.update(block)
    return digest.hexdigest()


def _sampled(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= NUM_SAMPLES * SAMPLE_BYTES:
            yield stream.read()
            return
        yield stream.read(8 + int.from_bytes(stream.read(8), "little"))
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
