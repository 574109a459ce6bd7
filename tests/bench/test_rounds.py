"""Who may fail, and what is counted."""

from __future__ import annotations

import pytest

from relabel.bench.contenders import Contender
from relabel.bench.rounds import run_rounds
from relabel.bench.workload import Workload
from tests.engine import models

WORKLOAD = Workload(name="ragged", prompts=[[row] for row in range(20)], stop=[1], new_tokens=4)


class Method:
    """Gives back its prompts, and remembers how many it was given each time."""

    def __init__(self, fails: bool = False) -> None:
        self.calls: list[int] = []
        self._fails = fails

    def __call__(self, prompts):
        self.calls.append(len(prompts))
        if self._fails:
            raise ValueError("no kernel\nfor this device")
        return [list(prompt) for prompt in prompts]


@pytest.fixture(scope="module")
def model():
    return models.llama()


def test_everyone_warms_up_with_8_rows_and_then_takes_every_turn(model):
    all_rows, few_rows = Method(), Method()
    contenders = [
        Contender(name="all", model=model, generate=all_rows),
        Contender(name="few", model=model, generate=few_rows, num_rows=12),
    ]
    outcome = run_rounds(contenders, WORKLOAD, 3)
    assert all_rows.calls == [8, 20, 20, 20]
    assert few_rows.calls == [8, 12, 12, 12]
    assert [{name: speed.rows for name, speed in speeds.items()} for speeds in outcome.rounds] == [
        {"all": 20, "few": 12}
    ] * 3
    assert outcome.outputs["all"] == WORKLOAD.prompts


def test_one_that_may_fail_leaves_a_reason_and_is_not_asked_again(model):
    way = Method(fails=True)
    contenders = [Contender(name="theirs", model=model, generate=way, may_fail=True)]
    outcome = run_rounds(contenders, WORKLOAD, 2)
    assert way.calls == [8]
    assert outcome.rounds == [{}, {}]
    assert outcome.reasons == {"theirs": "ValueError: no kernel for this device"}


def test_one_that_may_not_fail_ends_the_benchmark(model):
    contenders = [Contender(name="ours", model=model, generate=Method(fails=True))]
    with pytest.raises(ValueError, match="no kernel"):
        run_rounds(contenders, WORKLOAD, 1)
