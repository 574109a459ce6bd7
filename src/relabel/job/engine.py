"""The engine of a spec: the one place where spec keys become the engine's own settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from relabel.engine import Sampling
from relabel.spec import Spec


def engine_of(spec: Spec) -> Any:
    """Load the model of a spec. Raises ModelRefused where it cannot be loaded safely."""
    from relabel.engine import load_engine  # 3 s of imports that only the actors need

    return load_engine(
        spec.model.path,
        batching=spec.resources.batching,
        dtype=spec.model.dtype,
        device="cuda" if spec.resources.gpus_per_actor else "cpu",
        revision=spec.model.revision,
        batch_tokens=spec.resources.batch_tokens,
        kv_memory=spec.resources.kv_memory,
        sampling=Sampling(
            max_new_tokens=spec.sampling.max_new_tokens,
            temperature=spec.sampling.temperature,
            top_p=spec.sampling.top_p,
            top_k=spec.sampling.top_k,
            min_p=spec.sampling.min_p,
            repetition_penalty=spec.sampling.repetition_penalty,
            min_new_tokens=spec.sampling.min_new_tokens,
            stop_token_ids=tuple(spec.sampling.stop_token_ids),
            seed=spec.sampling.seed,
            stop_strings=tuple(spec.sampling.stop),
        ),
    )


def report_of(engine: Any, process: str) -> dict[str, Any]:
    """What an engine says of itself: how it batches and what it has computed so far. `process` tells engines apart."""
    return {"process": process, "batching": engine.verdict.to_json(), "goodput": asdict(engine.goodput)}
