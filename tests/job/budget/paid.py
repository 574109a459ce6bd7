"""Runs whose engine takes as many seconds as its texts have words, whatever the clock says."""

import json
import random
import threading

import relabel
from relabel import make_spec
from relabel.engine.scripted import ScriptedEngine
from relabel.job.local import InProcess

HOURS_A_WORD = 1.0
NUM_ROWS = 120


def text_of(request):
    """One to nine words, the same for the same row."""
    return " ".join(["word"] * random.Random(request.id).randint(1, 9))


class Paid(ScriptedEngine):
    """An engine without a GPU, which counts like one GPU."""

    def __init__(self):
        super().__init__(text_of)
        self._paying = threading.Lock()

    def generate(self, requests):
        results = super().generate(requests)
        with self._paying:
            self.goodput.seconds = self.goodput.output_tokens * HOURS_A_WORD * 3600
        return results


def paid(spec):
    """Loads one, in whichever process."""
    return Paid()


execute = InProcess(load=paid)


def spec_of(fields, unit_rows=1, price=None, **budget):
    resources = {**fields["resources"], "budget": budget, **({"price": {"gpu_hour": price}} if price else {})}
    return make_spec({**fields, "source": {**fields["source"], "unit_rows": unit_rows}, "resources": resources})


def run(fields, unit_rows=1, execute=execute, **limits):
    return relabel.run(spec_of(fields, unit_rows, **limits), execute=execute)


def beats_of(folder):
    """What the runs into an output have said of themselves, in the order of their starts."""
    return [json.loads(path.read_text()) for path in sorted((folder / "_runs").glob("*.json"))]
