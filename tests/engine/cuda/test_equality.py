"""On the device a batch says what transformers says of its rows alone: in float32 to the token, in half types as close
as the check at start-up asks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from relabel.engine import StaticEngine, load_engine
from relabel.engine.loading import settle_batching
from relabel.engine.parity import TOLERANCE
from tests.engine import inputs, models
from tests.engine.kit import FAMILIES, GREEDY, NEW, STOP, continuous, many, with_prefix

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batching", ["continuous", "static"])
def test_text_in_float32_is_that_of_generate(family: str, batching: str, device: torch.device) -> None:
    build, make_requests = FAMILIES[family]
    model, requests = build().to(device), make_requests()
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    assert len({token for row in alone for token in row}) > 20, "the model repeats itself: equality would mean nothing"
    engine = continuous(model) if batching == "continuous" else StaticEngine(model, None, GREEDY)
    assert [result.token_ids for result in engine.generate(requests)] == alone


def test_rows_that_share_a_prefix_and_come_again_are_those_of_generate(device: torch.device) -> None:
    model, requests = models.llama().to(device), with_prefix(12)
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    engine = continuous(model)
    assert [result.token_ids for result in engine.generate(many(requests, 36))] == alone * 3
    assert engine.goodput.shared_tokens > 0


def test_an_engine_that_is_loaded_from_a_folder_says_what_generate_says(device: torch.device, tmp_path: Path) -> None:
    folder = str(models.save(models.llama(), tmp_path / "llama"))
    engine = load_engine(folder, sampling=GREEDY, dtype="float32", device=device.type)
    assert engine.verdict.batching == "continuous"
    model, requests = models.llama().to(device), inputs.text_requests()
    alone = [models.generate_alone(model, request, NEW, STOP) for request in requests]
    assert [result.token_ids for result in engine.generate(requests)] == alone


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_check_at_start_up_passes_both_engines(family: str, dtype: torch.dtype, device: torch.device) -> None:
    build, make_requests = FAMILIES[family]
    with_image = next((request for request in make_requests() if request.tensors), None)
    model = build().to(device, dtype)
    for batching in ("continuous", "static"):
        verdict = settle_batching(model, family, batching, with_image)
        assert (verdict.batching, verdict.notes) == (batching, ())
        assert verdict.difference is not None
        assert verdict.difference <= TOLERANCE[dtype]
