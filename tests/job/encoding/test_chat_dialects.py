"""Chats that end with the assistant, bring their reasoning along, or leave their images to columns."""

import base64

import pytest

from relabel.demo import MODEL_PATH
from relabel.errors import RowRejected, SpecError
from relabel.job.encoding.row import RowEncoder
from relabel.spec import make_spec
from tests.encoding import encode as encode_row
from tests.pictures import png
from tests.tiny import make_tokenizer, save_model

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a red circle?"}]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def encoder(model, **prompt):
    fields = {"source": {"path": "x", "format": "parquet"}, "output": {"path": "o"}}
    fields["model"] = {"path": str(model), "max_prompt_tokens": 1024}
    return RowEncoder(make_spec({**fields, "prompt": {"messages": "chat", **prompt}}), None)


def encode(encoder, chat):
    return encode_row(encoder, {"chat": chat})


def text(words):
    return {"type": "text", "text": words}


def image(colour):
    data = base64.b64encode(png((64, 64), colour)).decode()
    return {"type": "image_url", "image_url": f"data:image/png;base64,{data}"}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def colours(encoded):
    return [tuple(colour) for colour in encoded.tensors["pixel_values"].mean(axis=(2, 3)).round().tolist()]


BEGUN = [*CHAT[:2], {"role": "assistant", "content": " a</s>, I say: "}]
TRIMS = (
    "{{ bos_token }}{% for m in messages %}{{ '<|turn|>' + m.role + ': ' + m.content | trim + '<|end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant: {% endif %}"
)


def test_a_chat_that_ends_with_the_assistant_is_rejected_with_the_way_out(model):
    with pytest.raises(RowRejected, match=r"prompt: the last message is the assistant's: drop it, or go on with it by"):
        encode(encoder(model), BEGUN)


def test_a_chat_that_ends_with_the_assistant_is_gone_on_with(model):
    goes_on = encoder(model, continue_final_message=True)
    encoded = encode(goes_on, BEGUN)
    assert encoded.text.endswith("<|end|><|turn|>assistant:  a</s>, I say: ")
    assert make_tokenizer().eos_token_id not in encoded.prompt_ids
    assert encode(goes_on, CHAT).prompt_ids == encode(encoder(model), CHAT).prompt_ids, "of others nothing changes"


@pytest.mark.parametrize("content", ["a, I say:", "x", "yes\n", "<|end|>"])
def test_what_is_gone_on_with_is_what_transformers_makes_of_it(tmp_path, content):
    chat = [*CHAT[:2], {"role": "assistant", "content": content}]
    encoded = encode(encoder(save_model(tmp_path, chat_template=TRIMS), continue_final_message=True), chat)
    expected = make_tokenizer(TRIMS).apply_chat_template(chat, tokenize=False, continue_final_message=True)
    assert encoded.text == expected


def test_a_message_that_cannot_be_gone_on_with_rejects_its_row(model, tmp_path):
    with pytest.raises(RowRejected, match="the last message, which the model is to go on with, is empty"):
        encode(encoder(model, continue_final_message=True), [*BEGUN[:2], {"role": "assistant", "content": " "}])
    forgets = save_model(tmp_path, chat_template="{{ messages[0].content }}<|end|>")
    with pytest.raises(RowRejected, match="chat template does not end with the message to go on with"):
        encode(encoder(forgets, continue_final_message=True), BEGUN)


def test_the_reasoning_of_an_earlier_answer_reaches_the_template(tmp_path):
    template = "{% for m in messages %}{{ m.reasoning_content }}{{ m.thinking }}{{ m.content }};{% endfor %}"
    chat = [{"role": "assistant", "content": "a", "reasoning_content": "</s>"}, CHAT[1]]
    encoded = encode(encoder(save_model(tmp_path, chat_template=template)), chat)
    assert encoded.text == "</s></s>a;a red circle?;"
    assert make_tokenizer().eos_token_id not in encoded.prompt_ids


PLACE = {"type": "image"}


def test_images_of_columns_stand_where_the_messages_leave_room():
    both = encoder(MODEL_PATH, image=["first", "more"])
    row = {"chat": [user(PLACE, text("and"), image("red"), PLACE)], "first": None}
    row["more"] = [{"bytes": png((64, 64), "blue"), "path": None}, {"bytes": png((64, 64), "red"), "path": None}]
    assert colours(encode_row(both, row)) == [BLUE, RED, RED]
    assert both.columns == {"chat": "prompt.messages", "first": "prompt.image", "more": "prompt.image"}
    llava = {"chat": [{"from": "human", "value": "<image>\nwhat?"}], "first": png((64, 64), "blue"), "more": []}
    assert colours(encode_row(both, llava)) == [BLUE]


def test_images_without_a_place_and_places_without_an_image_reject_their_row():
    one = encoder(MODEL_PATH, image="first")
    with pytest.raises(RowRejected, match="image: 1 in the columns, 0 places in the messages"):
        encode_row(one, {"chat": CHAT[1:], "first": png((64, 64), "red")})
    with pytest.raises(RowRejected, match="image: 0 in the columns, 1 places in the messages"):
        encode_row(one, {"chat": [user(PLACE)], "first": None})
    with pytest.raises(RowRejected, match=r"image: the messages leave it to a column: name that in prompt\.image"):
        encode(encoder(MODEL_PATH), [user(PLACE)])


def test_variables_of_a_row_reach_the_template_as_data_over_those_of_the_spec(tmp_path):
    folder = save_model(tmp_path, chat_template="{{ mood }}{{ pace }}{{ messages[0].content }}")
    fields = {"source": {"path": "x", "format": "openai"}, "output": {"path": "o"}, "model": {"path": str(folder)}}
    spec = make_spec({**fields, "prompt": {"messages": "messages", "chat_template_kwargs": {"mood": "a", "pace": "b"}}})
    row = {"messages": CHAT[1:], "settings": '{"chat_template_kwargs": {"mood": "</s>"}}'}
    encoded = encode_row(RowEncoder(spec, None), row)
    assert encoded.text == "</s>ba red circle?"
    assert make_tokenizer().eos_token_id not in encoded.prompt_ids


@pytest.mark.parametrize(
    "flag", ["add_generation_prompt", "continue_final_message", "tools", "tokenize", "strftime_now"]
)
def test_a_flag_that_is_not_the_templates_is_refused_in_the_words_of_the_spec(model, flag):
    with pytest.raises(SpecError, match=f"{flag} is no option of a chat template: "):
        encoder(model, chat_template_kwargs={flag: True})


DATED = "{{ strftime_now('%d %b %Y') }}: {{ messages[0].content }}"


def test_the_day_of_a_template_is_that_of_the_spec(tmp_path, model):
    dated = encoder(save_model(tmp_path, chat_template=DATED), date="2024-07-26")
    assert encode(dated, CHAT[1:]).text == "26 Jul 2024: a red circle?"
    assert dated.writes_the_day
    assert not encoder(model).writes_the_day
