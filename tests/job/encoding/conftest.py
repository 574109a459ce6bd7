import pytest
from transformers import AutoConfig

from relabel.demo import MODEL_PATH
from tests.job.encoding.chats import encoder


@pytest.fixture(scope="session")
def model(text_model):
    """A model that reads texts."""
    return text_model


@pytest.fixture(scope="session")
def eyes():
    """The encoder of a model that sees."""
    return encoder(MODEL_PATH)


@pytest.fixture(scope="session")
def config():
    """The configuration of the model that sees."""
    return AutoConfig.from_pretrained(MODEL_PATH)
