import pytest

from relabel.data.store.store import Store
from tests.data.output.planned import MINE, PLAN, UNIT, begin_plan
from tests.outputs import publish


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture(params=["local", "s3"])
def store(request, out):
    """An output with nothing in it, on a disk and in a bucket."""
    return Store(str(out) if request.param == "local" else request.getfixturevalue("s3_url"))


@pytest.fixture
def whole(out):
    """A local output with every part of PLAN."""
    store = Store(str(out))
    for unit in begin_plan(store, PLAN).units:
        publish(store, unit, MINE)
    return store


@pytest.fixture
def begun(out):
    """A local output with every part of PLAN but that of UNIT."""
    store = Store(str(out))
    for unit in begin_plan(store, PLAN).units:
        if unit != UNIT:
            publish(store, unit, MINE)
    return store
