"""What the user writes: one frozen spec, checked once at the edge and trusted inside."""

from relabel.spec.job import Spec, load_spec, make_spec
from relabel.spec.label import Gate, Label, NamedLabel
from relabel.spec.sections import Model, Output, Prompt, Resources, Sampling, Source

__all__ = [
    "Gate",
    "Label",
    "Model",
    "NamedLabel",
    "Output",
    "Prompt",
    "Resources",
    "Sampling",
    "Source",
    "Spec",
    "load_spec",
    "make_spec",
]
