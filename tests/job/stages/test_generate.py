"""What a unit asks of an engine, an engine that a script speaks for."""

from __future__ import annotations

import pyarrow as pa

from relabel.demo import MODEL_PATH
from relabel.engine import ScriptedEngine
from relabel.job.encoding.row import RowEncoder
from relabel.job.job import Job
from relabel.job.stages.generate import generate_unit
from relabel.job.stages.read import encode_unit
from relabel.spec import make_spec
from tests.data.builders import files_of, units_of, write_parquet
from tests.pictures import png


def test_labels_and_samples_of_a_row_bring_the_very_same_pixels(tmp_path):
    """By that an engine knows that it has to encode them once: equal ones would have to be compared."""
    pictures = [png((32, 32), colour) for colour in ("red", "green", "blue")]
    path = write_parquet(tmp_path / "a.parquet", pa.table({"image": pictures}))
    fields = {
        "source": {"path": str(path), "format": "parquet"},
        "prompt": {"image": "image"},
        "model": {"path": str(MODEL_PATH)},
        "sampling": {"num_samples": 4, "temperature": 0.8},
        "labels": [{"name": "caption", "user": "Describe the image."}, {"name": "kind", "user": "What is it?"}],
        "output": {"path": str(tmp_path / "out")},
    }
    spec = make_spec(fields)
    (file,) = files_of(spec.source)
    (unit,) = units_of(file, spec.source, 8)
    job = Job(fingerprint="x", spec=spec, kept=pa.schema([]))
    asked = []
    engine = ScriptedEngine(lambda request: asked.append(request) or "a text")

    generate_unit(encode_unit(unit, RowEncoder(spec, None), job), engine, job)

    assert len(asked) == 3 * 4 * 2
    assert len({tuple(request.prompt_ids) for request in asked}) == 2
    pixels = {request.group: set() for request in asked}
    for request in asked:
        pixels[request.group].add(id(request.tensors["pixel_values"]))
    assert [len(own) for own in pixels.values()] == [1, 1, 1]
    assert len(set.union(*pixels.values())) == 3
