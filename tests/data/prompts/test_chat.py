import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.data.prompts.chat import Chat, Message, read_chat
from relabel.data.prompts.template import MAX_PROMPT_CHARACTERS
from relabel.errors import RowRejected

URL = "data:image/png;base64,iVBORw=="
USER = {"role": "user", "content": "hello"}


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


def text(words):
    return {"type": "text", "text": words}


def image(url=URL):
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_chat_in_texts():
    messages = [{"role": "developer", "content": "Be brief."}, USER, {"role": "assistant", "content": ""}]
    assert read_chat(messages) == Chat(
        messages=(
            Message(role="system", parts=("Be brief.",)),
            Message(role="user", parts=("hello",)),
            Message(role="assistant", parts=("",)),
        )
    )


@pytest.mark.parametrize("dump", [json.dumps, lambda value: json.dumps(value).encode(), lambda value: value])
def test_the_list_may_be_its_json(dump):
    assert read_chat(dump([USER])) == read_chat([USER])


def test_images_are_set_apart_in_their_order():
    chat = read_chat([*user(text("left:"), image("data:a"), text("right:"), image("data:b")), USER])
    assert chat.messages[0].parts == ("left:", None, "right:", None)
    assert chat.image_urls == ("data:a", "data:b")


def test_a_struct_of_parquet_with_nulls_for_the_keys_of_other_parts():
    part = pa.struct([("type", pa.string()), ("text", pa.string()), ("image_url", pa.struct([("url", pa.string())]))])
    column = pa.array(
        [user(text("a"), image())], pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(part))]))
    )
    assert read_chat(column.to_pylist()[0]) == read_chat(user(text("a"), image()))


def test_an_image_url_may_be_a_plain_text():
    assert read_chat(user({"type": "image_url", "image_url": URL})).image_urls == (URL,)


def test_an_image_as_transformers_spells_it_has_a_url_or_is_one_of_a_column():
    chat = read_chat(user({"type": "image", "url": URL}, {"type": "image"}, {"type": "image", "image": URL}))
    assert (chat.image_urls, chat.num_places) == ((URL, None, URL), 1)


def test_the_parts_of_a_chat_of_trl_as_parquet_has_them():
    parts = [{"index": 0, "text": None, "type": "image"}, {"index": None, "text": "what?", "type": "text"}]
    chat = read_chat(user(*parts))
    assert (chat.messages[0].parts, chat.image_urls) == ((None, "what?"), (None,))
    with pytest.raises(RowRejected, match="an image has another index in the messages than its place among them"):
        read_chat(user({"type": "image", "index": 1}))


@pytest.mark.parametrize(
    "key", ["id", "weight", "name", "timestamp", "token_count", "refusal", "model", "language", "hashed_ip", "metadata"]
)
def test_a_key_that_says_nothing_to_the_model_is_passed_over(key):
    assert read_chat([USER | {key: "x"}]) == read_chat([USER])


@pytest.mark.parametrize("value", [True, False, 0, 1.5, None])
def test_a_number_or_a_yes_says_nothing_to_the_model_whatever_its_key(value):
    assert read_chat([USER | {"toxic": value}]) == read_chat([USER])
    with pytest.raises(RowRejected, match=r"the content of message 1 is neither|message 1 has no content"):
        read_chat([{"role": "user", "content": value}])


@pytest.mark.parametrize("key", ["prefix", "partial"])
def test_a_message_that_a_server_would_go_on_with_is_named(key):
    assert read_chat([USER | {key: False}]) == read_chat([USER])
    with pytest.raises(RowRejected, match=f"message 2 has {key}, which a prompt does not take"):
        read_chat([USER, {"role": "assistant", "content": "x", key: True}])


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_the_reasoning_of_an_answer_goes_along(key):
    answer = {"role": "assistant", "content": "a", "reasoning_content": None, key: "b"}
    assert read_chat([answer]).messages[0].reasoning == "b"


SHAREGPT = [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "<image>\nwhat?"}]


def test_a_chat_of_sharegpt():
    chat = read_chat([*SHAREGPT, {"from": "gpt", "value": "a dog", "weight": 1}])
    assert [(one.role, one.parts) for one in chat.messages] == [
        ("system", ("Be brief.",)),
        ("user", ("<image>\nwhat?",)),
        ("assistant", ("a dog",)),
    ]
    assert read_chat(json.dumps(SHAREGPT)) == read_chat(SHAREGPT)


def test_a_chat_of_llava_whose_images_are_in_columns():
    chat = read_chat([{"from": "human", "value": "<image>\nleft, <image> right"}], has_images=True)
    assert (chat.messages[0].parts, chat.num_places) == ((None, "left, ", None, " right"), 2)


