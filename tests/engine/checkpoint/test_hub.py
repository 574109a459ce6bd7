"""Troubles on the way to the hub are tried again, a few times; its refusals are not."""

from __future__ import annotations

import pytest
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

from relabel.engine.checkpoint.hub import NUM_TRIES, ask_hub, find_commit
from relabel.errors import ModelRefused


class Hub:
    """Fails a number of times, then answers."""

    def __init__(self, num_failures: int, error: Exception) -> None:
        self.num_failures, self.error = num_failures, error
        self.num_calls, self.waits = 0, []

    def __call__(self) -> str:
        self.num_calls += 1
        if self.num_calls <= self.num_failures:
            raise self.error
        return "answer"


def test_a_short_trouble_is_waited_out() -> None:
    hub = Hub(NUM_TRIES - 1, ConnectionResetError())
    assert ask_hub("org/name", hub, hub.waits.append) == "answer"
    assert hub.waits == [2.0, 4.0]


def test_a_long_trouble_ends_in_a_refusal() -> None:
    hub = Hub(10**9, TimeoutError())
    with pytest.raises(ModelRefused, match=rf"org/name in {NUM_TRIES} tries \(TimeoutError\)"):
        ask_hub("org/name", hub, hub.waits.append)
    assert hub.num_calls == NUM_TRIES


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (HFValidationError("bad name"), "no such model"),
        (OfflineModeIsEnabled("offline"), "cannot be reached"),
        (LocalEntryNotFoundError("not cached"), "cannot be reached"),
    ],
)
def test_a_refusal_is_final(error: Exception, message: str) -> None:
    hub = Hub(10**9, error)
    with pytest.raises(ModelRefused, match=message):
        ask_hub("org/name", hub, hub.waits.append)
    assert hub.num_calls == 1


@pytest.mark.parametrize("revision", ["main", "v1.0", "a" * 39, "A" * 40])
def test_names_that_move_are_no_revision(revision: str) -> None:
    with pytest.raises(ModelRefused, match="branches and tags move"):
        find_commit("org/name", revision)
