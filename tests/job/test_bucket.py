"""A run whose source, images, model and output all lie in a bucket."""

import json
from pathlib import Path

import pytest

import relabel.demo
from relabel import make_spec, run
from relabel.data.store.store import Store
from relabel.job.local import InProcess
from tests.pictures import png

MODEL = Path(relabel.demo.__file__).parent / "model"
COLOURS = ("red", "green", "blue")


@pytest.fixture
def rows(s3, s3_url, monkeypatch, tmp_path):
    """Six rows that name images below the folder; one of these is not there."""
    import boto3

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bucket, folder = boto3.resource("s3").Bucket("relabel"), s3_url.removeprefix("s3://relabel/")
    for colour in COLOURS:
        bucket.put_object(Key=f"{folder}/data/images/{colour}.png", Body=png((64, 64), colour))
    names = [*COLOURS, *COLOURS[:2], "nowhere"]
    lines = "".join(json.dumps({"id": at, "image": f"images/{name}.png"}) + "\n" for at, name in enumerate(names))
    bucket.put_object(Key=f"{folder}/data/rows.jsonl", Body=lines.encode())
    for file in MODEL.iterdir():
        bucket.upload_file(str(file), f"{folder}/model/{file.name}")
    return s3_url


def spec_of(url, model, output):
    return make_spec(
        {
            "source": {"path": f"{url}/data/rows.jsonl", "format": "jsonl", "unit_rows": 4},
            "prompt": {"user": "Describe the image.", "image": "image"},
            "model": {"path": model, "dtype": "float32"},
            "sampling": {"max_new_tokens": 16},
            "output": {"path": f"{url}/{output}", "keep": ["id"]},
            "resources": {"gpus_per_actor": 0},
            "label": {"gate": {"max_rejected": 0.5}},
        }
    )


def labels_of(spec):
    store = Store(spec.output.path, create=False)
    rows = [row for part in store.parts() for row in store.read(part).rows.to_pylist()]
    return [(row["id"], row["label"], row["reason"]) for row in rows]


def test_everything_lies_in_a_bucket_and_the_labels_are_those_of_a_local_model(rows):
    inside, local = spec_of(rows, f"{rows}/model", "labels"), spec_of(rows, str(MODEL), "compared")
    report = run(inside, execute=InProcess())
    assert (report.complete, report.audit.rows) == (True, 6)
    assert run(local, execute=InProcess()).complete
    assert labels_of(inside) == labels_of(local)
    assert [reason for _, _, reason in labels_of(inside)] == [None] * 5 + ["image: missing"]
    assert run(inside, execute=InProcess()).done_now == {}, "the same model, so the same recipe"
