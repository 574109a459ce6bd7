"""A model folder, spoiled, and what is said of it."""

import json

import pytest
from safetensors.torch import load_file, save_file

from relabel.engine import Sampling, load_engine
from relabel.errors import ModelRefused
from relabel.job.encoding.row import RowEncoder
from relabel.spec import make_spec

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ONE = "model.layers.1.mlp.up_proj.weight"


def edit(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def edit_weights(folder, change):
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def engine_of(folder, batching="auto", **sampling):
    return load_engine(
        str(folder), dtype="float32", batching=batching, sampling=Sampling(**{"max_new_tokens": 4, **sampling})
    )


def encoder_of(folder, prompt=None, probe_seconds=20.0, **model):
    fields = {"source": {"path": "x", "format": "jsonl"}, "output": {"path": "out"}}
    fields |= {"prompt": prompt or {"user": "{{ alt }}"}, "model": {"path": str(folder), **model}}
    return RowEncoder(make_spec(fields), None, probe_seconds)


def refused(call):
    with pytest.raises(ModelRefused) as refusal:
        call()
    return str(refusal.value)
