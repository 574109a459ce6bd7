"""What vLLM is told at its start: nothing of it is left to a checkpoint. Needs no vLLM."""

import os
from pathlib import Path

import pytest

from relabel.engine.vllm.arguments import arguments, environment
from relabel.engine.vllm.settings import VllmSettings

MODEL = Path("/models/llama")


def told(lora_rank=None, tokenizer=MODEL, **settings):
    return arguments(MODEL, tokenizer, "float32", VllmSettings(**settings), lora_rank=lora_rank)


def test_nothing_runs_code_of_a_checkpoint_and_nothing_is_taken_from_its_defaults():
    found = told()
    assert found["trust_remote_code"] is False
    assert found["load_format"] == "safetensors"
    assert found["generation_config"] == "vllm"
    assert found["structured_outputs_config"] == {"backend": "guidance"}
    assert found["enable_log_requests"] is False


def test_what_is_not_set_is_left_to_vllm():
    assert not {"max_num_seqs", "quantization", "speculative_config", "enable_lora"} & told().keys()


def test_a_gpu_is_shared_by_its_memory():
    found = told(gpu_memory=0.4, max_rows=64, step_tokens=4096, kv_dtype="fp8", quantization="fp8_per_tensor")
    assert (found["gpu_memory_utilization"], found["max_num_seqs"]) == (0.4, 64)
    assert found["max_num_batched_tokens"] == 4096
    assert (found["kv_cache_dtype"], found["quantization"]) == ("fp8", "fp8_per_tensor")


def test_on_a_cpu_no_prompt_is_cut():
    """A seeded row whose prompt was cut ended the whole engine: `CPU Generator does not use offset`."""
    found = told(device="cpu", max_tokens=9000, step_tokens=16)
    assert found["enable_chunked_prefill"] is False
    assert found["max_num_batched_tokens"] >= found["max_model_len"] == 9000
    assert "gpu_memory_utilization" not in found


def test_several_gpus_are_those_of_one_node():
    found = told(num_gpus=4)
    assert (found["tensor_parallel_size"], found["distributed_executor_backend"]) == (4, "mp")
    assert "tensor_parallel_size" not in told(num_gpus=1)


@pytest.mark.parametrize(("rank", "laid_out"), [(4, 8), (8, 8), (9, 16), (512, 512)])
def test_an_adapter_has_room_for_its_rank(rank, laid_out):
    assert told(lora_rank=rank)["max_lora_rank"] == laid_out


def test_speculation_is_of_n_grams():
    assert told(speculate_ngram=3)["speculative_config"]["num_speculative_tokens"] == 3


def test_the_environment_is_as_it_was_afterwards(monkeypatch, tmp_path):
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "DEBUG")
    monkeypatch.setenv("VLLM_PLUGINS", "mine")
    before = dict(os.environ)
    with environment(VllmSettings(device="cpu", batch_invariant=True), tmp_path / "note"):
        assert os.environ["VLLM_BATCH_INVARIANT"] == "1"
        assert os.environ["VLLM_LOGGING_LEVEL"] == "DEBUG"
        assert os.environ["VLLM_PLUGINS"] == "mine,relabel"
        assert (os.environ["VLLM_NO_USAGE_STATS"], os.environ["HF_HUB_OFFLINE"]) == ("1", "1")
    assert dict(os.environ) == before
