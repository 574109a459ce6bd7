"""Engines of other settings, each with a start of its own: their greedy texts are those of relabel's own engine."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

from relabel.engine import load_engine
from tests.engine.vllm.kit import GREEDY, SMALL, rows, start, texts

pytestmark = [pytest.mark.vllm, pytest.mark.fault]


def own(folder, **other):
    return load_engine(str(folder), sampling=GREEDY, dtype="float32", device="cpu", **other)


@pytest.fixture
def adapter(folder, tmp_path):
    torch.manual_seed(3)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "o_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(LlamaForCausalLM.from_pretrained(folder), config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora" in name:
                weight.normal_(0, 0.1)
    adapted.save_pretrained(tmp_path)
    return str(tmp_path)


def test_an_adapter_gives_the_texts_of_the_model_that_it_is_merged_into(folder, adapter):
    wanted = texts(own(folder, adapter=adapter).generate(rows(30)))
    assert wanted != texts(own(folder).generate(rows(30)))
    engine = start(folder, adapter=adapter)
    assert texts(engine.generate(rows(30))) == wanted
    engine.close()


def test_speculation_changes_no_greedy_text(folder):
    engine = start(folder, settings=replace(SMALL, speculate_ngram=3))
    assert texts(engine.generate(rows(30))) == texts(own(folder).generate(rows(30)))
    engine.close()
