"""Engines around which something happens: what a test does in the middle of a run."""

from relabel.job.engine import engine_of


class Disguised:
    """Another engine, with something of its own."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)


class Recorder(Disguised):
    """Remembers what it was asked."""

    def __init__(self, engine):
        super().__init__(engine)
        self.requests = []

    def generate(self, requests):
        self.requests += requests
        return self._engine.generate(requests)


class Disturbed(Disguised):
    """Something happens before the nth unit is generated."""

    def __init__(self, engine, happens, nth):
        super().__init__(engine)
        self._happens, self._left = happens, nth

    def generate(self, requests):
        self._left -= 1
        if self._left == 0:
            self._happens()
        return self._engine.generate(requests)


def disturbed(happens, nth=1, load=engine_of):
    """What loads such an engine."""
    return lambda spec: Disturbed(load(spec), happens, nth)
