"""Whatever a server does to a request, its row has its own text in the end: none is lost, doubled or another's."""

import pytest

from tests.engine.server.engines import engine_of, rows, texts_of
from tests.engine.server.faults import FAULTS
from tests.engine.server.hostile import HostileServer

OF_THE_ROW = {"refused", "too large"}
OF_THE_RUN = {"no key", "forbidden", "gone", "moved"}
PASSING = sorted(set(FAULTS) - OF_THE_ROW - OF_THE_RUN)


class Sometimes:
    """Does it to the first requests of a third of the rows."""

    def __init__(self, name, times=2):
        self.name, self.times = name, times

    def __call__(self, server, request, body):
        number = body["prompt"][1] if len(body["prompt"]) == 3 else None
        if number is None or number % 3 or server.num_asked[tuple(body["prompt"])] > self.times:
            return None
        return self.name


@pytest.mark.parametrize("name", PASSING)
def test_every_row_has_its_text_whatever_was_done_to_its_first_requests(name, model):
    with HostileServer(Sometimes(name)) as server, engine_of(model, server, timeout=0.5) as engine:
        requests = rows(30)
        results = engine.generate(requests)
        assert server.faults[name] >= 10
    assert [result.error for result in results] == [None] * 30
    assert [result.token_ids for result in results] == texts_of(requests)
    assert [result.id for result in results] == list(range(30))
