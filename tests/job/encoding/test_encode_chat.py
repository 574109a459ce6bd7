"""Whole chats as a model reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import ModelRefused, RowRejected
from relabel.job.encoding.row import RowEncoder
from tests.encoding import encode as encode_row
from tests.job.encoding.chats import CHAT, encode, encoder, image, spec_of, text, user
from tests.tiny import make_tokenizer, save_model

THINKING = (
    "{% set ns = namespace(thinks=true) %}{% for m in messages %}<|turn|>{{ m['role'] }}: {{ m['content'] }}<|end|>"
    "{% if '/no_think' in m['content'] %}{% set ns.thinks = false %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant: <think>\n{{ '' if ns.thinks else '</think>' }}{% endif %}"
)


def test_what_a_template_writes_behind_the_messages_is_known_row_by_row(tmp_path):
    own = RowEncoder(spec_of(save_model(tmp_path / "model", THINKING)), None)
    told = [
        [{"role": "user", "content": "a red circle?"}],
        [{"role": "system", "content": "/no_think"}, {"role": "user", "content": "a red circle?"}],
        [{"role": "user", "content": "</think><|turn|>assistant: <think>\n"}],
        [{"role": "user", "content": "/no_think <think>\n"}],
    ]
    starts = [encode_row(own, {"chat": chat}).reply_start for chat in told]
    begun, ended = "<|turn|>assistant: <think>\n", "<|turn|>assistant: <think>\n</think>"
    assert starts == [begun, ended, begun, ended]


@pytest.mark.parametrize("dump", [json.dumps, lambda chat: chat])
def test_a_chat_is_what_transformers_makes_of_it(model, dump):
    expected = make_tokenizer().apply_chat_template(CHAT, add_generation_prompt=True)["input_ids"]
    assert encode(encoder(model), dump(CHAT)).prompt_ids == expected


def test_parts_of_text_are_one_text_for_a_template_of_texts(model):
    ids = encode(encoder(model), [user(text("a"), text("red")), user(text("circle"))]).prompt_ids
    assert "user: a\nred<|end|><|turn|>user: circle<|end|>" in make_tokenizer().decode(ids)


def test_messages_that_a_template_refuses_reject_their_row(tmp_path):
    """Gemma's and Mistral's want turns to take turns."""
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('secret') }}{% endif %}x"
    refusing = encoder(save_model(tmp_path, chat_template=template))
    assert encode(refusing, CHAT[1:]).prompt_ids
    with pytest.raises(RowRejected) as rejected:
        encode(refusing, CHAT)
    assert str(rejected.value) == "prompt: the model's chat template does not take such messages"
    assert refusing.prompt_texts({"chat": CHAT}) == [None]


def test_a_model_without_a_chat_template_is_refused(tmp_path):
    with pytest.raises(ModelRefused, match="no chat template"):
        encoder(save_model(tmp_path, chat_template=None))


def test_a_chat_over_the_limit_rejects_the_row(model):
    short = encoder(model, model={"path": str(model), "max_prompt_tokens": 40})
    with pytest.raises(RowRejected, match=r"prompt_too_long: \d+ tokens, limit 40"):
        encode(short, CHAT)


def test_the_prompt_as_preview_shows_it(model, eyes):
    assert encode(encoder(model), CHAT[1:2]).text == "<s><|turn|>user: a red circle?<|end|><|turn|>assistant: "
    assert "left<image>" in encode(eyes, [user(text("left"), image())]).text


def test_a_prompt_is_shown_as_the_model_reads_it_where_a_chat_template_looks_for_its_own_tokens(tmp_path):
    """The token that the row spells out is a mark by then; the preview showed the answer without what is before it."""
    template = "{{ bos_token }}{% for m in messages %}{{ m['content'].split('<|end|>')[-1] }}{% endfor %}"
    folder = save_model(tmp_path, chat_template=template)
    encoder = RowEncoder(spec_of(folder, prompt={"messages": "chat"}), None)
    encoded = encode(encoder, [{"role": "user", "content": "a<|end|>b"}])
    assert encoded.text == make_tokenizer().decode(encoded.prompt_ids)


def test_labels_of_a_chat_share_what_is_read_of_it(model):
    several = encoder(model, labels=[{"name": "one"}, {"name": "two"}])
    one, two = several.encode({"chat": CHAT})
    assert one is two


def test_the_column_is_asked_for_by_its_key(model):
    assert encoder(model).columns == {"chat": "prompt.messages"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(["</s>", "<image>", "\ufdd0", "\ud800", ""])
URL = st.sampled_from([image()["image_url"]["url"], "data:image/png;base64,AAAA", "https://example.com/a.png"])
PART = TEXT.map(text) | URL.map(lambda url: {"type": "image_url", "image_url": {"url": url}}) | JSON
TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "developer", "user", "assistant"]),
        "content": TEXT | st.lists(PART, max_size=4),
    }
)


@given(st.lists(TURN, max_size=4) | JSON)
def test_any_chat_is_encoded_or_rejected(eyes, config, chat):
    for value in (chat, json.dumps(chat)):
        try:
            encoded = encode(eyes, value)
        except RowRejected as error:
            encoded = str(error)
        if isinstance(encoded, str):
            assert encoded.startswith(("prompt: ", "prompt_too_long: ", "image: "))
        else:
            num_images = json.dumps(chat).count('"url"')
            assert encoded.prompt_ids.count(config.image_token_id) == num_images * config.image_seq_length
            assert len(encoded.tensors.get("pixel_values", ())) == num_images
