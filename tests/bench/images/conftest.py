import pytest
import torch

from relabel.bench.images.model import SeeingModel
from relabel.demo import MODEL_PATH


@pytest.fixture(scope="session")
def seeing():
    """The small model that ships with relabel, in float32."""
    return SeeingModel.load(str(MODEL_PATH), torch.float32, torch.device("cpu"))
