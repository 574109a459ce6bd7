"""The driver of one run of Ray Data LLM as its documents have it: read, process, write, a checkpoint to resume by.

    python -m benchmarks.peers.ray_data_llm TASK.json OUTPUT CHECKPOINT [--continue-on-error]

It is given what it needs to do well: blocks of the size of relabel's units, a checkpoint that stays, and CPUs that are
not there: with two it waits for ever, since each of its actors wants one.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import ray
import typer
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig
from ray.data.llm import build_processor, vLLMEngineProcessorConfig

from benchmarks.peers.tasks import UNIT_ROWS, Task

NUM_CPUS = 8
KV_BYTES = 2**30
QUIET = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}


def main(
    task: Path,
    output: str,
    checkpoint: str,
    continue_on_error: Annotated[bool, typer.Option("--continue-on-error")] = False,
) -> None:
    """One run; the same command again goes on from the checkpoint."""
    one = Task.read(task)
    ray.init(
        address="local",
        num_cpus=NUM_CPUS,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        runtime_env={"env_vars": QUIET},
    )
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=checkpoint, delete_checkpoint_on_success=False
    )
    config = vLLMEngineProcessorConfig(
        model_source=one.model,
        engine_kwargs={
            "dtype": "float32",
            "enforce_eager": True,
            "max_model_len": one.max_tokens,
            "kv_cache_memory_bytes": KV_BYTES,
            "generation_config": "vllm",
        },
        concurrency=1,
        batch_size=32,
        log_engine_metrics=False,  # those of vLLM 0.32 do not find Ray's
        should_continue_on_error=continue_on_error,
        chat_template_stage=one.chat,
        detokenize_stage=False,  # vLLM's own texts, without the tokens that end them
        placement_group_config={"bundles": [{"CPU": 1}]},
    )
    sampling: dict[str, Any] = {"temperature": 0.0, "max_tokens": one.max_new_tokens}
    if one.stop_token_ids:
        sampling |= {"stop_token_ids": one.stop_token_ids, "ignore_eos": True}
    before, chat = one.before, one.chat

    def preprocess(row: dict[str, Any]) -> dict[str, Any]:
        prompt = f"{before}{row['alt_text']}"
        asked = {"messages": [{"role": "user", "content": prompt}]} if chat else {"prompt": prompt}
        return {**asked, "sampling_params": sampling}

    def postprocess(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "caption": row["generated_text"]}

    processor = build_processor(config, preprocess=preprocess, postprocess=postprocess)
    rows = ray.data.read_parquet(one.data).repartition(target_num_rows_per_block=UNIT_ROWS)
    processor(rows).write_parquet(output)


if __name__ == "__main__":
    typer.run(main)
