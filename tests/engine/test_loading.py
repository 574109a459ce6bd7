"""What is loaded, and what is refused before any of it runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessorPil, LlavaProcessor

from relabel.engine import Request, Sampling, load_engine, load_model, load_processor, model_identity, quantise
from relabel.engine.model.weights import computes_bfloat16, widened
from relabel.errors import ModelRefused
from tests.engine import inputs, models

GREEDY = Sampling(max_new_tokens=8)


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.save(models.llama(), tmp_path_factory.mktemp("llama"), special=("<|im_end|>",))


@pytest.fixture
def folder(llama_folder: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(llama_folder, tmp_path / "model"))


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_folder_becomes_an_engine(llama_folder: Path) -> None:
    requests = inputs.text_requests()
    engine = load_engine(str(llama_folder), dtype="float32", device="cpu", sampling=GREEDY)
    expected = [models.generate_alone(models.llama(), request, 8, [models.EOS]) for request in requests]
    assert [result.token_ids for result in engine.generate(requests)] == expected


HALF = torch.bfloat16 if computes_bfloat16() else torch.float32


@pytest.mark.parametrize(("dtype", "expected"), [("auto", torch.float32), ("bfloat16", HALF)])
def test_the_type_of_the_weights(llama_folder: Path, dtype: str, expected: torch.dtype) -> None:
    assert load_model(str(llama_folder), dtype=dtype).dtype == expected


def test_a_model_is_widened_without_a_change_of_its_weights() -> None:
    half = models.llama().bfloat16()
    before = {name: weight.clone() for name, weight in half.named_parameters()}
    wide = widened(half)
    assert wide.dtype == torch.float32
    assert all(torch.equal(weight.bfloat16(), before[name]) for name, weight in wide.named_parameters())


def test_the_tokenizer_pads_on_the_left(llama_folder: Path) -> None:
    assert load_processor(str(llama_folder)).padding_side == "left"


def test_a_processor_its_bytes_and_its_model_work_together(tmp_path: Path) -> None:
    tokenizer = models.tokenizer(("<image>",))
    assert tokenizer.convert_tokens_to_ids("<image>") == models.IMAGE
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    ).save_pretrained(tmp_path)
    models.llava().save_pretrained(tmp_path)
    processor = load_processor(str(tmp_path))
    assert processor.tokenizer.padding_side == "left"

    noise = np.random.default_rng(0).integers(0, 256, (28, 28, 3), dtype=np.uint8)
    inputs = processor(text=["<image>abc"], images=[Image.fromarray(noise)], return_tensors="np")
    pixels = np.asarray(inputs["pixel_values"])
    levels, norm = quantise(pixels, processor.image_processor.image_mean, processor.image_processor.image_std)
    assert norm is not None
    ids = np.asarray(inputs["input_ids"])[0].tolist()
    assert ids.count(models.IMAGE) == 16
    engine = load_engine(str(tmp_path), dtype="float32", sampling=GREEDY)
    plain, packed = engine.generate(
        [
            Request(id=0, prompt_ids=ids, tensors={"pixel_values": pixels}),
            Request(id=1, prompt_ids=ids, tensors={"pixel_values": levels, "pixel_norm": norm}),
        ]
    )
    assert plain.token_ids == packed.token_ids
    black = Request(id=0, prompt_ids=ids, tensors={"pixel_values": np.zeros_like(pixels)})
    assert engine.generate([black])[0].token_ids != plain.token_ids, "the image does not matter to this model"


def test_a_missing_folder_is_refused() -> None:
    with pytest.raises(ModelRefused, match="does not exist"):
        load_model("./no/such/folder")


def test_pickled_weights_are_refused(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelRefused, match="convert them to safetensors"):
        load_model(str(folder))


def test_code_of_the_repository_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was_run"
    (folder / "modeling_own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\nclass OwnConfig: pass\n")
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.Own"}
    edit(folder / "config.json", model_type="own", auto_map=own)
    for attempt in (load_model, load_processor, model_identity):
        with pytest.raises(ModelRefused, match="auto_map"):
            attempt(str(folder))
    edit(folder / "config.json", model_type="llama")
    assert type(load_model(str(folder))).__name__ == "LlamaForCausalLM", "transformers has this class itself"
    assert not marker.exists()


@pytest.mark.parametrize("keep", [0, 5, 100, 20_000])
def test_a_truncated_weight_file_is_refused(folder: Path, keep: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelRefused, match=r"model\.safetensors is"):
        load_model(str(folder))


def test_a_missing_shard_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-00002.safetensors"}}))
    with pytest.raises(ModelRefused, match=r"model-00002\.safetensors is missing"):
        load_model(str(folder))


def test_a_missing_weight_is_refused_and_not_filled_with_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match="lacks 1 weights"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"model_type": "bert"}, "neither continues text"),
        ({"model_type": "not_yet_invented"}, "does not know"),
    ],
)
def test_other_kinds_of_model_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    if changes.get("model_type") == "bert":
        changes = {"model_type": "clip"}
    edit(folder / "config.json", **changes)
    with pytest.raises(ModelRefused, match=message):
        load_model(str(folder))


def test_a_config_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelRefused, match="JSON"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("path", "revision", "message"),
    [
        ("org/name", "main", "40 hexadecimal digits"),
        ("org/name", "0" * 40, "cannot be reached"),
        ("org/name", None, "cannot be reached"),
    ],
)
def test_names_on_the_hub_need_a_commit_and_the_hub(path: str, revision: str | None, message: str) -> None:
    with pytest.raises(ModelRefused, match=message):
        load_model(path, revision=revision)


def test_a_folder_has_no_revision(llama_folder: Path) -> None:
    with pytest.raises(ModelRefused, match="remove it"):
        model_identity(str(llama_folder), "0" * 40)


def test_unknown_settings_are_refused(llama_folder: Path) -> None:
    with pytest.raises(ModelRefused, match="batching"):
        load_engine(str(llama_folder), batching="dynamic", sampling=GREEDY)
    with pytest.raises(ModelRefused, match="dtype"):
        load_engine(str(llama_folder), dtype="int3", sampling=GREEDY)


def test_the_identity_of_a_commit_is_its_name_and_nothing_else() -> None:
    assert model_identity("org/name", "a" * 40) == {"name": "org/name", "revision": "a" * 40}


def test_the_identity_of_a_folder_stays_when_it_moves(llama_folder: Path, folder: Path) -> None:
    assert model_identity(str(folder)) == model_identity(str(llama_folder))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("config.json", "config"),
        ("generation_config.json", "config"),
        ("tokenizer.json", "tokenizer_and_processor"),
        ("tokenizer_config.json", "tokenizer_and_processor"),
        ("model.safetensors", "weights"),
    ],
)
def test_the_identity_of_a_folder_changes_with_each_of_its_files(folder: Path, name: str, group: str) -> None:
    before = model_identity(str(folder))
    content = bytearray((folder / name).read_bytes())
    if name == "model.safetensors":
        content[-5] ^= 1
    else:
        content += b"\n"
    (folder / name).write_bytes(content)
    after = model_identity(str(folder))
    assert {key for key in before if before[key] != after[key]} == {group}


def test_a_new_chat_template_is_another_model(folder: Path) -> None:
    before = model_identity(str(folder))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert model_identity(str(folder)) != before
