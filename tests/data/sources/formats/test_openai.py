import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relabel.data.sources import read
from tests.data.builders import (
    columns_of,
    files_of,
    kept_schema,
    read_all,
    source_of,
    units_of,
    write_json,
    write_lines,
)

COLUMNS = ["messages", "settings"]
MESSAGES = [{"role": "user", "content": "tëxt"}]


def line(custom_id="a", **fields):
    body = {"model": "gpt", "messages": MESSAGES}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body} | fields


def with_body(**body):
    return line(body={"messages": MESSAGES} | body)


def rows_of(tmp_path, *lines):
    write_lines(tmp_path / "a.jsonl", [one if isinstance(one, str | bytes) else json.dumps(one) for one in lines])
    return read_all(source_of(tmp_path, "openai"), COLUMNS, ["custom_id"])


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_rows(tmp_path, suffix):
    write_json(tmp_path / f"a{suffix}", [line(f"request-{n}") for n in range(10)])
    rows, kept = read_all(source_of(tmp_path, "openai"), COLUMNS, ["custom_id", "messages"])
    assert rows == [((json.dumps(MESSAGES, ensure_ascii=False), "{}"), None)] * 10
    assert kept["custom_id"].to_pylist() == [f"request-{n}" for n in range(10)]
    assert json.loads(kept["messages"][0].as_py()) == MESSAGES


def test_the_columns_are_the_same_for_every_file(tmp_path):
    write_lines(tmp_path / "a.jsonl", ["nonsense"])
    source = source_of(tmp_path, "openai")
    assert {field.name: str(field.type) for field in columns_of(files_of(source)[0], source)} == {
        "custom_id": "string",
        "messages": "string",
        "settings": "string",
    }


def test_the_settings_are_the_fields_of_the_body_that_may_change_the_text(tmp_path):
    said = {"temperature": 0.5, "stop": ["\n"], "tools": [{"type": "function"}], "new_field": 1}
    unsaid = {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "seed": None}
    unsaid |= {"stream": True, "stream_options": {"include_usage": True}, "prompt_cache_retention": "24h"}
    [((_, settings), why)], _ = rows_of(tmp_path, with_body(**said, **unsaid))
    assert (json.loads(settings), why) == (said, None)


@pytest.mark.parametrize(
    "url",
    [
        "/chat/completions",
        "/v1/chat/completions",
        "/openai/deployments/my-model/chat/completions?api-version=2024-10-21",
        "/openai/v1/chat/completions",
        "https://api.openai.com/v1/chat/completions",
        "/v4/chat/completions",
        "/inference/v1/chat/completions",
        None,  # Mistral's batch files name none
    ],
)
def test_the_url_of_a_chat_completion_in_its_spellings(tmp_path, url):
    [((messages, _), why)], _ = rows_of(tmp_path, line(url=url))
    assert (json.loads(messages), why) == (MESSAGES, None)


@pytest.mark.parametrize("url", ["/v1/embeddings", "/v1/responses", "/v1/completions", "chat/completions", "", 5])
def test_another_url_rejects_its_row(tmp_path, url):
    [(_, why)], _ = rows_of(tmp_path, line(url=url))
    assert str(why) == "source: the url is not /v1/chat/completions"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (line(custom_id=None), "no custom_id, or one that is no text"),
        (line(custom_id=""), "no custom_id, or one that is no text"),
        ({"url": "/v1/chat/completions", "body": {"messages": []}}, "no custom_id, or one that is no text"),
        (line(method="GET"), "the method is not POST"),
        (line(url="/v1/embeddings"), "the url is not /v1/chat/completions"),
        ({"custom_id": "a", "params": {"messages": []}}, "no body, or one that is no object"),
        (line(body=None), "no body, or one that is no object"),
        (line(body=["secret"]), "no body, or one that is no object"),
        (line(body={"prompt": "secret"}), "the body has no messages"),
        (with_body(user="secret \ud800"), "column body holds invalid UTF-8"),
        ("secret", "not a line of JSON"),
        (b"\xff", "invalid UTF-8"),
        ('["secret"]', "not a JSON object"),
    ],
)
def test_what_is_no_request_costs_its_row_and_quotes_nothing(tmp_path, wrong, reason):
    rows, _ = rows_of(tmp_path, line("before"), wrong, line("after"))
    assert [why for _, why in rows] == [None, f"source: {reason}", None]
    assert rows[1][0] == (None, None)


def test_a_bad_request_keeps_its_custom_id(tmp_path):
    _, kept = rows_of(tmp_path, line("a", url="/v1/embeddings"), line("b", body=None), line(5), "nonsense")
    assert kept["custom_id"].to_pylist() == ["a", "b", "5", None]


def test_a_body_nested_as_deep_as_python_reads_it_is_a_row_or_a_reject(tmp_path):
    for depth in (50, 400, 900, 960, 990, 5000):
        deep = (
            json.dumps(line())
            .replace('"tëxt"', "[" * depth + "]" * depth)
            .replace('"t\\u00ebxt"', "[" * depth + "]" * depth)
        )
        rows, _ = rows_of(tmp_path, line("before"), deep, line("after"))
        assert [rows[0][1], rows[2][1]] == [None, None]


def test_units_in_any_order(tmp_path):
    write_json(tmp_path / "a.jsonl.gz", [line(str(n)) for n in range(100)])
    source = source_of(tmp_path, "openai")
    schema = kept_schema(source, ["custom_id"])
    for unit in reversed(units_of(files_of(source)[0], source, 16)):
        kept = read(unit, source, COLUMNS, schema).kept
        assert kept["custom_id"].to_pylist() == [str(n) for n in range(unit.first_row, unit.first_row + unit.num_rows)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
BODY = st.fixed_dictionaries({"messages": JSON}, optional={"temperature": JSON, "stop": JSON, "n": JSON}) | JSON
LINE = st.fixed_dictionaries(
    {"custom_id": st.text() | JSON, "url": st.just("/v1/chat/completions") | JSON, "body": BODY},
    optional={"method": st.just("POST") | JSON},
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE | JSON, min_size=1, max_size=5))
def test_any_lines_of_json_give_a_row_or_a_reject_each(tmp_path, lines):
    rows, kept = rows_of(tmp_path, line("before"), *(json.dumps(one) for one in lines))
    assert len(rows) == kept.num_rows == 1 + len(lines)
    for values, why in rows:
        assert (values == (None, None)) if why else all(isinstance(value, str) for value in values)
        assert why is None or why.startswith("source: ")
