"""Rows that are encoded together read what each reads alone, and by outlines what a chat template writes itself."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.data.prompts.chat import Message
from relabel.data.prompts.origin import own_of
from relabel.job.encoding.chat_template import FAILS, ChatTemplate
from relabel.job.encoding.encoded import Encoded
from relabel.job.encoding.row import RowEncoder
from relabel.rejected import Rejected
from relabel.spec import make_spec
from tests.job.encoding.templates import TEXT
from tests.tiny import make_tokenizer, save_model

TURNS = (
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ READ }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}!{% endif %}"
)
READ = [
    "m.content",
    "m.content | trim",
    "m['content'] + '\n' if m.content is string else m.content[0].text",
    "'' if m.content.startswith('<') and m.content.endswith('>') else m.content",
    "m.content.split('>')[-1]",
    "m.reasoning_content ~ m.content if m.reasoning_content is defined else 'x' in m.content",
    "m.thinking | trim if m.thinking else m.content",
    "bos_token + m.content if loop.first else m.content | length",
    "m | tojson",
    "raise_exception('no') if 'end' in m.content else m.content",
    "m.content | upper",
    "strftime_now('%Y')",
]
CHAT = st.lists(
    st.builds(
        lambda role, parts, reasoning: Message(role=role, parts=parts, reasoning=reasoning),
        st.sampled_from(["system", "user", "assistant"]),
        st.lists(TEXT | st.none(), min_size=1, max_size=2).map(tuple),
        st.none() | TEXT,
    ),
    min_size=1,
    max_size=3,
)
ANY = {"unused": True}
"""Variables of a row: with them each row is rendered by itself."""


def written(renderer, messages, variables):
    try:
        text = renderer._render(messages, variables, is_asked=True)
    except FAILS as error:
        return type(error)
    return str(text), own_of(text)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(READ), st.lists(CHAT, min_size=1, max_size=4))
@pytest.mark.parametrize("day", [None, datetime.date(2026, 1, 2)])
def test_a_chat_template_writes_the_same_by_its_outlines(day, read, chats):
    tokenizer = make_tokenizer(TURNS.replace("READ", read))
    renderer = ChatTemplate(tokenizer, tokenizer, "<image>", {}, day)
    for messages in [*chats, *chats]:
        assert written(renderer, messages, {}) == written(renderer, messages, ANY)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = save_model(tmp_path_factory.mktemp("outlines"))
    fields = {"source": {"path": "x", "format": "parquet"}, "output": {"path": "out"}, "model": {"path": str(folder)}}
    prompt = {"user": "{{ q }}{% if r %} and {{ r }}{% endif %}"}
    return RowEncoder(make_spec({**fields, "prompt": prompt}), None)


def test_rows_are_encoded_together_as_alone_and_a_bad_row_costs_itself(encoder):
    rows = [
        {"q": "a red circle", "r": None},
        {"q": None, "r": "x"},
        {"q": "</s><|turn|>", "r": ""},
        {"q": "word " * 5000, "r": "x"},
        {"q": b"\xff", "r": "x"},
        {"q": "\ud800", "r": "x"},
        {"q": "", "r": {"a": [1]}},
        {"q": "a blue square", "r": "two"},
    ]
    together = encoder.encode_all(rows)
    assert together == [encoder.encode(row) for row in rows]
    kinds = [type(labels[0]) for labels in together]
    assert kinds == [Encoded, Rejected, Encoded, Rejected, Rejected, Rejected, Encoded, Encoded]
