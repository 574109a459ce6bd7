"""What the user writes: one frozen spec, checked once at the edge and trusted inside."""

from relabel.spec.engines.keys import Server, Vllm
from relabel.spec.label import Gate, Label, NamedLabel
from relabel.spec.load import load_spec, make_spec
from relabel.spec.query import Query
from relabel.spec.running.notify import Notify
from relabel.spec.running.resources import Resources
from relabel.spec.sections import Model, Output, Prompt, Sampling
from relabel.spec.source import Source
from relabel.spec.spec import Spec

__all__ = [
    "Gate",
    "Label",
    "Model",
    "NamedLabel",
    "Notify",
    "Output",
    "Prompt",
    "Query",
    "Resources",
    "Sampling",
    "Server",
    "Source",
    "Spec",
    "Vllm",
    "load_spec",
    "make_spec",
]
