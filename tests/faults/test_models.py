"""Model folders that are damaged, hostile or do not fit: refused before work in a sentence, or they cost their rows."""

import json
import random
import shutil
import struct
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from relabel.engine import Request, Sampling, load_engine, load_model, load_processor, model_identity
from relabel.engine.continuous import ContinuousEngine
from relabel.errors import ModelRefused, RelabelError, RowRejected
from relabel.job import encode
from relabel.job.encode import Encoder
from relabel.spec import make_spec
from tests.tiny import CHAT_TEMPLATE, make_tokenizer, save_model

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ONE = "model.layers.1.mlp.up_proj.weight"

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(whole, tmp_path / "model")


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


def encoder_of(folder, prompt=None, **model):
    fields = {"source": {"path": "x", "format": "jsonl"}, "output": {"path": "out"}}
    fields |= {"prompt": prompt or {"user": "{{ alt }}"}, "model": {"path": str(folder), **model}}
    spec = make_spec(fields)
    return Encoder(spec, spec.prompt, None)


def refused(call):
    with pytest.raises(ModelRefused) as refusal:
        call()
    return str(refusal.value)


# Weights


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
    assert [None if result.error is None else result.error.split(":")[0] for result in results] == [
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


def mutated(content, rng):
    """A safetensors file with its header flipped, its end cut or a range of it zeroed."""
    header = 8 + struct.unpack("<Q", content[:8])[0]
    spoilt = bytearray(content)
    kind = rng.randrange(4)
    if kind == 0:
        for _ in range(rng.randint(1, 4)):
            spoilt[rng.randrange(header)] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del spoilt[rng.randrange(len(spoilt)) :]
    elif kind == 2:
        start = rng.randrange(len(spoilt))
        spoilt[start : start + 512] = bytes(len(spoilt[start : start + 512]))
    else:  # another figure in the header, of the same length
        digits = [at for at in range(8, header) if chr(spoilt[at]).isdigit()]
        for at in rng.sample(digits, rng.randint(1, 3)):
            spoilt[at] = ord(str(rng.randrange(10)))
    return bytes(spoilt)


@pytest.mark.parametrize("seed", range(5))
def test_five_hundred_mutated_weight_files_are_refused_or_give_an_engine(folder, seed):
    """A flipped weight cannot be told from a right one: then there is an engine, and its rows have texts or reasons."""
    rng, content, num_refused = random.Random(seed), (folder / WEIGHTS).read_bytes(), 0
    for _ in range(100):
        (folder / WEIGHTS).write_bytes(mutated(content, rng))
        try:
            model_identity(str(folder))
            engine = engine_of(folder)
        except RelabelError as error:
            num_refused += 1
            sentence = str(error)
        else:
            result = engine.generate([Request(id=0, prompt_ids=[5, 6, 7])])[0]
            assert result.error is not None or result.finish_reason is not None
            continue
        assert str(folder) in sentence
    assert num_refused > 50


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
def test_defaults_of_a_checkpoint_do_not_reach_a_text(whole, folder, batching):
    rows = [Request(id=row, prompt_ids=[5 + row, 6, 7]) for row in range(6)]
    expected = engine_of(whole, batching, max_new_tokens=12).generate(rows)
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
def test_a_model_without_a_padding_token_pads_all_the_same(whole, folder, batching):
    tokenizer = make_tokenizer()
    tokenizer.pad_token = None
    tokenizer.save_pretrained(folder)
    edit(folder / "config.json", pad_token_id=None)
    edit(folder / "generation_config.json", pad_token_id=None)
    rows = [Request(id=row, prompt_ids=[5] * (row + 1)) for row in range(5)]
    assert engine_of(folder, batching).generate(rows) == engine_of(whole, batching).generate(rows)


def test_a_tokenizer_with_more_tokens_than_the_model_costs_the_rows_that_use_them(folder):
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["zebra"])
    tokenizer.save_pretrained(folder)
    known = len(tokenizer) - 1
    edit_weights(folder, lambda weights: weights.update(shrunk(weights, known)))
    edit(folder / "config.json", vocab_size=known)
    encoder = encoder_of(folder)
    rows = [
        Request(id=at, prompt_ids=encoder.encode({"alt": alt}, []).prompt_ids)
        for at, alt in enumerate(("a b", "a zebra", "b a"))
    ]
    errors = [result.error for result in engine_of(folder).generate(rows)]
    assert errors[0] is errors[2] is None
    assert errors[1] == f"prompt: a token beyond the {known} that the model knows; its tokenizer belongs to another"


