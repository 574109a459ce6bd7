"""What is read back of a recipe by those who have no spec: the keys that say what stands in a part, and where from.

Labels aside, which the room of labels reads. Knows nothing of fingerprints: recipes are compared as they stand there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StrictInt, StrictStr, TypeAdapter

from relabel.data.output.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOutput:
    """The section `output`."""

    keep: tuple[StrictStr, ...] | Literal["all"]
    """The source columns that stand in every part, or all that can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSampling:
    """The section `sampling`."""

    num_samples: Annotated[StrictInt, Field(ge=1)] = 1
    """Number of texts of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSource:
    """The section `source`."""

    format: StrictStr = ""
    """Of its files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPrompt:
    """The section `prompt`."""

    image: tuple[StrictStr, ...] = ()
    """The source columns that hold the images of a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedModel:
    """The section `model`."""

    path: StrictStr = ""
    """Where the model was when the run began."""
    engine: StrictStr = "relabel"
    """What generated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedIdentity:
    """The model's identity."""

    revision: StrictStr | None = None
    """The commit of a model of the hub; None for a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSpec:
    """The sections of a recipe."""

    output: RecordedOutput
    """What goes with the labels."""
    sampling: RecordedSampling
    """How texts were drawn."""
    source: RecordedSource = RecordedSource()
    """Where rows came from."""
    prompt: RecordedPrompt = RecordedPrompt()
    """What the model was shown."""
    model: RecordedModel = RecordedModel()
    """The model as the spec named it."""
    model_identity: RecordedIdentity = RecordedIdentity()
    """What the model is, wherever its folder lies."""


def read_recipe(recipe: Recipe) -> RecordedSpec:
    """The sections that are read back. Raises ValueError where the recipe, which may have been damaged, has others."""
    return _RECORDED.validate_python(recipe)


_RECORDED = TypeAdapter(RecordedSpec)
