"""Images of chats: where they stand, and those that cannot be used."""

import json
import shutil

import numpy as np
import pytest
from transformers import AutoProcessor

from relabel.demo import MODEL_PATH
from relabel.errors import RowRejected
from relabel.job.encoding.row import RowEncoder
from relabel.job.prepare import IMAGE_ROWS, TEXT_ROWS, default_unit_rows
from tests.job.encoding.chats import BLUE, CHAT, RED, colours, encode, encoder, image, spec_of, text, user


def test_images_stand_where_the_messages_have_them(eyes, config):
    chat = [user(text("left"), image("red"), text("right"), image("blue")), {"role": "assistant", "content": "ok"}]
    encoded = encode(eyes, [*chat, user(image("red"))])
    assert colours(encoded) == [RED, BLUE, RED]
    places = np.flatnonzero(np.array(encoded.prompt_ids) == config.image_token_id)
    assert len(places) == 3 * config.image_seq_length
    tokenizer = AutoProcessor.from_pretrained(MODEL_PATH).tokenizer
    assert tokenizer.decode(encoded.prompt_ids[: places[0]]).endswith("left")


def test_images_on_both_sides_of_a_control_token_that_is_text(eyes, config):
    """The prompt is tokenized in pieces then, and each image has to stay in its own."""
    chat = [user(image("red"), text("a </s> b"), image("blue"), text("</s>"))]
    encoded = encode(eyes, chat)
    assert colours(encoded) == [RED, BLUE]
    bare = encode(eyes, [user(image("red"), text("a  b"), image("blue"))])
    assert encoded.tensors["pixel_values"].shape == bare.tensors["pixel_values"].shape
    ids = np.array(encoded.prompt_ids)
    places = np.flatnonzero(ids == config.image_token_id)
    assert len(places) == 2 * config.image_seq_length
    assert places[config.image_seq_length] - places[config.image_seq_length - 1] > 1, "the text is between them"
    assert (ids == config.text_config.bos_token_id).sum() == 1


def test_a_processor_without_a_chat_template_uses_the_tokenizers_with_plain_text(tmp_path):
    folder = shutil.copytree(MODEL_PATH, tmp_path / "model")
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = "{{ bos_token }}{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    plain = encoder(folder)
    chat = [CHAT[0], user(text("left"), image("red"), text("a </s>"), text("right"), image("blue"))]
    assert encode(plain, chat).text == "<s>[Be brief.][left<image>a </s>\nright<image>]"
    assert colours(encode(plain, chat)) == [RED, BLUE]


def test_a_chat_without_images_for_a_model_that_sees(eyes):
    assert encode(eyes, CHAT[1:]).tensors == {}


def test_an_image_for_a_model_without_eyes_rejects_its_row(model):
    with pytest.raises(RowRejected, match="image: the messages hold one, and the model takes none"):
        encode(encoder(model), [user(image())])


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.com/a.png", "image: a URL, which is never fetched"),
        ("http://169.254.169.254/latest", "image: a URL, which is never fetched"),
        ("file:///etc/passwd", "image: a URL, which is never fetched"),
        ("//example.com/a.png", "image: a URL, which is never fetched"),
        ("etc/passwd", "image: a path, but there is no image root"),
        ("data:image/png;base64,", "image: empty"),
        ("data:image/png;base64,AAAA", "image: not an image, or of a format that is not read"),
    ],
)
def test_an_image_that_cannot_be_used_rejects_its_row(eyes, url, reason):
    with pytest.raises(RowRejected) as rejected:
        encode(eyes, [user({"type": "image_url", "image_url": {"url": url}})])
    assert str(rejected.value) == reason


def test_the_limits_of_images_hold():
    small = encoder(MODEL_PATH, prompt={"messages": "chat", "max_image_pixels": 100})
    with pytest.raises(RowRejected, match="image: 64 x 64 pixels is over the limit of 100"):
        encode(small, [user(image())])
    small = encoder(MODEL_PATH, prompt={"messages": "chat", "max_image_bytes": 10})
    with pytest.raises(RowRejected, match="bytes is over the limit of 10"):
        encode(small, [user(image())])


def test_units_are_small_where_a_chat_may_hold_images(model):
    rows = {path: default_unit_rows(spec_of(path), RowEncoder(spec_of(path), None)) for path in (model, MODEL_PATH)}
    assert rows == {model: TEXT_ROWS, MODEL_PATH: IMAGE_ROWS}
