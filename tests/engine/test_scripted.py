"""The engine without a model: a script answers, as far as the settings let it."""

from __future__ import annotations

import pytest

from relabel.engine import Request, Result, Sampling, ScriptedEngine
from relabel.rejected import Code, Rejected


def ask(script, sampling: Sampling | None = None, *, num_rows: int = 1) -> list[Result]:
    requests = [Request(id=row, prompt_ids=[1, 2, 3]) for row in range(num_rows)]
    return ScriptedEngine(script, sampling).generate(requests)


def test_each_row_gets_the_text_that_the_script_makes_of_it() -> None:
    assert [result.text for result in ask(lambda request: f"row {request.id}", num_rows=3)] == [
        "row 0",
        "row 1",
        "row 2",
    ]


def test_a_word_is_a_token_and_there_are_no_ids() -> None:
    (result,) = ask(lambda request: "one two three", Sampling(logprobs=True))
    assert (result.token_ids, result.num_tokens, result.finish_reason) == (None, 3, "stop")
    assert result.logprobs == [0.0, 0.0, 0.0]


def test_a_text_is_cut_at_a_stop_string_and_at_the_most_tokens() -> None:
    (result,) = ask(lambda request: "one two three", Sampling(stop_strings=[" three"]))
    assert (result.text, result.finish_reason) == ("one two", "stop")
    (result,) = ask(lambda request: "one two three", Sampling(max_new_tokens=2))
    assert (result.text, result.finish_reason) == ("one two", "length")


def test_settings_of_a_row_go_before_those_of_the_engine() -> None:
    engine = ScriptedEngine(lambda request: "one two three", Sampling(max_new_tokens=1))
    (result,) = engine.generate([Request(id=0, prompt_ids=[1], sampling=Sampling(max_new_tokens=2))])
    assert result.text == "one two"


def test_a_script_may_say_all_that_became_of_a_row() -> None:
    error = Rejected(Code.NONFINITE, "as the script says")
    (result,) = ask(lambda request: Result(id=0, error=error))
    assert (result.id, result.error, result.text) == (0, error, None)


def test_what_the_script_raises_reaches_the_caller() -> None:
    def broken(request: Request) -> str:
        raise OSError("the device is gone")

    with pytest.raises(OSError, match="the device is gone"):
        ask(broken)


def test_its_figures_count_rows_and_words() -> None:
    engine = ScriptedEngine(lambda request: "one two")
    engine.generate([Request(id=row, prompt_ids=[1, 2, 3]) for row in range(2)])
    assert (engine.goodput.num_batches, engine.goodput.useful_tokens, engine.goodput.output_tokens) == (1, 6, 4)
