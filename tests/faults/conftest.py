import shutil

import pytest


@pytest.fixture(scope="session")
def model(text_model):
    """A model that reads texts."""
    return text_model


@pytest.fixture
def folder(model, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(model, tmp_path / "model")
