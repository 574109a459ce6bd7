import json
import re

import pytest
import yaml

from relabel.job.metrics.table import IDS, METRICS, RUN
from tests.docs.pages import ROOT

GRAFANA = ROOT / "jobs/grafana"
NAME = re.compile(r"\bray_relabel_\w+")
BASE_UNITS = ("_seconds", "_ratio", "_dollars", "_info")


def panels():
    return json.loads((GRAFANA / "dashboard.json").read_text(encoding="utf-8"))["panels"]


def queries():
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def rules():
    (group,) = yaml.safe_load((GRAFANA / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return group["rules"]


def test_every_metric_has_a_panel_and_every_panel_metrics_that_are_there():
    assert {name for query in queries() for name in NAME.findall(query)} == {one.exported for one in METRICS}


def test_alerts_ask_for_metrics_that_are_there():
    assert len(rules()) > 5
    for rule in rules():
        assert set(NAME.findall(rule["expr"])) <= {one.exported for one in METRICS} != set(), rule["alert"]


@pytest.mark.parametrize("query", [*queries(), *(rule["expr"] for rule in rules())])
def test_what_a_query_selects_and_groups_by_are_labels_of_its_metrics_and_their_values(query):
    metrics = [one for one in METRICS if one.exported in NAME.findall(query)]
    labels = {RUN: (), **{name: values for one in metrics for name, values in one.labels.items()}}
    grouped = {word for words in re.findall(r"(?:by|ignoring) \(([\w, ]+)\)", query) for word in words.split(", ")}
    selected = re.findall(r'(\w+)=~?"([^"]+)"', query)
    assert grouped | {name for name, _ in selected} <= labels.keys()
    for name, wanted in selected:
        assert name == RUN or set(wanted.split("|")) <= set(labels[name])


def test_a_rate_is_of_a_counter_and_of_nothing_else():
    for query in [*queries(), *(rule["expr"] for rule in rules())]:
        rated = set(re.findall(r"(?:rate|increase)\((ray_relabel_\w+)", query))
        assert rated == {name for name in NAME.findall(query) if name.endswith("_total")}


def test_names_are_those_that_prometheus_asks_for():
    for one in METRICS:
        assert re.fullmatch(r"relabel_[a-z_]+[a-z]", one.name)
        assert not one.name.endswith("_total"), "Ray puts that behind the name of a counter"
        assert not {"hours", "minutes", "percent", "milliseconds"} & set(one.name.split("_")), "base units"
        assert one.help.endswith(".")


def test_labels_are_ids_or_one_of_few_words():
    for one in METRICS:
        assert {name for name, values in one.labels.items() if not values} <= set(IDS)
        assert len(list(one.series())) <= 12 or any(not values for values in one.labels.values())
