"""Nothing in a step makes the host wait for the device: a GPU has its next forward before it needs it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from relabel.engine import ContinuousEngine, Sampling
from tests.engine import inputs
from tests.engine.kit import EACH_SETTING, FAMILIES, FEW, NEW, STOP
from tests.engine.waits import WAITS

aten = torch.ops.aten
BY_INDEX = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
"""They need it where the index is a mask. They copy the value to the device where it is a plain number."""


class Waits(TorchDispatchMode):
    """Counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        is_mask = func in BY_INDEX and any(one is not None and one.dtype == torch.bool for one in args[1])
        is_number = func in BY_INDEX and len(args) > 2 and args[2].dim() == 0
        if func in WAITS or is_mask or is_number:
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", EACH_SETTING)
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "qwen3"])
def test_no_forward_and_no_choice_waits_for_the_device(family: str, settings: str) -> None:
    model = FAMILIES[family][0]()
    engine = ContinuousEngine(
        model, None, Sampling(max_new_tokens=NEW, stop_token_ids=STOP, **EACH_SETTING[settings]), limits=FEW
    )
    with Waits() as waits:
        engine.generate(inputs.text_requests(20))
    assert waits.found == []


def test_a_wait_would_be_found() -> None:
    with torch.inference_mode(), Waits() as waits:
        bool(torch.ones(3).any())
        float(torch.ones(3).sum())
        torch.arange(3)[torch.ones(3, dtype=torch.bool)]
        torch.arange(3)[torch.arange(2)] = 7
    assert len(waits.found) == 4