def test_a_chat_of_roles_whose_images_are_in_columns():
    chat = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "a dog"}]
    assert read_chat(chat, has_images=True).messages[0].parts == (None, "What?")
    assert read_chat(chat).messages[0].parts == ("<image>What?",)
    in_parts = [*chat, *user({"type": "image"}, text("and <image>?"))]
    assert read_chat(in_parts, has_images=True).num_places == 1


@pytest.mark.parametrize("speaker", ["Human", "bard", "bing", "GPT"])
def test_the_speakers_of_sharegpt_by_other_names(speaker):
    assert read_chat([*SHAREGPT, {"from": speaker, "value": "x"}]).messages[2].role in ("user", "assistant")


@pytest.mark.parametrize("speaker", ["observation", "function_call", None, 5])
def test_a_chat_of_sharegpt_with_a_tool_is_rejected_with_the_number_of_its_message(speaker):
    with pytest.raises(RowRejected, match="message 3 is from another than human, gpt or system, such as a tool"):
        read_chat([*SHAREGPT, {"from": speaker, "value": "secret"}])
    with pytest.raises(RowRejected, match="message 1 has no content"):
        read_chat([{"from": "human"}])


def test_an_answer_of_the_api_is_a_message():
    answer = {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None}
    assert read_chat([USER, answer]).messages[1].parts == ("x",)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no messages"),
        ("null", "no messages"),
        ("{", "the messages are not JSON"),
        ("[" * 100_000, "the messages are not JSON"),
        (b"\xff", "the messages are not valid UTF-8"),
        ("{}", "the messages are not a list"),
        (5, "the messages are not a list"),
        ([], "the list of messages is empty"),
        (["secret"], "message 1 is not an object"),
        ([USER, {"role": "tool", "content": "secret"}], "message 2 has a role other than"),
        ([{"role": ["secret"], "content": "x"}], "message 1 has a role other than"),
        ([{"content": "secret"}], "message 1 has a role other than"),
        ([USER | {"tool_calls": [{"secret": 1}]}], "message 1 has tool_calls, which a prompt does not take"),
        ([USER | {"mood": "secret"}], "message 1 has mood, which a prompt does not take"),
        ([USER | {"a secret sentence": "x"}], "message 1 has a key, which a prompt does not take"),
        ([USER | {"reasoning_content": 5}], "message 1 has reasoning_content of another kind than text"),
        ([{"role": "user"}], "message 1 has no content"),
        ([{"role": "user", "content": []}], "message 1 has no content"),
        ([{"role": "user", "content": 5}], "the content of message 1 is neither text nor a list"),
        ([{"role": "user", "content": "secret \ud800"}], "message 1 is not valid UTF-8"),
        ('[{"role": "user", "content": "secret \\ud800"}]', "message 1 is not valid UTF-8"),
        (user("secret"), "message 1 has a part that is neither text nor an image"),
        (user({"type": "input_audio", "input_audio": {}}), "message 1 has a part that is neither text nor an image"),
        (user({"type": "text", "text": None}), "message 1 has a part that is neither text nor an image"),
        (user({"type": "image_url", "image_url": {"url": None}}), "message 1 has an image_url without a url"),
        (user(*[image()] * 65), "65 images, limit 64"),
    ],
)
def test_what_is_no_chat_is_rejected_with_a_sentence_that_quotes_nothing(value, reason):
    with pytest.raises(RowRejected) as rejected:
        read_chat(value)
    assert str(rejected.value).startswith(f"prompt: {reason}")
    assert "secret" not in str(rejected.value)


def test_a_chat_too_long_to_be_tokenized():
    message = {"role": "user", "content": "x" * (MAX_PROMPT_CHARACTERS // 2 + 1)}
    with pytest.raises(RowRejected, match="prompt_too_long: 4000002 characters, limit 4000000"):
        read_chat([message, message])


def test_of_several_faults_the_first_message_and_its_role_are_named():
    with pytest.raises(RowRejected, match="message 1 has a role other than"):
        read_chat([{"role": "tool", "content": [5], "tool_calls": [1]}, 5])
    with pytest.raises(RowRejected, match="message 1 has tool_calls"):
        read_chat([{"role": "user", "content": [5], "tool_calls": [1]}, 5])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "image_url", "url"]), inner, max_size=4)
    ),
    max_leaves=20,
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url"]) | JSON}, optional={"text": JSON, "image_url": JSON}
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system"]) | JSON, "content": st.lists(PART | JSON, max_size=3) | JSON}
)


@given(st.lists(MESSAGE | JSON, max_size=4) | JSON | st.text() | st.binary())
def test_any_value_is_a_chat_or_a_reject(value):
    chat = outcome(value)
    if isinstance(chat, str):
        assert chat.startswith("prompt: ")
    else:
        assert chat.messages
        assert sum(message.parts.count(None) for message in chat.messages) == len(chat.image_urls)


def outcome(value):
    try:
        return read_chat(value)
    except RowRejected as error:
        return str(error)
