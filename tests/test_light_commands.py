"""What a command does not need it does not import: torch, Ray and pandas cost seconds before its last word."""

import json
import subprocess
import sys

import pytest
import yaml

from tests.invoking import invoke
from tests.tiny import save_model

HEAVY = ("torch", "ray", "pandas", "pyarrow.dataset")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of text, a CSV, a spec of both, and the output of a run."""
    folder = tmp_path_factory.mktemp("light")
    save_model(folder / "model")
    (folder / "rows.csv").write_text("id,text\n" + "".join(f"{row},a red circle\n" for row in range(2000)))
    spec = {
        "source": {"path": str(folder / "rows.csv"), "format": "csv"},
        "prompt": {"user": "Say it: {{ text }}"},
        "model": {"path": str(folder / "model")},
        "sampling": {"max_new_tokens": 1},
        "output": {"path": str(folder / "out"), "keep": ["id"]},
        "resources": {"gpus_per_actor": 0},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    ran = invoke("run", folder / "spec.yaml", "--no-ray", "--set", "resources.budget.rows=1024")
    assert ran.exit_code == 1, ran.output
    return folder


def imported_by(*arguments):
    """The figures of a command in a process of its own, and what of HEAVY it has imported when it ends."""
    code = (
        "import sys\nfrom relabel.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    return json.loads(ended.stdout.splitlines()[-1]), ended.stderr.splitlines()[-1]


def test_plan_of_texts_needs_neither_torch_nor_ray(folder):
    figures, heavy = imported_by("plan", folder / "spec.yaml")
    assert (figures["rows"], figures["units_done"], figures["problem"]) == (2000, 1, None)
    assert heavy in ("[]", "['pandas']"), "pyarrow asks it of the values of the columns that are kept"


def test_status_needs_none_of_it(folder):
    figures, heavy = imported_by("status", folder / "out")
    assert (figures["planned_rows"], figures["rows"]) == (2000, 1024)
    assert heavy == "[]"
