"""Where a row spells a token out its prompt is read in pieces, and the pieces together say what the prompt says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from relabel.job.encoding.encode import Encoder
from relabel.job.encoding.prompts import TemplatePrompt
from relabel.job.encoding.tokenize import PromptTokenizer
from relabel.spec import Model, Prompt
from tests.tiny import save_model

WORDS = ["a small red circle at the top left", "what is it", "[INST] [/INST]"]
CHAT = "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}"


def piece_tokenizer(kind):
    """As SentencePiece has it: bytes where a letter is unknown, and a space before each text, or the first one."""
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if kind == "prepend":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=kind, split=False)
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    letters = [*map(chr, range(33, 127)), "▁"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], initial_alphabet=letters, show_progress=False
    )
    backend.train_from_iterator(WORDS, trainer)
    spelled = json.loads(backend.to_str())
    spelled["model"]["vocab"] |= {f"<0x{code:02X}>": backend.get_vocab_size() + code for code in range(256)}
    backend = Tokenizer.from_str(json.dumps(spelled))
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=CHAT
    )


@pytest.fixture(scope="module", params=["prepend", "always", "first", "never"])
def pieces(request, tmp_path_factory):
    folder = save_model(tmp_path_factory.mktemp(request.param))
    tokenizer = piece_tokenizer(request.param)
    tokenizer.save_pretrained(folder)
    prompts = [Prompt(user="{{ q }}", chat=chat) for chat in ("always", "never")]
    encoders = [
        Encoder(TemplatePrompt(one), PromptTokenizer(Model(path=str(folder)), one), "", 999, None) for one in prompts
    ]
    return tokenizer, encoders


TEXT = st.lists(st.sampled_from(["</s>", "<s>", "<unk>", "a", "red", " ", "  ", "\n", "é", "<", "</s"]), max_size=6)


@settings(max_examples=40, deadline=None)
@given(parts=TEXT)
def test_the_pieces_say_what_the_prompt_says_behind_one_begin(pieces, parts):
    tokenizer, encoders = pieces
    text = "".join(parts)
    for encoder, whole in zip(encoders, (f"[INST] {text} [/INST]", text), strict=True):
        ids = encoder.encode({"q": text}, lambda values: [], {}).prompt_ids
        assert ids.count(tokenizer.bos_token_id) == 1
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.eos_token_id not in ids
        # of a space at the very beginning these tokenizers make none, or a second one
        assert tokenizer.decode(ids[1:]).lstrip(" ") == whole.lstrip(" ")


def test_a_prompt_without_one_is_read_as_transformers_reads_it(pieces):
    tokenizer, encoders = pieces
    for encoder, whole in zip(encoders, ("<s>[INST] a red\ncircle [/INST]", "a red\ncircle"), strict=True):
        ids = encoder.encode({"q": "a red\ncircle"}, lambda values: [], {}).prompt_ids
        assert ids == tokenizer(whole, add_special_tokens=whole.startswith("a"))["input_ids"]
