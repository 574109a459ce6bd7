"""A batch file from its lines to the lines of its answers, with the tiny model and without Ray."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relabel import make_spec, preview, run
from relabel.cli import app
from relabel.data.output.openai_batch import export
from relabel.data.store.store import Store
from relabel.demo import MODEL_PATH
from relabel.engine import Sampling
from relabel.job.engine import engine_of
from relabel.job.local import InProcess
from tests.disturbed import Recorder
from tests.pictures import png
from tests.reading import rows_of

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}, "required": ["n"]}
SCHEMA |= {"additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
CHAT = [{"role": "user", "content": "a red circle?"}]
GREEDY = {"temperature": 0, "max_tokens": 12}


def line(custom_id, chat=CHAT, **settings):
    body = {"model": "gpt-4o", "messages": chat, **settings}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


class Batch:
    """A batch file and its run."""

    def __init__(self, folder, model, lines, /, **sections):
        self.folder = folder
        texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
        (folder / "batch.jsonl").write_text("".join(f"{text}\n" for text in texts))
        fields = {
            "source": {"path": str(folder / "batch.jsonl"), "format": "openai", "unit_rows": 8},
            "model": {"path": str(model), "dtype": "float32", "max_prompt_tokens": 256},
            "sampling": {"max_new_tokens": 8, "temperature": 1.0, "seed": 5},
            "output": {"path": str(folder / "out")},
            "resources": {"gpus_per_actor": 0},
        }
        self.spec = make_spec({**fields, **sections})

    def run(self, engine):
        run(self.spec, execute=InProcess(load=lambda _: engine))

    def rows(self, engine):
        self.run(engine)
        return rows_of(self.folder / "out")

    def lose(self, index):
        (self.folder / f"out/batch-{index:05d}.parquet").unlink()

    def exported(self):
        path = self.folder / "answers.jsonl"
        figures = export(Store(self.spec.output.path), path)
        return figures, [json.loads(text) for text in path.read_text().splitlines()]


@pytest.fixture(scope="module", params=["continuous", "static"])
def engine(request, text_model):
    fields = {"source": {"path": "x", "format": "openai"}, "output": {"path": "o"}}
    resources = {"gpus_per_actor": 0, "batching": request.param}
    return engine_of(
        make_spec({**fields, "model": {"path": str(text_model), "dtype": "float32"}, "resources": resources})
    )


def test_every_row_has_its_own_settings_whatever_its_neighbours_have(tmp_path, text_model, engine):
    lines = [
        line("greedy", **GREEDY),
        line("short", temperature=0, max_completion_tokens=3),
        line("sampled"),
        line("seed", seed=6),
        line("json", **GREEDY, response_format=FORMAT),
        line("n", n=2),
        line("empty", chat=[], stream=False),
        line("huge", max_tokens=2**31 - 1),
        line("again", **GREEDY),
    ]
    rows = {row["custom_id"]: row for row in Batch(tmp_path, text_model, lines).rows(engine)}
    greedy, short = rows["greedy"], rows["short"]
    assert [greedy["finish_reason"], greedy["output_tokens"]] == ["length", 12]
    assert short["output_tokens"] == 3
    assert greedy["text"].startswith(short["text"])
    assert rows["again"]["text"] == greedy["text"]
    assert len({rows[name]["text"] for name in ("greedy", "sampled", "seed")}) == 3
    assert rows["sampled"]["output_tokens"] <= 8
    assert json.loads(rows["json"]["text"]).keys() == {"n"}
    assert rows["n"]["reason"] == "settings: n is not supported: set sampling.num_samples in the spec"
    assert rows["empty"]["reason"] == "prompt: the list of messages is empty"
    assert rows["huge"]["reason"].startswith("sampling: 2147483647 new tokens, and the model takes 512")


def test_a_row_alone_has_the_text_that_it_has_in_company(tmp_path, text_model, engine):
    own = {"seed": 11, "temperature": 0.8, "top_p": 0.9}
    lines = [line("a", **own), line("b", **GREEDY), line("c", response_format=FORMAT), line("d", stop=["a", "e"])]
    together = Batch(tmp_path, text_model, lines).rows(engine)
    (tmp_path / "alone").mkdir()
    alone = Batch(tmp_path / "alone", text_model, lines, source={**_source(tmp_path / "alone"), "unit_rows": 1})
    assert [row["text"] for row in alone.rows(engine)] == [row["text"] for row in together]


def _source(folder):
    return {"path": str(folder / "batch.jsonl"), "format": "openai"}


def test_a_stop_text_of_a_row_is_no_part_of_its_text_and_leaves_the_others_alone(tmp_path, text_model, engine):
    long = {"temperature": 0, "max_tokens": 60}
    [free] = Batch(tmp_path, text_model, [line("a", **long)]).rows(engine)
    mark = next(letter for letter in free["text"][2:] if letter.isascii() and letter.isprintable())
    (tmp_path / "both").mkdir()
    lines = [line("a", **long), line("b", **long, stop=mark)]
    plain, stopped = Batch(tmp_path / "both", text_model, lines).rows(engine)
    assert plain["text"] == free["text"]
    assert stopped["text"] == free["text"][: free["text"].find(mark)]
    assert stopped["finish_reason"] == "stop"


def test_a_stop_text_of_the_spec_does_not_cut_json(tmp_path, text_model, engine):
    """JSON ends by itself: it would have been cut at its first quote."""
    lines = [line("json", **GREEDY, response_format=FORMAT), line("text", **GREEDY)]
    sampling = {"max_new_tokens": 8, "stop": ['"']}
    row, other = Batch(tmp_path, text_model, lines, sampling=sampling).rows(engine)
    assert json.loads(row["text"]).keys() == {"n"}
    assert '"' not in other["text"]


def test_several_labels_take_the_settings_of_their_row(tmp_path, text_model, engine):
    labels = [{"name": "free"}, {"name": "held", "parse": "choice", "choices": ["yes", "no"]}]
    lines = [line("a", temperature=0, max_tokens=4), line("b", temperature=0, max_tokens=4, stop="x")]
    first, second = Batch(tmp_path, text_model, lines, labels=labels).rows(engine)
    assert first["held"] in ("yes", "no")
    assert first["free_output_tokens"] == 4
    assert (second["free_status"], second["status"]) == ("ok", "rejected")
    assert second["held_reason"] == "settings: stop does not go with a label that is held to its own format"


def test_a_row_with_more_tokens_than_a_retry_gives_is_not_cut_shorter(tmp_path, text_model, engine):
    lines = [line("a", temperature=0, max_tokens=20), line("b", temperature=0, max_tokens=4)]
    label = {"max_new_tokens_on_retry": 10}
    rows = Batch(tmp_path, text_model, lines, label=label).rows(engine)
    assert [row["attempts"] for row in rows] == [1, 2]
    assert rows[0]["output_tokens"] == 20


def test_answers_go_back_in_the_format_they_were_asked_in(tmp_path, text_model, engine):
    lines = [line(f"request-{n}", temperature=0, max_tokens=3) for n in range(18)]
    lines[3] = line("bad", temperature=-1)
    lines[9] = "nonsense"
    batch = Batch(tmp_path, text_model, lines)
    batch.run(engine)
    figures, answers = batch.exported()
    assert figures.to_json() == {"rows": 18, "ok": 16, "rejected": 2, "missing": 0, "unreadable": 0, "duplicate_ids": 0}
    assert figures.complete
    expected = [f"request-{n}" for n in range(18)]
    expected[3], expected[9] = "bad", None
    assert [answer["custom_id"] for answer in answers] == expected
    rows = batch.rows(engine)
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


def test_all_samples_of_a_row_are_its_choices(tmp_path, text_model, engine):
    sampling = {"max_new_tokens": 4, "temperature": 1.0, "num_samples": 3}
    batch = Batch(tmp_path, text_model, [line("a"), line("b", seed=4)], sampling=sampling)
    batch.run(engine)
    _, answers = batch.exported()
    for answer, row in zip(answers, batch.rows(engine), strict=True):
        choices = answer["response"]["body"]["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        assert [choice["message"]["content"] for choice in choices] == row["text"]


def test_an_unfinished_run_gives_what_it_has(tmp_path, text_model, engine):
    batch = Batch(tmp_path, text_model, [line(str(n), max_tokens=2) for n in range(20)])
    batch.run(engine)
    batch.lose(1)
    figures, answers = batch.exported()
    assert (figures.rows, figures.missing, figures.complete) == (12, 1, False)
    assert [answer["custom_id"] for answer in answers] == [str(n) for n in (*range(8), *range(16, 20))]


def test_the_command_counts_and_its_exit_code_tells_whether_all_is_there(tmp_path, text_model, engine):
    batch = Batch(tmp_path, text_model, [line(str(n), **GREEDY) for n in range(10)])
    arguments = ["export", str(tmp_path / "out"), str(tmp_path / "answers.jsonl")]
    counts = {"rejected": 0, "unreadable": 0, "duplicate_ids": 0}
    batch.run(engine)
    batch.lose(1)
    part = CliRunner().invoke(app, arguments)
    assert (part.exit_code, json.loads(part.stdout)) == (1, {"rows": 8, "ok": 8, "missing": 1, **counts})
    batch.run(engine)
    whole = CliRunner().invoke(app, arguments)
    assert (whole.exit_code, json.loads(whole.stdout)) == (0, {"rows": 10, "ok": 10, "missing": 0, **counts})
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 10


def test_a_batch_with_images(tmp_path):
    data = base64.b64encode(png((64, 64), "red")).decode()
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    seen = [{"role": "user", "content": [picture, {"type": "text", "text": "Describe the image."}]}]
    away = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    batch = Batch(
        tmp_path,
        Path(MODEL_PATH),
        [line("seen", seen, **GREEDY), line("blind", **GREEDY), line("away", [{"role": "user", "content": [away]}])],
        model={"path": str(MODEL_PATH), "dtype": "float32", "max_prompt_tokens": 512},
    )
    rows = batch.rows(engine_of(batch.spec))
    assert [row["status"] for row in rows] == ["ok", "ok", "rejected"]
    assert rows[2]["reason"] == "image: a URL, which is never fetched"
    assert rows[0]["prompt_tokens"] > rows[1]["prompt_tokens"]


def test_preview_shows_chats_and_why_a_row_is_rejected(tmp_path, text_model):
    batch = Batch(tmp_path, text_model, [line("a"), line("b", temperature=99), line("c", chat="?")])
    shown = preview(batch.spec)
    assert shown["prompt"][0].endswith("user: a red circle?<|end|><|turn|>assistant: ")
    assert shown["reason"][1].startswith("settings: temperature")
    assert shown["reason"][2] == "prompt: the messages are not a list"


def test_the_settings_of_a_row_are_the_engines(tmp_path, text_model, engine):
    """What reaches the engine is the spec's sampling with the row's own over it."""
    recorder = Recorder(engine)
    Batch(tmp_path, text_model, [line("a", top_p=0.5, stop=["x"], seed=1), line("b")]).run(recorder)
    base = Sampling(max_new_tokens=8, temperature=1.0, seed=5, marks=("<think>", "</think>"))
    own = replace(base, seed=1, top_p=0.5, stop_strings=("x",))
    assert [request.sampling for request in recorder.requests] == [own, base]
