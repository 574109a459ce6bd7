"""The section that says how much of a machine a run takes: it decides speed alone.

Knows nothing of files, models or Ray.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Field

from relabel.spec.section import Section


class Price(Section):
    """What a machine costs, for predictions alone."""

    gpu_hour: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    """What one GPU costs for an hour, in dollars or any other money. `relabel plan --sample` multiplies by it."""


class Resources(Section):
    """What decides speed alone, and may change between runs of one recipe."""

    actors: Annotated[int, Field(ge=1)] = 1
    """The number of processes that each hold the model and generate."""
    gpus_per_actor: Annotated[float, Field(ge=0, le=64)] = 1.0
    """GPUs for each actor. 0 runs the model on CPUs; a fraction lets actors share one GPU, whose memory `kv_memory`
    then divides. Above 1, with `model.engine: vllm`, the model lies on so many GPUs of one node."""
    batching: Literal["auto", "continuous", "static"] = "auto"
    """The engine: `continuous` never pads and never waits for the longest row, `static` runs left-padded batches.
    `auto` is continuous; where the model does not allow that, both fall back to static and the log says why."""
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """The most padded tokens, prompts and new ones, in one static batch. The default follows from the free memory."""
    kv_memory: ByteSize | None = None
    """Memory of the continuous engine's KV cache, in bytes or as in `20GiB`. The default is what the weights leave
    free."""
    deadline: Annotated[float, Field(gt=0, le=7 * 86400)] = 1800.0
    """Seconds in which a unit must be read or published and the model must make a step. A process that hangs for longer
    is ended, and its unit is tried again."""
    price: Price = Price()
    """What the machines cost, where a prediction shall say what the run does."""