def shrunk(weights, size):
    return {name: weights[name][:size].clone() for name in ("model.embed_tokens.weight", "lm_head.weight")}


# Chat templates


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception.__globals__.x }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os.system('false') }}",
        "{% for %}",
        "{{ 1 / 0 }}",
        "{{ messages.x.y }}",
        "{{ messages[7].role }}",
        "{% for a in range(10**9) %}x{% endfor %}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ 'x' * 10**15 }}",
        "{{ 'x' * 5000000 }}",
    ],
)
def test_a_hostile_chat_template_is_refused_before_any_row(folder, template):
    (folder / "chat_template.jinja").write_text(template)
    assert f"{folder} cannot take such a prompt" in refused(lambda: encoder_of(folder))


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set n = 9 %}{{ (n ** (n ** n)) % 7 }}",
    ],
)
def test_a_chat_template_without_an_end_is_ended(folder, monkeypatch, template):
    monkeypatch.setattr(encode, "PROBE_SECONDS", 0.5)
    (folder / "chat_template.jinja").write_text(template)
    assert "does not come to an end within 0.5 seconds" in refused(lambda: encoder_of(folder))


@pytest.mark.parametrize(
    "trap",
    [
        "{{ raise_exception(messages[0].content) }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content.__class__.__mro__ }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% for a in range(10**9) %}x{% endfor %}",
    ],
)
def test_a_chat_template_that_fails_on_some_rows_costs_those_and_quotes_none(folder, trap):
    template = f"{{% if 'secret' in messages[0].content %}}{trap}{{% endif %}}{CHAT_TEMPLATE}"
    (folder / "chat_template.jinja").write_text(template)
    encoder = encoder_of(folder)
    assert encoder.encode({"alt": "a circle"}, []).prompt_ids
    for call in (partial(encoder.encode, images=[]), encoder.prompt_text):
        with pytest.raises(RowRejected) as rejected:
            call({"alt": "a secret"})
        assert str(rejected.value) == "prompt: the model's chat template does not take such messages"


def test_a_chat_template_that_multiplies_a_row_makes_it_too_long(folder):
    (folder / "chat_template.jinja").write_text(
        "{% if messages[0].content|length > 9 %}{{ messages[0].content * 100000 }}{% endif %}x"
    )
    with pytest.raises(RowRejected, match="prompt_too_long: 6000001 characters"):
        encoder_of(folder).encode({"alt": "x" * 60}, [])


# Lengths


@pytest.mark.parametrize("batching", ["static", "continuous"])
def test_a_prompt_and_its_text_beyond_the_positions_of_the_model_reject_the_row(folder, batching):
    encoder = encoder_of(folder, max_prompt_tokens=4096)
    long, short = (encoder.encode({"alt": "word " * length}, []).prompt_ids for length in (400, 2))
    assert 512 < len(long) < 4096
    engine = engine_of(folder, batching, max_new_tokens=16)
    results = engine.generate([Request(id=0, prompt_ids=long), Request(id=1, prompt_ids=short)])
    assert results[0].error == f"prompt_too_long: {len(long)} tokens, and the model takes 496 beside 16 new ones"
    assert results[1].error is None


def test_texts_longer_than_the_model_can_reject_every_row_by_name(folder):
    engine = engine_of(folder, max_new_tokens=600)
    assert isinstance(engine, ContinuousEngine)
    result = engine.generate([Request(id=0, prompt_ids=[5])])[0]
    assert result.error == "sampling: 600 new tokens, and the model takes 512 with the prompt"
