"""Weights lie with servers where these generate: only a tokenizer is needed here."""

import pytest

from relabel import make_spec
from relabel.errors import ModelRefused
from relabel.job.engines.choice import identity_of
from tests.spec.test_spec import MINIMAL
from tests.tiny import save_model


def test_a_folder_without_weights_is_a_model_of_servers_alone(tmp_path):
    save_model(tmp_path)
    own = make_spec({**MINIMAL, "model": {"path": str(tmp_path)}})
    model = {"path": str(tmp_path), "engine": "server"}
    served = make_spec({**MINIMAL, "model": model, "server": {"urls": ["http://a/v1"]}})
    assert identity_of(own)["weights"]
    (tmp_path / "model.safetensors").unlink()
    assert {"config", "tokenizer_and_processor"} == identity_of(served).keys()
    with pytest.raises(ModelRefused):
        identity_of(own)
