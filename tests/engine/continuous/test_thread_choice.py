"""Threads follow what steps cost: all of them on idle cores, one beside a neighbour, and all again when it has left."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from relabel.engine.continuous.thread_choice import ThreadChoice

Seconds = Callable[[int], float]
"""What a token costs with so many threads."""


def idle(num_threads: int) -> float:
    return 1 / num_threads**0.7


def beside_a_neighbour(num_threads: int) -> float:
    """As measured on two cores: two threads take 20 times as long as one."""
    return 1.0 if num_threads == 1 else 20.0


def beside_four(num_threads: int) -> float:
    """On eight cores."""
    return idle(num_threads) * (1 if num_threads <= 4 else 3)


def run(choice: ThreadChoice, seconds: Seconds, steps: int, draw: random.Random) -> float:
    """Seconds of so many steps of unequal numbers of tokens."""
    took = 0.0
    for _ in range(steps):
        tokens = draw.randrange(100, 1000)
        cost = (tokens + 64) * seconds(choice.now) * draw.uniform(0.95, 1.05)
        choice.observe(num_tokens=tokens, seconds=cost)
        took += cost
    return took


def usual(choice: ThreadChoice, seconds: Seconds) -> int:
    """What most of the next steps have."""
    draw, counts = random.Random(0), Counter[int]()
    for _ in range(31):
        counts[choice.now] += 1
        run(choice, seconds, 1, draw)
    return counts.most_common(1)[0][0]


@pytest.mark.parametrize(
    ("most", "seconds", "expected"), [(2, idle, 2), (2, beside_a_neighbour, 1), (8, beside_four, 4)]
)
def test_it_finds_what_is_fastest(most: int, seconds: Seconds, expected: int) -> None:
    choice = ThreadChoice(most)
    run(choice, seconds, 200, random.Random(0))
    assert usual(choice, seconds) == expected


def test_a_neighbour_that_comes_is_noticed_within_a_few_steps() -> None:
    choice, draw = ThreadChoice(2), random.Random(0)
    run(choice, idle, 1000, draw)
    assert usual(choice, idle) == 2
    run(choice, beside_a_neighbour, 7, draw)
    assert usual(choice, beside_a_neighbour) == 1


def test_a_neighbour_that_leaves_is_noticed_within_some_hundred_steps() -> None:
    choice, draw = ThreadChoice(2), random.Random(0)
    run(choice, beside_a_neighbour, 1000, draw)
    run(choice, idle, 600, draw)
    assert usual(choice, idle) == 2


@pytest.mark.parametrize(("seconds", "best"), [(idle, 2), (beside_a_neighbour, 1)])
def test_trying_costs_little(seconds: Seconds, best: int) -> None:
    took = run(ThreadChoice(2), seconds, 2000, random.Random(0))
    assert took < 1.06 * run(ThreadChoice(1), lambda _: seconds(best), 2000, random.Random(0))


def test_one_thread_stays_one() -> None:
    choice = ThreadChoice(1)
    run(choice, idle, 500, random.Random(0))
    assert choice.now == 1


@pytest.mark.parametrize("most", [4, 16, 64])
def test_on_idle_cores_all_are_at_work_within_thirty_steps(most: int) -> None:
    choice, draw = ThreadChoice(most), random.Random(0)
    run(choice, idle, 30, draw)
    assert usual(choice, idle) == most


def test_a_trial_that_froze_is_made_again_within_a_thousand_steps() -> None:
    choice, draw = ThreadChoice(2), random.Random(0)
    run(choice, lambda threads: 600 if threads == 2 else 1, 5, draw)
    run(choice, idle, 1020, draw)
    assert usual(choice, idle) == 2
