"""At start-up a model's batches are compared with rows alone: the fastest way that is right is taken, or none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM, LlavaForConditionalGeneration

from relabel.engine import Sampling
from relabel.engine.continuous.limits import CPU_SLOTS, measured_limits
from relabel.engine.loading import make_engine, settle_batching
from relabel.engine.model.sizes import kv_bytes
from relabel.engine.model.traits import takes_features, why_not_packed
from relabel.engine.parity import Probes
from relabel.errors import ModelRefused
from tests.engine import inputs, models
from tests.engine.kit import FAMILIES, STOP, continuous


def like_llama(kind: type[LlamaForCausalLM]) -> Any:
    """Another class with the weights of the small llama."""
    model = kind(models.llama().config)
    model.load_state_dict(models.llama().state_dict())
    return model.eval()


class RejectsRagged(LlamaForCausalLM):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if "ragged" in kwargs:
            raise TypeError("forward() got an unexpected keyword argument 'ragged'")
        return super().forward(*args, **kwargs)


class MixesRows(LlamaForCausalLM):
    """A stream without padding is read wrongly: every token sees the position after its own."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if "ragged" in kwargs:
            kwargs["position_ids"] = kwargs["position_ids"].flip(-1)
        return super().forward(*args, **kwargs)


class LosesDevice(LlamaForCausalLM):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if "ragged" in kwargs:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().forward(*args, **kwargs)


class LikesEagerOnly(RejectsRagged):
    """Padded rows of its fused attention come to nothing, as those of some kernels do."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        mask = kwargs.get("attention_mask")
        if mask is not None and self.config._attn_implementation == "sdpa":
            output.logits[mask[:, 0] == 0] = torch.nan
        return output


class NeedsCompany(LlamaForCausalLM):
    """Its rows change with their number, whatever attention it has."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits = output.logits * torch.randn(len(output.logits), 1, output.logits.shape[-1])
        return output


@pytest.mark.parametrize("family", FAMILIES)
def test_every_packable_family_is_batched_continuously(family: str) -> None:
    build, make_requests = FAMILIES[family]
    with_image = next((request for request in make_requests() if request.tensors), None)
    verdict = settle_batching(build(), family, "auto", with_image)
    assert (verdict.batching, verdict.attention, verdict.notes) == ("continuous", "ragged", ())
    assert verdict.difference < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_padded_batches_pass_as_well(family: str) -> None:
    verdict = settle_batching(FAMILIES[family][0](), family, "static")
    assert (verdict.batching, verdict.notes) == ("static", ())
    assert verdict.difference < 1e-4


@pytest.mark.parametrize(
    ("build", "batching", "attention", "note"),
    [
        (models.mamba2, "static", None, "its attention cannot be exchanged"),
        (lambda: like_llama(RejectsRagged), "static", "sdpa", "continuous batching with ragged attention is inf"),
        (lambda: like_llama(MixesRows), "static", "sdpa", "continuous batching with ragged attention is"),
        (lambda: like_llama(LikesEagerOnly), "static", "eager", "static batching with sdpa attention is inf"),
    ],
    ids=["a running state", "no keyword arguments", "wrong positions", "padding gives NaN"],
)
def test_what_fails_falls_back_and_says_why(
    build: Callable[[], Any],
    batching: str,
    attention: str | None,
    note: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="relabel"):
        verdict = settle_batching(build(), "some/model", "auto")
    assert verdict.batching == batching
    assert attention is None or verdict.attention == attention
    assert note in verdict.notes[-1]
    assert note in caplog.text


class SeesNoiseApart(LlavaForConditionalGeneration):
    """Features that are asked for apart from the pixels are other ones than the model itself uses."""

    def get_image_features(self, *args: Any, **kwargs: Any) -> Any:
        output = super().get_image_features(*args, **kwargs)
        output.pooler_output = [torch.randn_like(features) for features in output.pooler_output]
        return output


class TakesPixelsAlone(LlavaForConditionalGeneration):
    """As every model did before transformers 5.18: its features are not taken apart from the pixels."""

    def forward(self, input_ids: Any = None, pixel_values: Any = None, **kwargs: Any) -> Any:
        return super().forward(input_ids=input_ids, pixel_values=pixel_values, **kwargs)


