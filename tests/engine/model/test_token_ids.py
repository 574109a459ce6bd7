"""The ids of a text are those of the tokenizer's own call, whichever way they come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from relabel.demo import MODEL_PATH
from relabel.engine.model.token_ids import ids_of
from tests.job.encoding.test_pieces import piece_tokenizer
from tests.tiny import make_tokenizer

KINDS = ("prepend", "always", "first", "never", "bytes", "demo")
HOSTILE = st.text(max_size=40) | st.lists(
    st.sampled_from(
        ["</s>", "<s>", "<unk>", "<|turn|>", "<image>", " ", "\n", "\t", "é", "e\u0301", "👩‍👩‍👧", "x", "<", "▁"]
    ),
    max_size=8,
).map("".join)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    if request.param == "demo":
        return AutoTokenizer.from_pretrained(MODEL_PATH)
    return make_tokenizer() if request.param == "bytes" else piece_tokenizer(request.param)


def outcome(call):
    try:
        return call()
    except Exception as error:  # noqa: BLE001  half a surrogate pair is no text
        return type(error)


@settings(max_examples=60, deadline=None)
@given(text=HOSTILE, adds=st.booleans())
def test_any_text_has_the_ids_that_transformers_gives_it(tokenizer, text, adds):
    ids = kept(tokenizer)
    assert outcome(lambda: ids(text, add_special_tokens=adds)) == outcome(
        lambda: tokenizer(text, add_special_tokens=adds)["input_ids"]
    )


_kept = {}


def kept(tokenizer):
    return _kept.setdefault(id(tokenizer), ids_of(tokenizer))


def test_what_another_call_left_behind_changes_no_ids(tokenizer):
    ids, text = ids_of(tokenizer), "<s> a red circle </s>" * 3
    expected = tokenizer(text, add_special_tokens=True)["input_ids"]
    tokenizer(text, split_special_tokens=True)
    assert ids(text, add_special_tokens=True) == expected
    tokenizer(text, truncation=True, max_length=2)
    assert ids(text, add_special_tokens=True) == expected
    tokenizer.backend_tokenizer.enable_padding(length=99)
    assert ids(text, add_special_tokens=True) == expected


def test_a_tokenizer_that_does_something_of_its_own_is_called_itself():
    class Shouting(type(make_tokenizer())):
        def _encode_plus(self, text, *args, **options):
            return super()._encode_plus(text.upper(), *args, **options)

    shouting = make_tokenizer()
    shouting.__class__ = Shouting
    expected = make_tokenizer()("A RED CIRCLE", add_special_tokens=False)["input_ids"]
    assert ids_of(shouting)("a red circle", add_special_tokens=False) == expected
