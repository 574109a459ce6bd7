"""The section that says how much of a machine a run takes: it decides speed alone.

Knows nothing of files, models or Ray.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Discriminator, Field, Tag, model_validator

from relabel.spec.running.budget import Budget
from relabel.spec.section import Section

NUMBER, RANGE = "a number", "a range"
"""Of what kind a value is of which there are two; no keys, and no part of a place in the spec."""


class Price(Section):
    """What a machine costs, for predictions and budgets."""

    gpu_hour: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    """What one GPU costs for an hour, in dollars or any other money. `relabel plan --sample` multiplies by it,
    and so do `resources.budget.dollars` and `relabel status`."""


class Actors(Section):
    """From how many to how many actors."""

    min: Annotated[int, Field(ge=1)] = 1
    """A machine that runs the job by itself has room for so many, as cores go."""
    max: Annotated[int, Field(ge=1)]
    """So many are asked for at once: those that the cluster has no room for wait, and begin where a node joins."""

    @model_validator(mode="after")
    def _check_order(self) -> Actors:
        if self.min > self.max:
            raise ValueError(f"min is {self.min} and max is {self.max}: swap them")
        return self


def _kind_of_actors(value: object) -> str:
    return RANGE if isinstance(value, dict | Actors) else NUMBER


class Resources(Section):
    """What decides speed alone, and may change between runs of one recipe."""

    actors: Annotated[
        Annotated[int, Field(ge=1), Tag(NUMBER)] | Annotated[Actors, Tag(RANGE)], Discriminator(_kind_of_actors)
    ] = 1
    """The number of processes that each hold the model and generate; or from how many to how many, as in
    `{min: 2, max: 64}`, where machines come and go: as many as the cluster has room for, from moment to moment."""
    gpus_per_actor: Annotated[float, Field(ge=0, le=64)] = 1.0
    """GPUs for each actor. 0 runs the model on CPUs; a fraction lets actors share one GPU, each with that share of its
    memory. Above 1, with `model.engine: vllm`, the model lies on so many GPUs of one node."""
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
    copies: bool = False
    """Whether at the end of a run an actor that has nothing to do generates a unit that another one has had for twice
    as long as most units take; the first to publish it wins. Not with a budget, and not in a retry."""
    price: Price = Price()
    """What the machines cost, where a prediction shall say what the run does."""
    budget: Budget = Budget()
    """What the whole output may cost, in GPU hours, money or rows, and until when a run may last."""

    @model_validator(mode="after")
    def _has_a_price(self) -> Resources:
        if self.budget.dollars is not None and not self.price.gpu_hour:
            raise ValueError("budget.dollars needs price.gpu_hour, what a GPU costs for an hour")
        return self

    @property
    def fewest_actors(self) -> int:
        """The actors that there must be room for."""
        return self.actors.min if isinstance(self.actors, Actors) else self.actors

    @property
    def most_actors(self) -> int:
        """The actors that there may be."""
        return self.actors.max if isinstance(self.actors, Actors) else self.actors
