"""How far a run is, and what its limits say of it."""

import pytest

from relabel.data.output.audit import conclude
from relabel.data.output.manifest import write_gates
from relabel.data.output.status import status
from relabel.errors import Refused
from relabel.spec import Gate
from tests.data.output.planned import MINE, PLAN, UNIT
from tests.outputs import publish


def test_status_tells_how_far_a_run_is(begun):
    figures = status(begun).to_json()
    assert (figures["units"], figures["published"], figures["planned_rows"], figures["rows"]) == (4, 3, 13, 9)
    assert (figures["ok"], figures["rejected"], figures["success"]) == (6, 3, False)
    publish(begun, UNIT, MINE)
    conclude(PLAN, begun, MINE)
    assert status(begun).success


def test_status_judges_by_the_limits_of_the_newest_run(begun):
    """It said `passed` where the run had failed its gate."""
    publish(begun, UNIT, MINE)
    write_gates(begun, {"": Gate(max_rejected=0.1)})
    found = status(begun)
    assert (found.report.complete, found.report.passed) == (True, False)
    assert found.to_json()["exceeded"] == [
        "30.8 % of the rows have no label, the limit is label.gate.max_rejected 10.0 %"
    ]
    write_gates(begun, {"": Gate(max_rejected=0.5)})
    assert status(begun).report.passed


@pytest.mark.parametrize("limits", [[1], {"": {"max_good": 1}}, {"": 3}])
def test_limits_of_another_version_are_refused(begun, limits):
    begun.put_json("_gates.json", limits)
    with pytest.raises(Refused, match=r"_gates\.json is not what this version writes"):
        status(begun)
