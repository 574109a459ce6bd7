import importlib.util

import pytest

from tests.engine.vllm.kit import start
from tests.tiny import save_model


def pytest_collection_modifyitems(items):
    """`-m fault` chooses some of them, too."""
    if importlib.util.find_spec("vllm") is None:
        for item in items:
            if item.get_closest_marker("vllm") is not None:
                item.add_marker(pytest.mark.skip(reason="vLLM is not installed"))


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
