import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relabel.demo.check import check_labels
from relabel.demo.dataset import is_broken, make_row, write_dataset

NUM_ROWS = 120


@pytest.fixture
def data(tmp_path):
    write_dataset(tmp_path / "data", num_rows=NUM_ROWS)
    return tmp_path / "data"


def a_label(row: int, **changes) -> dict:
    """What a perfect captioner writes."""
    truth = make_row(0, row)["truth"]
    label = {"id": row, "caption": truth, "status": "ok", "reason": None}
    if is_broken(row):
        label = {"id": row, "caption": None, "status": "rejected", "reason": "image: cannot be decoded"}
    return label | changes


def a_record(row: int, **changes) -> dict:
    """What a perfect model writes as JSON."""
    label = {"id": row, **json.loads(make_row(0, row)["scene"]), "status": "ok", "reason": None}
    if is_broken(row):
        label = {"id": row, "status": "rejected", "reason": "image: cannot be decoded"}
    return label | changes


CAPTIONS = {"caption": pa.string()}
RECORDS = {
    "background": pa.string(),
    "count": pa.int64(),
    "shapes": pa.list_(pa.struct([(name, pa.string()) for name in ("size", "colour", "kind", "place")])),
}


def write(folder, labels: list[dict], columns: dict[str, pa.DataType] = CAPTIONS):
    folder.mkdir()
    schema = pa.schema([("id", pa.int64()), *columns.items(), ("status", pa.string()), ("reason", pa.string())])
    for part in range(2):
        rows = labels[part::2]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"data-00000-of-00008-{part:05d}.parquet")
    return folder


def test_perfect_labels_of_images_are_found_perfect(data, tmp_path):
    labels = write(tmp_path / "labels", [a_label(row) for row in range(NUM_ROWS)])
    report = check_labels(data, labels, "caption")
    assert (report.rows, report.ok, report.rejected, report.judged) == (NUM_ROWS, 118, 2, 118)
    assert report.reasons == {"image: cannot be decoded": 2}
    assert (report.exact_match_before, report.exact_match) == (0.0, 1.0)
    assert report.every_row_once
    assert not report.broken_labelled
    assert not report.sound_rejected


def test_without_an_image_every_row_needs_a_label(data, tmp_path):
    labels = write(tmp_path / "labels", [a_label(row) for row in range(NUM_ROWS)])
    report = check_labels(data, labels, "rewrite")
    assert report.judged == NUM_ROWS
    assert report.sound_rejected == (7, 107)
    assert report.exact_match == 118 / 120


def test_missing_double_and_unknown_rows_are_named(data, tmp_path):
    labels = [a_label(row) for row in range(NUM_ROWS) if row not in (3, 30)] + [a_label(5), a_label(999)]
    report = check_labels(data, write(tmp_path / "labels", labels), "caption")
    assert (report.missing, report.double, report.unknown) == ((3, 30), (5,), (999,))
    assert not report.every_row_once
    assert report.exact_after == 116


def test_wrong_labels_and_wrong_rejects_are_counted(data, tmp_path):
    labels = [a_label(row) for row in range(NUM_ROWS)]
    labels[0] = a_label(0, caption="A small square.")
    labels[1] = a_label(1, status="rejected", reason="prompt_too_long: 600 tokens")
    labels[7] = a_label(7, status="ok", caption="A small square.", reason=None)
    report = check_labels(data, write(tmp_path / "labels", labels), "caption")
    assert report.exact_after == 116
    assert report.sound_rejected == (1,)
    assert report.broken_labelled == (7,)
    assert report.reasons == {"image: cannot be decoded": 1, "prompt_too_long: 600 tokens": 1}
    assert report.as_dict()["broken_labelled"] == [7]


def test_perfect_records_are_found_perfect(data, tmp_path):
    labels = write(tmp_path / "labels", [a_record(row) for row in range(NUM_ROWS)], RECORDS)
    report = check_labels(data, labels, "json")
    assert (report.rows, report.ok, report.rejected, report.judged) == (NUM_ROWS, 118, 2, 118)
    assert (report.exact_before, report.exact_after, report.parse_rejected) == (0, 118, 0)
    assert report.every_row_once
    assert not report.broken_labelled
    assert not report.sound_rejected


def test_a_record_with_one_wrong_column_is_wrong(data, tmp_path):
    labels = [a_record(row) for row in range(NUM_ROWS)]
    shapes = labels[2]["shapes"]
    labels[0] = a_record(0, background="gold")
    labels[1] = a_record(1, count=4)
    labels[2] = a_record(2, shapes=[*shapes[:-1], shapes[-1] | {"kind": "hexagon"}])
    labels[3] = a_record(3, shapes=[])
    labels[4] = a_record(4, shapes=None)
    assert check_labels(data, write(tmp_path / "labels", labels, RECORDS), "json").exact_after == 113


def test_a_text_that_is_no_label_is_the_fault_of_the_model_and_counted_apart(data, tmp_path):
    labels = [a_record(row) for row in range(NUM_ROWS)]
    labels[1] = {"id": 1, "status": "rejected", "reason": "parse: not JSON"}
    labels[2] = {"id": 2, "status": "rejected", "reason": "prompt_too_long: 600 tokens"}
    labels[3] = {"id": 3, "status": "rejected", "reason": None}
    labels[7] = {"id": 7, "status": "rejected", "reason": "parse: not JSON"}
    report = check_labels(data, write(tmp_path / "labels", labels, RECORDS), "json")
    assert report.exact_after == 115
    assert report.parse_rejected == report.as_dict()["parse_rejected"] == 1
    assert report.sound_rejected == (2, 3)


def test_hidden_files_are_not_labels(data, tmp_path):
    labels = write(tmp_path / "labels", [a_label(row) for row in range(NUM_ROWS)])
    (labels / "_old.parquet").write_bytes(b"not parquet")
    (labels / "_staging").mkdir()
    (labels / "_staging" / "data.parquet").write_bytes(b"not parquet")
    assert check_labels(data, labels, "caption").every_row_once
