import json
from pathlib import Path

import pytest

from relabel.errors import SpecError
from relabel.job.forecast.cost import Work
from relabel.job.forecast.rate import read_rate

BENCH = Path(__file__).parents[3] / "benchmarks/results/bench_bfloat16.json"
GOODPUT = {
    "useful_tokens": 13_000,
    "output_tokens": 3000,
    "prefill_seconds": 20.0,
    "decode_seconds": 30.0,
    "seconds": 55.0,
}


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "rate.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return path

    return write


def test_the_line_of_a_run_gives_its_seconds_back(file):
    line = {"units": 3, "done_now": {"rows": 100, "output_tokens": 3000, "goodput": GOODPUT, "batching": []}}
    rate = read_rate(file("a log line\n" + json.dumps(line) + "\n"), "relabel")
    assert rate.output_tokens == 30
    assert rate.cost(Work(steps=9, prompt=10_000, decoded=3000, context=5, logits=1)) == pytest.approx(55.0)
    assert rate.cost.prompt * 10_000 == pytest.approx(22.0)


def test_servers_say_only_how_long_all_of_it_took(file):
    goodput = GOODPUT | {"prefill_seconds": 0, "decode_seconds": 0}
    rate = read_rate(file({"done_now": {"rows": 100, "output_tokens": 3000, "goodput": goodput}}), "server")
    assert rate.cost.prompt == rate.cost.decoded == pytest.approx(55 / 13_000)


def test_a_benchmark_gives_the_seconds_of_its_continuous_engine():
    rate = read_rate(BENCH, "relabel")
    goodput = json.loads(BENCH.read_text())["workloads"]["ragged"]["goodput"]["continuous"]
    prompt = goodput["useful_tokens"] - goodput["output_tokens"]
    work = Work(steps=1, prompt=prompt, decoded=goodput["output_tokens"], context=0, logits=0)
    assert rate.cost(work) == pytest.approx(goodput["seconds"])
    assert rate.output_tokens is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "no json",
        {"done_now": {}},
        {"workloads": {}},
        {"done_now": {"rows": 0, "output_tokens": 0, "goodput": GOODPUT}},
    ],
)
def test_a_file_without_a_rate_is_refused(file, text):
    with pytest.raises(SpecError, match="holds no rate"):
        read_rate(file(text), "relabel")


def test_a_benchmark_without_vllm_is_no_rate_of_vllm():
    with pytest.raises(SpecError, match="holds no rate"):
        read_rate(BENCH, "vllm")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SpecError, match="cannot be read"):
        read_rate(tmp_path / "none.json", "relabel")
