"""The class of a tokenizer is the one that AutoTokenizer itself chooses, or is left to it."""

import json

import pytest
import transformers
from transformers import AutoTokenizer

from relabel.engine.checkpoint.tokenizer_class import CLASSES, VERSION, usual_loader
from tests.tiny import make_tokenizer

if not transformers.__version__.startswith(VERSION):
    pytest.skip("the table is for another transformers, and this one is asked itself", allow_module_level=True)


def written(folder, kind, **config):
    """The files of a tokenizer that says so of itself, of a model of this type."""
    make_tokenizer().save_pretrained(folder)
    own = json.loads((folder / "tokenizer_config.json").read_text()) | config
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    return folder, {"model_type": kind}


NAMED = [(kind, name + ending) for kind, name in CLASSES for ending in ("", "Fast")]
NAMED += [(kind, "PreTrainedTokenizerFast") for kind, name in CLASSES if name == "TokenizersBackend"]


@pytest.mark.parametrize(("kind", "name"), NAMED)
def test_the_table_says_what_transformers_chooses(tmp_path, kind, name):
    folder, config = written(tmp_path, kind, tokenizer_class=name)
    asked = {"trust_remote_code": False, "local_files_only": True, "padding_side": "left"}
    expected, found = AutoTokenizer.from_pretrained(folder, **asked), usual_loader(folder, config)(folder, **asked)
    assert type(found) is type(expected)
    assert found.backend_tokenizer.to_str() == expected.backend_tokenizer.to_str()
    assert found.init_kwargs == expected.init_kwargs


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        ("mistral", {"tokenizer_class": "LlamaTokenizer"}),
        ("llama", {"tokenizer_class": "LlamaTokenizerFast"}),
        ("llama", {"tokenizer_class": None}),
        ("llama", {"tokenizer_class": "TokenizersBackend", "auto_map": {"AutoTokenizer": ["a.B", None]}}),
    ],
)
def test_the_rest_is_left_to_transformers(tmp_path, kind, own):
    assert usual_loader(*written(tmp_path, kind, **own)) is None


def test_so_are_a_relative_folder_and_files_that_cannot_be_read(tmp_path, monkeypatch):
    folder, config = written(tmp_path / "model", "llama", tokenizer_class="TokenizersBackend")
    assert usual_loader(folder, config) is not None
    monkeypatch.chdir(tmp_path)
    assert usual_loader(folder.relative_to(tmp_path), config) is None
    (folder / "tokenizer_config.json").write_text("{")
    assert usual_loader(folder, config) is None
