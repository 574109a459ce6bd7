"""The costs of a step are learned, and say how many drafted tokens must be accepted."""

from __future__ import annotations

import random

import pytest

from relabel.engine.scheduling.costs import EVERY, UNKNOWN, StepCosts


def learned(step: float, token: float, sizes: list[int], noise: float = 0.0) -> StepCosts:
    costs, draw = StepCosts(), random.Random(0)
    for decoded in sizes:
        costs.observe(decoded=decoded, seconds=(step + token * decoded) * (1 + draw.uniform(-noise, noise)))
    return costs


SIZES = [row % 60 + 4 for row in range(4 * EVERY)]


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_few_rows_share_a_steps_cost_and_many_hardly_pay_it(noise: float) -> None:
    costs = learned(8.0, 0.3, SIZES, noise)
    assert costs.least_acceptance(1) == pytest.approx(0.3 / 8.3, rel=0.3)
    assert costs.least_acceptance(192) == pytest.approx(0.3 / (0.3 + 8 / 192), rel=0.1)
    least = [costs.least_acceptance(rows) for rows in (1, 8, 64, 512)]
    assert least == sorted(least)


def test_a_token_that_costs_nothing_is_worth_any_draft() -> None:
    assert learned(1.0, 0.0, SIZES).least_acceptance(8) == pytest.approx(0.0, abs=1e-9)


def test_steps_that_cost_their_tokens_alone_pay_for_no_wrong_token() -> None:
    assert learned(0.0, 1.0, SIZES).least_acceptance(8) == pytest.approx(1.0)


def test_nothing_is_told_from_steps_that_are_all_alike() -> None:
    assert learned(1.0, 1.0, [8] * 200).least_acceptance(8) == UNKNOWN
    assert learned(1.0, 1.0, SIZES[: EVERY - 1]).least_acceptance(8) == UNKNOWN


def test_what_was_long_ago_is_forgotten() -> None:
    costs = learned(9.0, 0.1, SIZES)
    for decoded in SIZES:
        costs.observe(decoded=decoded, seconds=0.1 + decoded)
    assert costs.least_acceptance(8) > 0.9


def test_costs_that_were_learned_by_chance_are_forgotten_when_steps_are_all_alike() -> None:
    costs = learned(0.0, 1.0, SIZES)
    assert costs.least_acceptance(8) == pytest.approx(1.0)
    for _ in range(2 * len(SIZES)):
        costs.observe(decoded=8, seconds=8.0)
    assert costs.least_acceptance(8) == UNKNOWN
