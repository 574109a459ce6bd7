"""Engines over servers of a test: nobody waits for long in them."""

from contextlib import contextmanager

from relabel.engine import Request, Sampling
from relabel.engine.server.loading import load_tokens
from relabel.engine.server.settings import ServerSettings
from tests.engine.server.answers import text_of

SAMPLING = Sampling(max_new_tokens=20)


def settings_of(*servers, **changed):
    quick = {"timeout": 1.0, "patience": 20.0, "first_wait": 0.02}
    return ServerSettings(**{"urls": [server.url for server in servers], **quick, **changed})


@contextmanager
def engine_of(model, *servers, sampling=SAMPLING, **changed):
    """An engine that is closed with the block."""
    engine = load_tokens(str(model), sampling=sampling, settings=settings_of(*servers, **changed))
    try:
        yield engine
    finally:
        engine.close()


def rows(number, **fields):
    """Requests whose prompts differ."""
    return [Request(id=row, prompt_ids=[10, 20 + row % 300, 30 + row // 300], **fields) for row in range(number)]


def texts_of(requests, sampling=SAMPLING):
    """The tokens that each greedy row is to have."""
    bodies = [
        {
            "prompt": list(one.prompt_ids),
            "temperature": 0.0,
            "max_tokens": sampling.max_new_tokens,
            "stop_token_ids": [2],
        }
        for one in requests
    ]
    return [text_of(body) for body in bodies]
