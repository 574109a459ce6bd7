"""A first spec, drafted from each kind of data: it loads, and its prompts can be looked at."""

import json

import pytest

from relabel.data.draft.init import init
from relabel.errors import Refused, SourceRefused
from relabel.spec import load_spec
from tests.data.builders import write_bytes, write_json, write_lines, write_parquet, write_tar
from tests.pictures import png

RED = png((8, 8), "red")


@pytest.fixture
def draft(tmp_path):
    """Drafts a spec of some paths below `tmp_path`, and gives what was found and the spec as it loads."""

    def drafted(*names, model=None):
        path = tmp_path / "spec.yaml"
        found = init([str(tmp_path / name) for name in names], path, model=model)
        return found, load_spec(path)

    return drafted


def test_images_with_a_text_are_described_and_the_text_is_a_hint(draft, tmp_path):
    rows = {"id": [1, 2], "image": [{"bytes": RED, "path": None}] * 2, "alt_text": ["a dog"] * 2, "score": [0.5] * 2}
    write_parquet(tmp_path / "rows.parquet", rows)
    found, spec = draft("rows.parquet")
    assert found["columns"] == {"id": "keys", "image": "images", "alt_text": "text", "score": "other values"}
    assert (spec.source.format, spec.prompt.images, spec.output.keep) == ("parquet", ["image"], ["id"])
    assert "{{ alt_text }}" in spec.prompt.user
    assert "VL" in spec.model.path


def test_of_texts_the_longest_is_asked_about(draft, tmp_path):
    write_lines(tmp_path / "rows.csv", ["id,title,review", *(f"{k},Good,It came late but works" for k in range(9))])
    found, spec = draft("rows.csv")
    assert found["columns"] == {"id": "keys", "title": "text", "review": "text"}
    assert "{{ review }}" in spec.prompt.user
    assert "{{ title }}" not in spec.prompt.user


def test_images_are_told_by_their_bytes_and_not_by_a_name(draft, tmp_path):
    write_bytes(tmp_path / "pictures" / "red.png", RED)
    write_json(tmp_path / "rows.jsonl", [{"image": "a red square", "where": "pictures/red.png"}])
    found, spec = draft("rows.jsonl")
    assert found["columns"] == {"image": "text", "where": "images"}
    assert spec.prompt.images == ["where"]


def test_web_addresses_are_no_images_and_the_spec_says_so(draft, tmp_path):
    write_json(tmp_path / "rows.jsonl", [{"url": f"https://example.org/{k}.jpg", "caption": "red"} for k in range(4)])
    found, spec = draft("rows.jsonl")
    assert found["columns"]["url"] == "web addresses"
    assert not spec.prompt.images
    assert "web addresses, which are not fetched" in (tmp_path / "spec.yaml").read_text()


def test_a_chat_whose_last_message_is_the_users_is_asked_as_it_is(draft, tmp_path):
    write_json(tmp_path / "chats.jsonl", [{"messages": [{"role": "user", "content": "Hello"}]}])
    _, spec = draft("chats.jsonl")
    assert spec.prompt.messages == "messages"


@pytest.mark.parametrize(
    ("chat", "question"),
    [
        ([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}], "{{ chat[0].value }}"),
        (
            [{"role": r, "content": "x"} for r in ("system", "user", "assistant")],
            "{{ chat[1].content }}",
        ),
    ],
)
def test_of_a_chat_that_is_answered_the_first_question_is_asked(draft, tmp_path, chat, question):
    write_json(tmp_path / "chats.jsonl", [{"chat": chat}] * 3)
    _, spec = draft("chats.jsonl")
    assert (spec.prompt.messages, spec.prompt.user) == (None, question)


def test_a_folder_of_images_is_one_and_what_it_passes_over_is_counted(draft, tmp_path):
    for k in range(3):
        write_bytes(tmp_path / "pictures" / f"{k}.png", RED)
    write_bytes(tmp_path / "pictures" / "notes.md", b"x")
    found, spec = draft("pictures")
    assert (found["format"], found["files"], found["passed_over"]) == ("images", 1, {".md": 1})
    assert spec.prompt.image == "image"


def test_the_images_of_a_shard_are_asked_for_once(draft, tmp_path):
    write_tar(tmp_path / "shard.tar", [("0.png", RED), ("0.txt", b"a red square")])
    found, spec = draft("shard.tar")
    assert (found["format"], spec.prompt.image) == ("webdataset", "image")
    assert "{{ txt }}" in spec.prompt.user


def test_a_batch_file_brings_its_own_prompts(draft, tmp_path):
    body = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    write_json(tmp_path / "batch.jsonl", [line])
    _, spec = draft("batch.jsonl")
    assert (spec.source.format, spec.prompt.user, spec.prompt.messages) == ("openai", None, "messages")
    assert spec.output.keep == ["custom_id"]


def test_the_format_of_most_bytes_is_taken_and_the_others_are_told(draft, tmp_path):
    write_lines(tmp_path / "data" / "more.csv", ["text", *["some words"] * 100])
    write_json(tmp_path / "data" / "less.jsonl", [{"text": "x"}])
    found, spec = draft("data")
    assert (spec.source.format, found["passed_over"]) == ("csv", {"files of jsonl": 1})


def test_a_file_that_is_broken_is_not_looked_into_where_another_is_whole(draft, tmp_path):
    write_bytes(tmp_path / "data" / "a.parquet", b"PAR1")
    write_parquet(tmp_path / "data" / "b.parquet", {"text": ["some words"]})
    found, _ = draft("data")
    assert found["looked_into"].endswith("b.parquet")


def test_the_model_that_is_named_stands_in_the_spec(draft, tmp_path):
    write_json(tmp_path / "rows.jsonl", [{"text": "x"}])
    _, spec = draft("rows.jsonl", model="models/my own: one")
    assert spec.model.path == "models/my own: one"


def test_data_of_no_format_is_refused_by_what_is_there(draft, tmp_path):
    write_bytes(tmp_path / "data" / "notes.docx", b"x")
    with pytest.raises(SourceRefused, match=r"no file of a format that is read \(there is: 1 .docx\)"):
        draft("data")


def test_a_spec_that_is_there_is_not_written_over(draft, tmp_path):
    write_json(tmp_path / "rows.jsonl", [{"text": "x"}])
    (tmp_path / "spec.yaml").write_text("mine")
    with pytest.raises(Refused, match="name another by -o"):
        draft("rows.jsonl")
    assert (tmp_path / "spec.yaml").read_text() == "mine"


def test_a_file_without_rows_is_refused(draft, tmp_path):
    write_lines(tmp_path / "rows.csv", ["id,review"])
    with pytest.raises(SourceRefused, match="has no rows"):
        draft("rows.csv")


def test_a_null_is_no_value_to_go_by(draft, tmp_path):
    write_json(tmp_path / "rows.jsonl", [{"image": None, "text": json.dumps({"a": 1})}] * 3)
    found, _ = draft("rows.jsonl")
    assert found["columns"] == {"image": "other values", "text": "text"}
