import shutil
from pathlib import Path

import pytest

from relabel import make_spec
from relabel.job.engine import engine_of
from tests.conftest import write_source
from tests.job.retrying import Here, fields_of


@pytest.fixture(scope="session")
def first(tmp_path_factory, text_model):
    """A finished run with rejects, made in its own folder: the folder, and its fields with relative paths."""
    folder = tmp_path_factory.mktemp("first")
    lines = (write_source(folder / "data") / "b.jsonl").read_text().splitlines()
    lines[3] = "not json"
    (folder / "data/b.jsonl").write_text("\n".join(lines) + "\n")
    fields = fields_of(Path(), text_model)
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        Here(fields).run()
    return folder, fields


@pytest.fixture
def done(first, tmp_path, monkeypatch):
    """A copy of that run in the working directory, and its fields."""
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return first[1]


@pytest.fixture(scope="module", params=["continuous", "static"])
def batch_engine(request, text_model):
    """An engine of either kind, for batch files."""
    fields = {"source": {"path": "x", "format": "openai"}, "output": {"path": "o"}}
    resources = {"gpus_per_actor": 0, "batching": request.param}
    return engine_of(
        make_spec({**fields, "model": {"path": str(text_model), "dtype": "float32"}, "resources": resources})
    )