def test_a_model_that_takes_pixels_alone_is_packed_where_an_image_was_probed() -> None:
    requests = inputs.llava_requests()
    model = TakesPixelsAlone(models.llava().config)
    model.load_state_dict(models.llava().state_dict())
    model.eval()
    alone = [models.generate_alone(model, request, 8, STOP) for request in requests]
    engine = continuous(model, Sampling(max_new_tokens=8, stop_token_ids=STOP))
    assert [result.token_ids for result in engine.generate(requests)] == alone
    assert settle_batching(model, "some/model", "auto", requests[1]).batching == "continuous"
    unprobed = settle_batching(model, "some/model", "auto")
    assert unprobed.batching == "static"
    assert "no image was at hand to try it" in unprobed.notes[0]


@pytest.mark.skipif(not takes_features(models.llava()), reason="before transformers 5.18 features are computed once")
def test_an_image_is_probed_too() -> None:
    model, row = models.llava(), inputs.llava_requests()[1]
    assert row.tensors
    assert settle_batching(model, "some/model", "auto", row).batching == "continuous"
    blind = SeesNoiseApart(model.config)
    blind.load_state_dict(model.state_dict())
    assert settle_batching(blind.eval(), "some/model", "auto").batching == "continuous", "text alone shows nothing"
    verdict = settle_batching(blind, "some/model", "auto", row)
    assert verdict.batching == "static"
    assert "continuous batching with ragged attention is" in verdict.notes[0]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "smolvlm"])
def test_images_of_every_layout_pass(family: str) -> None:
    build, make_requests = FAMILIES[family]
    verdict = settle_batching(build(), family, "auto", make_requests()[2])
    assert verdict.batching == "continuous"
    assert verdict.difference < 1e-4


def test_a_model_whose_rows_depend_on_their_neighbours_is_refused() -> None:
    with pytest.raises(ModelRefused, match="rows change with their neighbours"):
        settle_batching(like_llama(NeedsCompany), "some/model", "auto")


def test_a_lost_device_is_not_the_models_fault(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="illegal memory access"):
        settle_batching(like_llama(LosesDevice), "some/model", "auto")
    assert "set batching: static if it does so again" in caplog.text


def test_damaged_weights_are_refused() -> None:
    model = models.llama()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[3, 4] = torch.nan
    with pytest.raises(ModelRefused, match="weights are damaged"):
        settle_batching(model, "some/model", "auto")


def test_bfloat16_rounds_but_passes() -> None:
    model = models.llama().bfloat16()
    assert 0 < Probes(model).difference(Probes(model).ragged) < 0.2


def test_positions_that_depend_on_the_longest_row_are_not_packed() -> None:
    model = models.llama()
    assert why_not_packed(model) is None
    model.config.rope_parameters = {**model.config.rope_parameters, "rope_type": "dynamic"}
    assert why_not_packed(model) == "its rotary positions depend on the longest row of a batch"


def test_memory_for_keys_and_values_can_be_given() -> None:
    model = models.llama()
    one_token = kv_bytes(model.config, 4)
    assert one_token == 2 * 2 * 2 * 8 * 4  # keys and values, layers, kv heads, head size, float32
    assert measured_limits(model, 1000 * one_token).kv_tokens == 1000
    assert measured_limits(model).kv_tokens == CPU_SLOTS * model.config.max_position_embeddings


def test_memory_that_holds_no_row_is_refused_before_every_row_is_rejected() -> None:
    model, sampling = models.llama(), Sampling(max_new_tokens=8)
    verdict = settle_batching(model, "some/model", "auto")
    with pytest.raises(ModelRefused, match=r"^kv_memory is too small"):
        make_engine(model, None, sampling, verdict, kv_memory=100 * kv_bytes(model.config, 4))
    engine = make_engine(model, None, sampling, verdict, kv_memory=1000 * kv_bytes(model.config, 4))
    assert engine.verdict == verdict
    assert engine.generate(inputs.text_requests())[0].error is None
