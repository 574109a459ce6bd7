"""A spec that names a LoRA adapter: its labels are the adapter's, and another adapter is another recipe."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from relabel import make_spec, run
from relabel.errors import ModelRefused, RecipeChanged
from relabel.job.encoding.row import RowEncoder
from relabel.job.local import InProcess
from relabel.job.retry import retry
from tests.reading import rows_of
from tests.tiny import make_tokenizer


def save_adapter(folder, model, seed):
    torch.manual_seed(seed)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(model), LoraConfig(r=4, target_modules=["q_proj"]))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_()
    adapted.save_pretrained(folder)


def with_adapter(fields, folder):
    return make_spec({**fields, "model": {**fields["model"], "adapter": str(folder)}})


def texts(folder):
    return [row["text"] for row in rows_of(folder)]


def test_labels_are_those_of_the_adapter_and_another_one_is_another_recipe(fields, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_adapter(tmp_path / "adapter", fields["model"]["path"], 1)
    assert run(make_spec({**fields, "output": {"path": "plain"}}), execute=InProcess()).complete
    fields["model"]["adapter"] = "adapter"
    assert run(make_spec(fields), execute=InProcess()).complete
    assert texts(tmp_path / "out") != texts(tmp_path / "plain")

    (tmp_path / "adapter").rename(tmp_path / "moved")
    elsewhere = with_adapter(fields, tmp_path / "moved")
    assert run(elsewhere, execute=InProcess()).done_now == {}
    moved = ["resources.gpus_per_actor=0", "model.adapter=moved", "label.retry_temperatures=[2.0]"]
    assert retry("out", ["image"], moved, execute=InProcess()).audit.complete

    save_adapter(tmp_path / "moved", fields["model"]["path"], 2)
    with pytest.raises(RecipeChanged, match=r"model_identity\.adapter"):
        run(elsewhere, execute=InProcess())


def test_a_folder_that_is_no_adapter_is_refused_in_the_words_of_the_spec(fields, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps({"peft_type": "PREFIX_TUNING"}))
    with pytest.raises(ModelRefused, match="only LORA can be merged"):
        run(
            make_spec({**fields, "model": {**fields["model"], "adapter": str(tmp_path / "adapter")}}),
            execute=InProcess(),
        )
    with pytest.raises(ModelRefused, match=r"model\.adapter must be the folder of a LoRA adapter"):
        run(with_adapter(fields, tmp_path), execute=InProcess())


def test_an_adapter_that_brings_another_chat_template_is_said(fields, tmp_path, caplog):
    adapter = tmp_path / "adapter"
    save_adapter(adapter, fields["model"]["path"], 1)
    spec = with_adapter(fields, adapter)
    make_tokenizer().save_pretrained(adapter)
    RowEncoder(spec, None)
    assert "chat template" not in caplog.text
    (adapter / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    RowEncoder(spec, None)
    assert f"the adapter {adapter} brings another chat template than {spec.model.path} has" in caplog.text
