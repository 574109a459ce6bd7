"""Configs and tokenizers that are damaged, hostile or do not fit: refused before work, or they cost their rows."""

import json
import shutil
from functools import partial

import pytest

from relabel.engine import Request, load_model, load_processor, model_identity
from relabel.engine.continuous.engine import ContinuousEngine
from tests.faults.model_folder import edit, edit_weights, encoder_of, engine_of, refused
from tests.tiny import make_tokenizer

pytestmark = pytest.mark.fault


# Configs


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"model_type": ["llama"]}',
        b"{}",
    ],
    ids=["empty", "a list", "binary", "deep", "a list of types", "no type"],
)
def test_a_config_that_is_none(folder, content):
    (folder / "config.json").write_bytes(content)
    for attempt in (load_model, load_processor, model_identity):
        assert "config.json" in refused(partial(attempt, str(folder)))


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "x"},
        {"vocab_size": None},
        {"vocab_size": 0},
        {"num_hidden_layers": -1},
        {"num_attention_heads": 0},
        {"num_attention_heads": 5},
        {"hidden_act": "nothing"},
        {"dtype": "evil"},
        {"rope_parameters": {"rope_type": "nothing"}},
        {"quantization_config": "nothing"},
        {"quantization_config": {"quant_method": "gptq", "bits": 4}},
        {"_attn_implementation": "someone/kernel"},
    ],
    ids=str,
)
def test_a_config_of_nonsense_is_refused_by_the_name_of_its_folder(folder, changes):
    edit(folder / "config.json", **changes)
    assert str(folder) in refused(lambda: engine_of(folder))


def test_an_empty_folder(tmp_path):
    for attempt in (load_model, load_processor, model_identity):
        assert "config.json is missing" in refused(partial(attempt, str(tmp_path)))


def test_code_that_a_tokenizer_or_processor_asks_for_is_never_run(folder, tmp_path):
    marker = tmp_path / "was_run"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\n")
    (folder / "custom_generate").mkdir()
    shutil.copy(folder / "own.py", folder / "custom_generate/generate.py")
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]}, tokenizer_class="Own")
    assert "custom code" in refused(lambda: load_processor(str(folder)))
    edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    processor = {"auto_map": {"AutoProcessor": "own.Own", "AutoImageProcessor": "own.Own"}, "processor_class": "Own"}
    for name in ("processor_config.json", "preprocessor_config.json"):
        (folder / name).write_text(json.dumps(processor))
    assert type(load_processor(str(folder))).__module__.startswith("transformers")
    assert engine_of(folder).generate([Request(id=0, prompt_ids=[5])])[0].error is None
    assert not marker.exists()


HOSTILE = {
    "do_sample": True,
    "temperature": 9.0,
    "top_k": 1,
    "repetition_penalty": 9.0,
    "num_beams": 4,
    "max_length": 2,
    "max_new_tokens": 1,
    "min_new_tokens": 4,
    "no_repeat_ngram_size": 1,
    "suppress_tokens": list(range(30, 200)),
    "forced_eos_token_id": 9,
    "custom_generate": "someone/else",
}


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_defaults_of_a_checkpoint_do_not_reach_a_text(model, folder, batching):
    rows = [Request(id=row, prompt_ids=[5 + row, 6, 7]) for row in range(6)]
    expected = engine_of(model, batching, max_new_tokens=12).generate(rows)
    edit(folder / "generation_config.json", **HOSTILE)
    assert engine_of(folder, batching, max_new_tokens=12).generate(rows) == expected


@pytest.mark.parametrize(
    "content", ["[]", '{"eos_token_id": "x"}', '{"pad_token_id": "x"}', '{"eos_token_id": [[1]]}'], ids=str
)
def test_a_generation_config_of_nonsense_is_refused(folder, content):
    (folder / "generation_config.json").write_text(content)
    assert str(folder) in refused(lambda: engine_of(folder))


def test_stop_tokens_beyond_the_vocabulary_end_nothing_and_break_nothing(folder):
    edit(folder / "generation_config.json", eos_token_id=[2, 10**9], pad_token_id=10**9)
    result = engine_of(folder).generate([Request(id=0, prompt_ids=[5, 6, 7])])[0]
    assert result.finish_reason == "length"


# Tokenizers


def test_a_folder_without_a_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert f"tokenizer in {folder} cannot be loaded" in refused(lambda: encoder_of(folder))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", "\0", '{"tokenizer_class": 5}'])
def test_a_tokenizer_that_is_damaged(folder, name, content):
    (folder / name).write_text(content)
    assert f"tokenizer in {folder} cannot be loaded" in refused(lambda: load_processor(str(folder)))


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_model_without_a_padding_token_pads_all_the_same(model, folder, batching):
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    edit(folder / "config.json", pad_token_id=None)
    edit(folder / "generation_config.json", pad_token_id=None)
    rows = [Request(id=row, prompt_ids=[5] * (row + 1)) for row in range(5)]
    assert engine_of(folder, batching).generate(rows) == engine_of(model, batching).generate(rows)


def test_a_tokenizer_with_more_tokens_than_the_model_costs_the_rows_that_use_them(folder):
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(folder)
    known = len(tokenizer) - 1
    edit_weights(folder, lambda weights: weights.update(shrunk(weights, known)))
    edit(folder / "config.json", vocab_size=known)
    encoder = encoder_of(folder)
    rows = [
        Request(id=at, prompt_ids=encoder.encode({"alt": alt})[0].prompt_ids)
        for at, alt in enumerate(("a b", "a zebra", "b a"))
    ]
    errors = [result.error for result in engine_of(folder).generate(rows)]
    assert errors[0] is errors[2] is None
    assert (
        str(errors[1]) == f"prompt: a token beyond the {known} that the model knows; its tokenizer belongs to another"
    )


def shrunk(weights, size):
    return {name: weights[name][:size].clone() for name in ("model.embed_tokens.weight", "lm_head.weight")}


# Lengths


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_prompt_and_its_text_beyond_the_positions_of_the_model_reject_the_row(folder, batching):
    encoder = encoder_of(folder, max_prompt_tokens=4096)
    long, short = (encoder.encode({"alt": "word " * length})[0].prompt_ids for length in (400, 2))
    assert 512 < len(long) < 4096
    engine = engine_of(folder, batching, max_new_tokens=16)
    results = engine.generate([Request(id=0, prompt_ids=long), Request(id=1, prompt_ids=short)])
    assert str(results[0].error) == f"prompt_too_long: {len(long)} tokens, and the model takes 496 beside 16 new ones"
    assert results[1].error is None


def test_texts_longer_than_the_model_can_reject_every_row_by_name(folder):
    engine = engine_of(folder, max_new_tokens=600)
    assert isinstance(engine, ContinuousEngine)
    result = engine.generate([Request(id=0, prompt_ids=[5])])[0]
    assert str(result.error) == "sampling: 600 new tokens, and the model takes 512 with the prompt"
