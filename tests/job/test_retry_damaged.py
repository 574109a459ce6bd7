"""A retry of an output whose documents somebody damaged by hand: it has no spec but the recipe that stands there."""

import json

import pytest

from relabel.errors import Refused
from relabel.job.retry import retry

OVERRIDES = ["resources.gpus_per_actor=0", "label.retry_temperatures=[0.7]"]


ABSENT = object()
SECTIONS = ["source", "prompt", "model", "sampling", "label", "output", "model_identity"]


def nothing(units, job, *, num_rows):
    raise AssertionError("nothing is asked")


@pytest.mark.parametrize("damage", [ABSENT, None, 3, "text", [1], {"wrong": 1}])
@pytest.mark.parametrize("section", SECTIONS)
def test_a_damaged_recipe_is_refused_by_its_document_before_any_work(finished, tmp_path, section, damage):
    path = tmp_path / "out/_run.json"
    document = json.loads(path.read_text())
    document["recipe"][section] = damage
    if damage is ABSENT:
        del document["recipe"][section]
    path.write_text(json.dumps(document))
    with pytest.raises(Refused, match=r"_run\.json|was made by another recipe") as refused:
        retry(str(tmp_path / "out"), overrides=OVERRIDES, execute=nothing)
    assert "--set" not in str(refused.value), "what was asked is sound"
