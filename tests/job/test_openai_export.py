"""The answers of a batch file, in the format they were asked in."""

import json

from typer.testing import CliRunner

from relabel.cli import app
from tests.job.batch import GREEDY, Batch, line


def test_answers_go_back_in_the_format_they_were_asked_in(tmp_path, text_model, batch_engine):
    lines = [line(f"request-{n}", temperature=0, max_tokens=3) for n in range(18)]
    lines[3] = line("bad", temperature=-1)
    lines[9] = "nonsense"
    batch = Batch(tmp_path, text_model, lines)
    batch.run(batch_engine)
    figures, answers = batch.exported()
    assert figures.to_json() == {"rows": 18, "ok": 16, "rejected": 2, "missing": 0, "unreadable": 0, "duplicate_ids": 0}
    assert figures.complete
    expected = [f"request-{n}" for n in range(18)]
    expected[3], expected[9] = "bad", None
    assert [answer["custom_id"] for answer in answers] == expected
    rows = batch.rows(batch_engine)
    first = answers[0]
    digest = first["id"].removeprefix("batch_req_")
    body = first["response"]["body"]
    assert isinstance(body.pop("created"), int)
    assert first == {
        "id": f"batch_req_{digest}",
        "custom_id": "request-0",
        "response": {
            "status_code": 200,
            "request_id": f"req_{digest}",
            "body": {
                "id": f"chatcmpl-{digest}",
                "object": "chat.completion",
                "model": str(text_model),
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": rows[0]["text"]},
                        "logprobs": None,
                        "finish_reason": "length",
                    }
                ],
                "usage": {
                    "prompt_tokens": rows[0]["prompt_tokens"],
                    "completion_tokens": 3,
                    "total_tokens": rows[0]["prompt_tokens"] + 3,
                },
            },
        },
        "error": None,
    }
    assert answers[3]["response"] is None
    reason = "settings: temperature is out of range, or of another kind than the API's"
    assert answers[3]["error"] == {"code": "settings", "message": reason}
    assert answers[9]["error"] == {"code": "source", "message": "source: not a line of JSON"}
    assert len({answer["id"] for answer in answers}) == 18
    assert [answer["id"] for answer in batch.exported()[1]] == [answer["id"] for answer in answers], "they are stable"


def test_all_samples_of_a_row_are_its_choices(tmp_path, text_model, batch_engine):
    sampling = {"max_new_tokens": 4, "temperature": 1.0, "num_samples": 3}
    batch = Batch(tmp_path, text_model, [line("a"), line("b", seed=4)], sampling=sampling)
    batch.run(batch_engine)
    _, answers = batch.exported()
    for answer, row in zip(answers, batch.rows(batch_engine), strict=True):
        choices = answer["response"]["body"]["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        assert [choice["message"]["content"] for choice in choices] == row["text"]


def test_an_unfinished_run_gives_what_it_has(tmp_path, text_model, batch_engine):
    batch = Batch(tmp_path, text_model, [line(str(n), max_tokens=2) for n in range(20)])
    batch.run(batch_engine)
    batch.lose(1)
    figures, answers = batch.exported()
    assert (figures.rows, figures.missing, figures.complete) == (12, 1, False)
    assert [answer["custom_id"] for answer in answers] == [str(n) for n in (*range(8), *range(16, 20))]


def test_the_command_counts_and_its_exit_code_tells_whether_all_is_there(tmp_path, text_model, batch_engine):
    batch = Batch(tmp_path, text_model, [line(str(n), **GREEDY) for n in range(10)])
    arguments = ["export", str(tmp_path / "out"), str(tmp_path / "answers.jsonl")]
    counts = {"rejected": 0, "unreadable": 0, "duplicate_ids": 0}
    batch.run(batch_engine)
    batch.lose(1)
    part = CliRunner().invoke(app, arguments)
    assert (part.exit_code, json.loads(part.stdout)) == (1, {"rows": 8, "ok": 8, "missing": 1, **counts})
    batch.run(batch_engine)
    whole = CliRunner().invoke(app, arguments)
    assert (whole.exit_code, json.loads(whole.stdout)) == (0, {"rows": 10, "ok": 10, "missing": 0, **counts})
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 10
