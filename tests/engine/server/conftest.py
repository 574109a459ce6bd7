import pytest

from tests.tiny import save_model


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A folder whose tokenizer is that of the servers."""
    return save_model(tmp_path_factory.mktemp("served"))
