"""A batch file under a run: the settings of each row, with the tiny model and without Ray."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

from relabel import preview
from relabel.demo import MODEL_PATH
from relabel.engine import Sampling
from relabel.job.engine import engine_of
from tests.disturbed import Recorder
from tests.job.batch import FORMAT, GREEDY, Batch, line
from tests.pictures import png


def test_every_row_has_its_own_settings_whatever_its_neighbours_have(tmp_path, text_model, batch_engine):
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
    rows = {row["custom_id"]: row for row in Batch(tmp_path, text_model, lines).rows(batch_engine)}
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


def test_a_row_holds_its_own_texts_to_what_it_names(tmp_path, text_model, batch_engine):
    choices = ["a red circle", "nothing"]
    forms = {
        "choice": {"guided_choice": choices},
        "choice too": {"structured_outputs": {"choice": choices}},
        "regex": {"guided_regex": r"n=\d{2}"},
        "regex too": {"extra_body": {"structured_outputs": {"regex": r"n=\d{2}"}}},
        "regex again": {"response_format": {"type": "regex", "pattern": r"n=\d{2}"}},
        "json": {"guided_json": FORMAT["json_schema"]["schema"]},
        "grammar": {"extra_body": {"guided_grammar": 'root ::= "a"'}},
        "free": {},
    }
    batch = Batch(tmp_path, text_model, [line(name, **GREEDY, **form) for name, form in forms.items()])
    batch.run(batch_engine)
    _, answers = batch.exported()
    texts = {
        answer["custom_id"]: answer["response"]["body"]["choices"][0]["message"]["content"]
        for answer in answers
        if answer["response"] is not None
    }
    assert texts["choice"] == texts["choice too"]
    assert texts["choice"] in choices
    assert {re.sub(r"\d", "0", texts[name]) for name in ("regex", "regex too", "regex again")} == {"n=00"}
    assert json.loads(texts["json"]).keys() == {"n"}
    assert not re.match(r"n=\d", texts["free"])
    [error] = [answer["error"] for answer in answers if answer["custom_id"] not in texts]
    assert error == {"code": "settings", "message": "settings: guided_grammar is not supported"}


def test_a_row_alone_has_the_text_that_it_has_in_company(tmp_path, text_model, batch_engine):
    own = {"seed": 11, "temperature": 0.8, "top_p": 0.9}
    lines = [line("a", **own), line("b", **GREEDY), line("c", response_format=FORMAT), line("d", stop=["a", "e"])]
    together = Batch(tmp_path, text_model, lines).rows(batch_engine)
    (tmp_path / "alone").mkdir()
    alone = Batch(tmp_path / "alone", text_model, lines, source={**_source(tmp_path / "alone"), "unit_rows": 1})
    assert [row["text"] for row in alone.rows(batch_engine)] == [row["text"] for row in together]


def _source(folder):
    return {"path": str(folder / "batch.jsonl"), "format": "openai"}


def test_a_stop_text_of_a_row_is_no_part_of_its_text_and_leaves_the_others_alone(tmp_path, text_model, batch_engine):
    long = {"temperature": 0, "max_tokens": 60}
    [free] = Batch(tmp_path, text_model, [line("a", **long)]).rows(batch_engine)
    mark = next(letter for letter in free["text"][2:] if letter.isascii() and letter.isprintable())
    (tmp_path / "both").mkdir()
    lines = [line("a", **long), line("b", **long, stop=mark)]
    plain, stopped = Batch(tmp_path / "both", text_model, lines).rows(batch_engine)
    assert plain["text"] == free["text"]
    assert stopped["text"] == free["text"][: free["text"].find(mark)]
    assert stopped["finish_reason"] == "stop"


def test_a_stop_text_of_the_spec_does_not_cut_json(tmp_path, text_model, batch_engine):
    """JSON ends by itself: it would have been cut at its first quote."""
    lines = [line("json", **GREEDY, response_format=FORMAT), line("text", **GREEDY)]
    sampling = {"max_new_tokens": 8, "stop": ['"']}
    row, other = Batch(tmp_path, text_model, lines, sampling=sampling).rows(batch_engine)
    assert json.loads(row["text"]).keys() == {"n"}
    assert '"' not in other["text"]


def test_several_labels_take_the_settings_of_their_row(tmp_path, text_model, batch_engine):
    labels = [{"name": "free"}, {"name": "held", "parse": "choice", "choices": ["yes", "no"]}]
    lines = [line("a", temperature=0, max_tokens=4), line("b", temperature=0, max_tokens=4, stop="x")]
    first, second = Batch(tmp_path, text_model, lines, labels=labels).rows(batch_engine)
    assert first["held"] in ("yes", "no")
    assert first["free_output_tokens"] == 4
    assert (second["free_status"], second["status"]) == ("ok", "rejected")
    assert second["held_reason"] == "settings: stop does not go with a label that is held to its own format"


def test_a_row_with_more_tokens_than_a_retry_gives_is_not_cut_shorter(tmp_path, text_model, batch_engine):
    lines = [line("a", temperature=0, max_tokens=20), line("b", temperature=0, max_tokens=4)]
    label = {"max_new_tokens_on_retry": 10}
    rows = Batch(tmp_path, text_model, lines, label=label).rows(batch_engine)
    assert [row["attempts"] for row in rows] == [1, 2]
    assert rows[0]["output_tokens"] == 20


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


def test_the_settings_of_a_row_are_the_engines(tmp_path, text_model, batch_engine):
    """What reaches the engine is the spec's sampling with the row's own over it."""
    recorder = Recorder(batch_engine)
    Batch(tmp_path, text_model, [line("a", top_p=0.5, stop=["x"], seed=1), line("b")]).run(recorder)
    base = Sampling(max_new_tokens=8, temperature=1.0, seed=5, marks=("<think>", "</think>"))
    own = replace(base, seed=1, top_p=0.5, stop_strings=("x",))
    assert [request.sampling for request in recorder.requests] == [own, base]
