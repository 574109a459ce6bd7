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
    # torch's own functions run down to what only a GPU has
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda.memory, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch._C, "_cuda_setMemoryFraction", lambda share, _: state.update(share=share), raising=False)
    monkeypatch.setattr(torch._C, "_cuda_getMemoryFraction", lambda _: state["share"], raising=False)
    return state


def test_alone_on_a_gpu_a_process_may_take_what_is_free(gpu):
    take_share("cuda", 1.0)
    assert gpu_bytes_left(torch.device("cuda:0")) == 79 * GIB


@pytest.mark.parametrize("taken_by_the_other", [0, 16 * GIB, 39 * GIB])
def test_two_that_share_it_plan_with_half_each_whoever_looks_first(gpu, taken_by_the_other):
    take_share("cuda", 0.5)
    gpu["reserved"] = 16 * GIB  # this one's weights
    gpu["free"] = 79 * GIB - 16 * GIB - taken_by_the_other
    assert gpu_bytes_left(torch.device("cuda:0")) == 24 * GIB


def test_what_others_took_beyond_their_share_is_not_there(gpu):
    take_share("cuda", 0.5)
    gpu["free"] = 5 * GIB
    assert gpu_bytes_left(torch.device("cuda:0")) == 5 * GIB


def test_a_process_that_has_its_share_has_nothing_left(gpu):
    take_share("cuda", 0.25)
    gpu["reserved"] = 21 * GIB
    assert gpu_bytes_left(torch.device("cuda:0")) == 0


def test_a_cpu_has_no_shares(gpu):
    take_share("cpu", 0.5)
    assert gpu["share"] == 1.0


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_a_share_is_taken_of_a_device_with_an_index_and_without(gpu, device):
    take_share(device, 0.5)
    assert gpu["share"] == 0.5
