"""What the user writes: one frozen spec, checked once at the edge and trusted inside."""

from relabel.spec.label import Gate, Label, NamedLabel
from relabel.spec.load import load_spec, make_spec
from relabel.spec.query import Query
from relabel.spec.sections import Model, Output, Prompt, Resources, Sampling, Source
from relabel.spec.spec import Spec

__all__ = [
    "Gate",
    "Label",
    "Model",
    "NamedLabel",
    "Output",
    "Prompt",
    "Query",
    "Resources",
    "Sampling",
    "Source",
    "Spec",
    "load_spec",
    "make_spec",
]
