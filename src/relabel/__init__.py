"""relabel: run a language or vision-language model over a whole dataset, every row exactly once.

import relabel

report = relabel.run(relabel.load_spec("jobs/recaption.yaml"))
relabel.preview(relabel.load_spec("jobs/recaption.yaml"), 5)   # a pandas DataFrame, without Ray
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from relabel.version import __version__

if TYPE_CHECKING:
    from relabel.errors import RelabelError
    from relabel.job.preview import preview
    from relabel.job.run import run
    from relabel.spec import Spec, load_spec, make_spec

_HOMES = {
    "RelabelError": "errors",
    "Spec": "spec",
    "load_spec": "spec",
    "make_spec": "spec",
    "preview": "job.preview",
    "run": "job.run",
}

__all__ = ["RelabelError", "Spec", "__version__", "load_spec", "make_spec", "preview", "run"]


def __getattr__(name: str) -> object:
    # Ray, torch and transformers take seconds to import, and the engine alone must run without Ray and pydantic
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
