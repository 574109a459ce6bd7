"""Steps have the threads that are chosen for them, and all else in the process the number that it had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from relabel.engine.continuous.threads import Threads, one_thread


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_after_a_few_steps_two_threads_are_tried_and_after_each_step_there_are_two() -> None:
    threads, seen = Threads(torch.device("cpu")), list[int]()
    for _ in range(8):
        with threads.of_step(100):
            seen.append(torch.get_num_threads())
        assert torch.get_num_threads() == 2
    assert seen[:5] == [1] * 4 + [2]


@pytest.mark.usefixtures("two_threads")
def test_a_step_that_fails_leaves_two_threads() -> None:
    threads = Threads(torch.device("cpu"))
    for _ in range(6):
        with pytest.raises(RuntimeError, match="out of memory"), threads.of_step(100):
            raise RuntimeError("out of memory")
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_what_is_small_has_one_thread_and_what_comes_after_it_two() -> None:
    @one_thread()
    def work() -> int:
        return torch.get_num_threads()

    assert work() == 1
    assert torch.get_num_threads() == 2
