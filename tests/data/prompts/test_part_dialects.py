"""Parts of a message in the words of other APIs and data sets: texts and images as OpenAI has them, or a reject."""

import json

import pytest

from relabel.data.prompts.chat import read_chat
from relabel.errors import RowRejected
from tests.data.prompts.test_chat import URL, image, text, user


@pytest.mark.parametrize("dump", [json.dumps, lambda value: value])
@pytest.mark.parametrize("name", ["messages", "conversations", "conversation"])
def test_an_object_around_a_chat(dump, name):
    chat = [{"from": "human", "value": "hello"}]
    assert read_chat(dump({"id": "x", name: chat, "system": None})) == read_chat(chat)
    for others in ({"system": "Be brief."}, {"tools": []}, {"messages": chat, "conversations": chat}):
        with pytest.raises(RowRejected, match="the messages are not a list"):
            read_chat(dump({name: chat, **others}))


DIALECTS = {
    "anthropic": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}}],
    "anthropic by url": [{"type": "image", "source": {"type": "url", "url": URL}}],
    "responses": [{"type": "input_image", "image_url": URL, "detail": "low"}],
    "transformers by path": [{"type": "image", "path": URL}],
    "transformers by base64": [{"type": "image", "base64": URL}],
    "qwen-vl": [{"image": URL}],
    "as parquet has it": [{"type": "image", "source": None, "image": URL, "text": None}],
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_image_in_the_words_of_another_api(dialect):
    assert read_chat(user(*DIALECTS[dialect], text("what?"))) == read_chat(user(image(), text("what?")))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_text", "text": "hello"},
        {"type": "output_text", "text": "hello", "annotations": [], "logprobs": None},
        {"type": "refusal", "refusal": "hello"},
        {"text": "hello"},
    ],
)
def test_a_text_in_the_words_of_another_api(part):
    assert read_chat(user(part)).messages[0].parts == ("hello",)
    assert read_chat([{"role": "user", "content": part}]) == read_chat(user(part))


@pytest.mark.parametrize("key", ["min_pixels", "resized_height"])
def test_what_a_part_says_beyond_its_image_is_named(key):
    with pytest.raises(RowRejected, match=f"message 1 has a part with {key}, which a prompt does not take"):
        read_chat(user({"type": "image", "image": URL, key: 28}))
