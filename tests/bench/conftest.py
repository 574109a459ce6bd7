from pathlib import Path

import pytest
import torch

from tests.engine import models

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a Llama of two layers and 128 tokens."""
    folder: Path = models.save(models.llama(), tmp_path_factory.mktemp("tiny_llama"))
    return str(folder)
