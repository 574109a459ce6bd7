"""A row whose forward pass ends vLLM is found and rejected; all others are labelled."""

import json
from pathlib import Path

import pytest
import yaml

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.engine.vllm.watched import Watched
from tests.reading import assert_every_row_once
from tests.tiny import make_tokenizer

pytestmark = [pytest.mark.vllm, pytest.mark.fault, pytest.mark.timeout(1800)]

UNIT_ROWS, NUM_ROWS, POISON = 8, 24, 13
PLUGIN = {
    "deadly-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: deadly\nVersion: 1\n",
    "deadly-1.dist-info/entry_points.txt": "[vllm.general_plugins]\ndeadly = deadly_plugin:begin\n",
    "deadly_plugin.py": """
def begin():
    from vllm import ModelRegistry

    ModelRegistry.register_model("LlamaForCausalLM", "deadly_model:Deadly")
""",
    "deadly_model.py": """
from vllm.model_executor.models.llama import LlamaForCausalLM


class Deadly(LlamaForCausalLM):
    def forward(self, input_ids, *others, **more):
        if input_ids is not None and int((input_ids == %d).sum()) >= 40:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes")
        return super().forward(input_ids, *others, **more)
""",
}
"""A model of vLLM's that has no room for one row, as a plugin of vLLM: relabel has no way to hand it one."""


def fields_of(folder: Path, out: Path, model: Path, engine: str) -> dict:
    return {
        "source": {"path": str(folder / "a.jsonl"), "format": "jsonl", "unit_rows": UNIT_ROWS},
        "prompt": {"user": "{{ alt }}"},
        "model": {"path": str(model), "dtype": "float32", "max_prompt_tokens": 256, "engine": engine},
        "sampling": {"max_new_tokens": 120},
        "label": {"gate": {"max_rejected": None}},
        "output": {"path": str(out)},
        "resources": {"gpus_per_actor": 0, **({"kv_memory": 2**28} if engine == "vllm" else {})},
        **({"vllm": {"eager": True}} if engine == "vllm" else {}),
    }


@pytest.fixture
def plugin(tmp_path):
    [z] = make_tokenizer()("z", add_special_tokens=False)["input_ids"]
    for name, text in (PLUGIN | {"deadly_model.py": PLUGIN["deadly_model.py"] % z}).items():
        (path := tmp_path / "plugin" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path / "plugin")


def rows_of(out):
    assert verify(Store(str(out))).problems == ()
    return assert_every_row_once(out, {"a.jsonl": NUM_ROWS})


def test_a_row_that_ends_the_engine_is_a_reject_and_no_other_pays(folder, plugin, tmp_path):
    alts = [f"circle number {row}" if row != POISON else "z" * 50 for row in range(NUM_ROWS)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"alt": alt}) + "\n" for alt in alts))
    own = fields_of(tmp_path, tmp_path / "own", folder, "relabel")
    assert run(make_spec(own), execute=InProcess()).complete
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(fields_of(tmp_path, tmp_path / "out", folder, "vllm")))
    watched = Watched(tmp_path / "spec.yaml", plugin)
    try:
        assert watched.end()["complete"]
    finally:
        watched.kill()
    found, wanted = rows_of(tmp_path / "out"), rows_of(tmp_path / "own")
    assert found[POISON]["reason"].startswith("poison: ")
    del found[POISON], wanted[POISON]
    assert [(row["status"], row["text"]) for row in found] == [("ok", row["text"]) for row in wanted]
