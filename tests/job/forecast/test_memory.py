import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.engine.model.sizes import CUDA_ROWS, ModelSize
from relabel.errors import SpecError
from relabel.job.forecast.cards import CARDS, card_of
from relabel.job.forecast.cost import RooflineCost
from relabel.job.forecast.memory import memory_limits, paged_limits, rows_at_once
from relabel.job.forecast.play import seconds_of
from relabel.job.forecast.texts import Text

LLAMA_8B = ModelSize(
    body=6_979_321_856,
    head=525_336_576,
    weight_bytes=16_060_522_496,
    kv_bytes=131_072,
    activation_bytes=282_624,
    vocabulary=128_256,
    item_bytes=2,
)


def test_an_8b_model_fits_an_80_gb_card_and_not_a_16_gb_one():
    assert memory_limits(LLAMA_8B, card_of("t4-16gb").memory, longest=500) is None
    limits = memory_limits(LLAMA_8B, card_of("H100-80GB").memory, longest=500)
    # 80 - 16.1 of weights - 1 of CUDA - 1.6 of logits - 2.3 of activations, nine tenths of it
    assert limits.kv_tokens == pytest.approx(0.9 * 59.05e9 / 131_072, rel=0.01)
    assert rows_at_once(limits, 500) == CUDA_ROWS
    assert rows_at_once(limits, 8000) == limits.kv_tokens // (8000 + 128)


def test_a_row_that_finds_no_room_does_not_fit():
    limits = memory_limits(LLAMA_8B, 24e9, longest=1000)
    assert limits is not None
    assert memory_limits(LLAMA_8B, 24e9, longest=limits.kv_tokens + 1) is None
    assert memory_limits(LLAMA_8B, 80e9, kv_memory=131_072 * 100, longest=101) is None


def test_vllm_holds_rows_of_the_mean_length():
    limits = paged_limits(LLAMA_8B, 0.9 * 24e9, longest=3000, mean=1000.0, most_rows=None)
    assert limits.num_slots < 256
    assert rows_at_once(limits, 3000) == limits.num_slots
    assert paged_limits(LLAMA_8B, 0.9 * 80e9, longest=3000, mean=500.0, most_rows=64).num_slots == 64
    assert paged_limits(LLAMA_8B, 16e9, longest=3000, mean=1000.0, most_rows=None) is None


@settings(max_examples=50)
@given(st.sampled_from(sorted(CARDS)), st.integers(1, 20_000), st.integers(0, 40))
def test_more_memory_never_holds_less(name, longest, more):
    card = card_of(name)
    less = memory_limits(LLAMA_8B, card.memory, longest=longest)
    larger = memory_limits(LLAMA_8B, card.memory + more * 10**9, longest=longest)
    if less is not None:
        assert larger is not None
        assert 1 <= rows_at_once(less, longest) <= rows_at_once(larger, longest) <= CUDA_ROWS
        assert rows_at_once(less, longest) * longest <= less.kv_tokens


@pytest.mark.parametrize(
    ("prompt", "new", "published"),
    [(256, 128, 49.0), (512, 256, 22.6), (1024, 128, 22.9), (256, 1024, 7.2), (1024, 1024, 5.1)],
)
def test_the_estimate_is_near_what_is_published_of_vllm_on_an_h100(prompt, new, published):
    """vLLM 0.7.2, bfloat16, by the model card of RedHatAI/DeepSeek-R1-Distill-Llama-8B-quantized.w8a8."""
    card = card_of("h100-80gb")
    limits = paged_limits(LLAMA_8B, 0.9 * card.memory, longest=prompt + new, mean=prompt + new / 2, most_rows=None)
    sizes = {name: getattr(LLAMA_8B, name) for name in ("body", "head", "weight_bytes", "kv_bytes")}
    cost = RooflineCost(flops_per_second=card.half, bytes_per_second=card.bandwidth, **sizes)
    rows = [[Text(prompt=prompt, most=new, chosen=new)]] * 1024
    seconds = seconds_of(rows, limits, cost, unit_rows=1024, units_at_once=3, num_rows=100_000)
    assert 100_000 / seconds == pytest.approx(published, rel=0.17)


def test_the_sums_are_those_of_the_engine():
    from relabel.engine.continuous import limits
    from relabel.engine.runner import flash
    from relabel.job.forecast import memory

    assert limits.CUDA_STEP_TOKENS == memory.CUDA_STEP_TOKENS
    assert flash.PAGE == memory.CUDA_BLOCK_TOKENS


def test_an_unknown_card_is_refused_with_those_that_are_known():
    with pytest.raises(SpecError, match="h100-80gb"):
        card_of("h100")
    assert all(card.half > card.single > 1e12 and card.bandwidth > 1e11 for card in CARDS.values())
