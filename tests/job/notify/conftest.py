import pytest

from tests.job.notify.listener import Listener, listening_at


@pytest.fixture
def listener():
    with listening_at(Listener()) as listener:
        yield listener
