"""vLLM's own server on a CPU, in float32, against relabel's own engine: the same texts, numbers and constraints."""

import json
from dataclasses import replace

import pytest

from relabel import make_spec, run
from relabel.engine import Constraint, Request, Sampling, load_engine
from relabel.engine.server.loading import load_tokens
from relabel.engine.server.settings import ServerSettings
from relabel.errors import ModelRefused
from relabel.job.local import InProcess
from tests.conftest import small_spec, write_source
from tests.engine.vllm.kit import GREEDY, prompts, rows, texts
from tests.engine.vllm.serving import serving
from tests.reading import rows_of
from tests.tiny import make_tokenizer, save_model

pytestmark = pytest.mark.vllm

SPACE = 225
"""A token that is a whole character."""
HELD = {
    "choice": Constraint(kind="choice", value='["red", "green", "a blue one"]'),
    "regex": Constraint(kind="regex", value="[a-f]{3,6}[0-9]"),
    "json": Constraint(kind="json", value='{"type": "object", "properties": {"n": {"enum": ["one", "two"]}}, '
                       '"required": ["n"], "additionalProperties": false}'),
}  # fmt: skip


@pytest.fixture(scope="module")
def url(folder):
    with serving(folder) as url:
        yield url


@pytest.fixture(scope="module")
def served(folder, url):
    engine = load_tokens(str(folder), sampling=GREEDY, settings=ServerSettings(urls=[url]))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def own(folder):
    return load_engine(str(folder), sampling=GREEDY, dtype="float32")


def test_what_it_can_do_is_found_out(served):
    assert served.verdict.attention.startswith("vLLM 0.")
    assert "the servers do not obey seeds" not in served.verdict.notes


def test_greedy_texts_are_those_of_relabels_own_engine(served, own):
    wanted = own.generate(rows(60))
    assert len({result.text for result in wanted}) > 50
    found = served.generate(rows(60))
    assert [(one.text, one.token_ids, one.finish_reason) for one in found] == [
        (one.text, one.token_ids, one.finish_reason) for one in wanted
    ]


@pytest.mark.parametrize(
    "other",
    [{"repetition_penalty": 1.3}, {"min_new_tokens": 9}, {"stop_token_ids": [50, 60]}, {"stop_strings": ["a"]}],
    ids=str,
)
def test_other_settings_give_the_same_texts_too(served, own, other):
    # behind half a character servers hold back, and look for stop strings in, what the prompt ends with
    asked = [replace(one, prompt_ids=[*one.prompt_ids, SPACE]) for one in rows(20, replace(GREEDY, **other))]
    found, wanted = served.generate(asked), own.generate(asked)
    assert [(one.error, one.text) for one in found] == [(None, one.text) for one in wanted]


def test_log_probabilities_are_the_models_own(served, own):
    for held in (None, *HELD.values()):
        sampling = replace(GREEDY, constraint=held, logprobs=True)
        asked = rows(8, sampling)
        for found, wanted in zip(served.generate(asked), own.generate(asked), strict=True):
            assert found.token_ids == wanted.token_ids
            # relabel's own engine ends a constrained text with whichever stop token is likeliest
            num = len(wanted.logprobs) if held is None else wanted.num_tokens
            assert found.logprobs[:num] == pytest.approx(wanted.logprobs[:num], abs=1e-4)
    given = [Request(id=row, prompt_ids=ids, forced_ids=[40 + row, 50, 60]) for row, ids in enumerate(prompts(12))]
    given = [replace(one, sampling=replace(GREEDY, logprobs=True)) for one in given]
    for found, wanted in zip(served.generate(given), own.generate(given), strict=True):
        assert found.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)


@pytest.mark.parametrize("kind", HELD)
def test_every_finished_text_fits_its_constraint(served, kind):
    asked = rows(40, Sampling(max_new_tokens=40, temperature=1.0, constraint=HELD[kind]))
    found = served.generate(asked)
    assert [one.error for one in found] == [None] * 40
    done = [one.text for one in found if one.finish_reason == "stop"]
    assert len(done) > 10
    fits = {
        "choice": lambda text: text.strip() in ("red", "green", "a blue one"),
        "regex": lambda text: __import__("re").fullmatch(" ?[a-f]{3,6}[0-9]", text),
        "json": lambda text: json.loads(text)["n"] in ("one", "two"),
    }
    assert [text for text in done if not fits[kind](text)] == []


def test_seeded_texts_do_not_depend_on_their_company(served):
    asked = rows(20, Sampling(max_new_tokens=24, temperature=1.0, seed=5))
    wanted = texts(served.generate(asked))
    assert len(set(map(tuple, wanted.values()))) > 15
    assert texts(served.generate(asked[::-1])) == wanted
    assert {one.id: served.generate([one])[0].token_ids for one in asked[:5]} == {id: wanted[id] for id in range(5)}


def test_a_tokenizer_of_another_model_is_refused(url, tmp_path):
    other = save_model(tmp_path)
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(["Two words"])
    tokenizer.save_pretrained(other)
    with pytest.raises(ModelRefused, match="it is another model"):
        load_tokens(str(other), sampling=GREEDY, settings=ServerSettings(urls=[url]))


def test_a_run_has_the_labels_that_it_has_by_relabels_own_engine(url, folder, tmp_path):
    write_source(tmp_path / "data")
    fields = small_spec(tmp_path, folder)
    fields["sampling"] = {"max_new_tokens": 12}
    fields["model"]["max_prompt_tokens"] = 400
    labels = {}
    for engine, sections in {"relabel": {}, "server": {"server": {"urls": [url]}}}.items():
        out = tmp_path / engine
        model = {**fields["model"], "engine": engine}
        spec = make_spec({**fields, **sections, "model": model, "output": {"path": str(out), "keep": ["id"]}})
        assert run(spec, execute=InProcess()).complete
        labels[engine] = [(row["id"], row["text"], row["status"]) for row in rows_of(out)]
    assert labels["server"] == labels["relabel"]
    assert len(labels["server"]) == 120
