"""Sums that a report is read by: what is kept back for later items, the kernels of a step, the table at the end."""

from __future__ import annotations

from benchmarks.gpu.plan import PARTS, START_SECONDS, reserved
from benchmarks.gpu.profiled import summary
from benchmarks.gpu.report import Report
from benchmarks.gpu.table import table_of


def test_what_must_not_be_missed_fits_and_is_kept_room_for() -> None:
    text, images = PARTS[2], PARTS[3]
    musts = sum(item.expected for part in PARTS for item in part.items if item.must)
    assert musts + START_SECONDS * len(PARTS) < 400
    assert reserved(images, images.items[-1]) == 0
    later = sum(item.expected for item in images.items if item.must)
    assert reserved(text, text.items[-1]) == later + START_SECONDS


def test_kernels_are_summed_by_step_and_gaps_are_where_nothing_runs() -> None:
    spans = [("gemm", 0.0, 10.0), ("norm", 5.0, 12.0), ("gemm", 20.0, 30.0), ("copy", 30.5, 40.0)]
    found = summary(spans, num_steps=2)
    assert [one["kernel"] for one in found["kernels"]] == ["gemm", "copy", "norm"]
    assert found["kernels"][0] == {"kernel": "gemm", "calls_per_step": 1.0, "us_per_step": 10.0, "share": 0.5479}
    assert found["largest_gaps_us"] == [8.0], "the half microsecond is the device's own"
    assert found["idle_share"] == 0.2
    assert summary([], 1)["idle_share"] is None


def test_a_report_is_there_after_each_item_and_keeps_what_failed(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    report = Report({"card": "NVIDIA H200 NVL"}, dry=False)
    report.add("text", "300/50", {"error": "no answer within 75 s"})
    assert report.path == tmp_path / "gpu_h200_nvl.json"
    assert "no answer within 75 s" in report.path.read_text()
    report.add("text", "128/128", {"rows_per_second": 101.5, "share_of_roofline": None})
    assert "128/128" in report.path.read_text()


def test_the_table_has_a_line_for_each_shape_with_figures() -> None:
    text = {"300/50": {"rows_per_second": 50.25}, "128/128": {"error": "x"}, "decode": {"kernels": []}}
    lines = table_of({"text": text}).splitlines()
    assert [line.split()[:2] for line in lines[1:2]] == [["300/50", "50.25"]]
    assert not any(line.startswith("128/128") for line in lines)
    beside = {**text, "static 300/50": {"rows_per_second": 20.1}, "one by one 300/50": {"rows_per_second": 0}}
    assert "300/50: continuous 2.50 times static" in table_of({"text": beside})
    assert "one by one 300/50" in table_of({"text": beside})
