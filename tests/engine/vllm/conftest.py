import pytest

from tests.engine.vllm.kit import start
from tests.tiny import save_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("wide"), hidden_size=128)


@pytest.fixture(scope="session")
def engine(folder):
    """One vLLM for all tests that leave it alive: it takes half a minute to start."""
    engine = start(folder)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def model(folder):
    """The same in transformers."""
    import torch
    from transformers import LlamaForCausalLM

    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
