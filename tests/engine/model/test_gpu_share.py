"""A process that shares a GPU plans with its share, and torch's allocator holds it to that."""

import pytest
import torch

from relabel.engine.model.gpu_share import gpu_bytes_left, take_share

GIB = 2**30


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of 80 GiB by name: what of it is free, and what torch was told."""
    state = {"free": 79 * GIB, "reserved": 0, "share": 1.0}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (state["free"], 80 * GIB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: state["reserved"])
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: state["share"])
    told = lambda share, _: state.update(share=share)  # noqa: E731
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", told)
    return state


def test_alone_on_a_gpu_a_process_may_take_what_is_free(gpu):
    take_share("cuda", 1.0)
    assert gpu_bytes_left(torch.device("cuda")) == 79 * GIB


@pytest.mark.parametrize("taken_by_the_other", [0, 16 * GIB, 39 * GIB])
def test_two_that_share_it_plan_with_half_each_whoever_looks_first(gpu, taken_by_the_other):
    take_share("cuda", 0.5)
    gpu["reserved"] = 16 * GIB  # this one's weights
    gpu["free"] = 79 * GIB - 16 * GIB - taken_by_the_other
    assert gpu_bytes_left(torch.device("cuda")) == 24 * GIB


def test_what_others_took_beyond_their_share_is_not_there(gpu):
    take_share("cuda", 0.5)
    gpu["free"] = 5 * GIB
    assert gpu_bytes_left(torch.device("cuda")) == 5 * GIB


def test_a_process_that_has_its_share_has_nothing_left(gpu):
    take_share("cuda", 0.25)
    gpu["reserved"] = 21 * GIB
    assert gpu_bytes_left(torch.device("cuda")) == 0


def test_a_cpu_has_no_shares(gpu):
    take_share("cpu", 0.5)
    assert gpu["share"] == 1.0
