"""Weights that are damaged, hostile or do not fit: refused before work in a sentence, or they cost their rows."""

import json
import shutil
import struct
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from relabel.engine import Request, load_model, model_identity
from tests.faults.model_folder import INDEX, ONE, WEIGHTS, edit, edit_weights, engine_of, refused

pytestmark = pytest.mark.fault


def test_weights_cut_at_any_place_are_refused(folder):
    file, content = folder / WEIGHTS, (folder / WEIGHTS).read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    cuts = [1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(content) // 2, len(content) - 1]
    for keep in cuts:
        file.write_bytes(content[:keep])
        for attempt in (load_model, model_identity):
            assert "download it again" in refused(partial(attempt, str(folder)))


def test_a_file_that_goes_on_after_its_last_weight_is_refused(folder):
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"more")
    assert "truncated or damaged" in refused(lambda: load_model(str(folder)))


def sharded(folder):
    """The weights in two files and their index."""
    weights = load_file(folder / WEIGHTS)
    names = {name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, name in enumerate(sorted(weights))}
    for shard in set(names.values()):
        own = {name: weight for name, weight in weights.items() if names[name] == shard}
        save_file(own, folder / shard, metadata={"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))
    (folder / WEIGHTS).unlink()


def test_one_shard_of_several_is_missing_or_cut_short(folder):
    sharded(folder)
    assert engine_of(folder).generate([Request(id=0, prompt_ids=[5])])[0].error is None
    shard = folder / "model-00002-of-00002.safetensors"
    content = shard.read_bytes()
    shard.write_bytes(content[:-10])
    assert f"{shard} is truncated" in refused(lambda: engine_of(folder))
    shard.unlink()
    assert f"the weight file {shard} is missing; download" in refused(lambda: engine_of(folder))


def test_shards_of_two_downloads_that_lack_a_weight_between_them(folder):
    sharded(folder)
    shutil.copy(folder / "model-00001-of-00002.safetensors", folder / "model-00002-of-00002.safetensors")
    assert "lacks" in refused(lambda: engine_of(folder))


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "../secret.safetensors"}, "outside of the model's folder"),
        ({"a": "pytorch_model.bin"}, "convert the model to safetensors"),
        ({"a": 5, "b": "x"}, "is no text"),
        ([], "has no weight_map"),
        (None, "has no weight_map"),
    ],
)
def test_an_index_that_names_what_is_no_weight_file(folder, weight_map, message):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))
    assert message in refused(lambda: load_model(str(folder)))
    assert message in refused(lambda: model_identity(str(folder)))


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "model.ckpt"])
def test_weights_that_can_run_code_are_never_opened(folder, name):
    (folder / WEIGHTS).unlink()
    (folder / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert "convert them to safetensors" in refused(lambda: load_model(str(folder)))
    assert "convert them to safetensors" in refused(lambda: model_identity(str(folder)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", [ONE, "model.norm.weight", "lm_head.weight"])
def test_one_layer_that_is_no_number_is_refused(folder, name, value):
    edit_weights(folder, lambda weights: weights[name].fill_(value))
    assert "its weights are damaged; download it again" in refused(lambda: engine_of(folder))


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_one_token_whose_embedding_is_no_number_costs_the_rows_that_read_it(folder, batching):
    edit_weights(folder, lambda weights: weights["model.embed_tokens.weight"][300].fill_(float("nan")))
    rows = [Request(id=row, prompt_ids=prompt) for row, prompt in enumerate(([5, 6], [5, 300, 6], [7, 8]))]
    results = engine_of(folder, batching).generate(rows)
    assert [None if result.error is None else result.error.code for result in results] == [
        None,
        "nonfinite",
        None,
    ]


def test_weights_of_other_shapes_than_the_config(folder):
    edit_weights(folder, lambda weights: weights.update({ONE: torch.zeros(3, 3)}))
    assert "other shapes than its config.json says" in refused(lambda: engine_of(folder))


@pytest.mark.parametrize("size", [64, 10**9])
def test_a_config_of_another_size_than_the_weights(folder, size):
    edit(folder / "config.json", hidden_size=size)
    assert "other shapes than its config.json says" in refused(lambda: engine_of(folder))


def test_a_config_with_fewer_layers_than_the_weights_is_said(folder, caplog):
    edit(folder / "config.json", num_hidden_layers=1)
    load_model(str(folder))
    assert "9 weights that its config.json leaves unused (model.layers.1." in caplog.text
