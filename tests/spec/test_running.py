"""What may change between runs: budgets, tables, and who is told."""

from datetime import UTC, datetime

import pytest

from relabel.errors import SpecError
from relabel.spec import load_spec, make_spec
from relabel.spec.running.budget import Budget

FIELDS = {
    "source": {"path": "data/*.parquet", "format": "parquet"},
    "prompt": {"user": "{{ alt }}"},
    "model": {"path": "m"},
    "output": {"path": "out"},
}
SECRET = "zqxsecretcanary"
NIGHT = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
"""Before the clocks of Berlin go forward."""


@pytest.mark.parametrize(
    ("until", "moment"),
    [
        ("06:00Z", "2026-03-29T06:00:00+00:00"),
        ("22:00Z", "2026-03-29T22:00:00+00:00"),
        ("22:00:01Z", "2026-03-28T22:00:01+00:00"),
        ("06:00 Europe/Berlin", "2026-03-29T04:00:00+00:00"),
        ("06:00-03:30", "2026-03-29T09:30:00+00:00"),
        ("2026-03-30T06:00:00+02:00", "2026-03-30T04:00:00+00:00"),
        ("2026-03-30 06:00Z", "2026-03-30T06:00:00+00:00"),
    ],
)
def test_a_time_of_day_is_the_next_one_and_a_zone_keeps_its_own_clock(until, moment):
    assert Budget(until=until).ends_at(NIGHT) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "until", ["06:00", "2026-03-29", "2026-03-29T06:00", "25:00Z", "06:00 Mars/Base", "06:00+99:00", "soon", ""]
)
def test_what_names_no_moment_or_no_zone_is_refused(until):
    with pytest.raises(SpecError, match=r"resources\.budget\.until.*with its zone"):
        make_spec({**FIELDS, "resources": {"budget": {"until": until}}})


def test_yaml_may_write_a_moment_without_quotes(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "source: {path: x, format: jsonl}\nprompt: {user: x}\nmodel: {path: m}\noutput: {path: o}\n"
        "resources: {budget: {until: 2026-11-29T06:00:00+01:00}}\n"
    )
    assert load_spec(tmp_path / "s.yaml").resources.budget.until == "2026-11-29T06:00:00+01:00"
    assert load_spec(tmp_path / "s.yaml", ["resources.budget.until=06:00Z"]).resources.budget.until == "06:00Z"


def test_a_budget_of_money_needs_a_price():
    with pytest.raises(SpecError, match=r"budget\.dollars needs price\.gpu_hour"):
        make_spec({**FIELDS, "resources": {"budget": {"dollars": 5}}})
    resources = {"budget": {"dollars": 5}, "price": {"gpu_hour": 2.0}}
    assert make_spec({**FIELDS, "resources": resources}).resources.budget.is_set
    assert not make_spec(FIELDS).resources.budget.is_set


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"url": f"https://user:{SECRET}@host/"}, "url_env"),
        ({"url": f"https://host/?key={SECRET}"}, "url_env"),
        ({"url": f"ftp://{SECRET}"}, "begins with http"),
        ({"url": f"https://[{SECRET}"}, "begins with http"),
        ({"url_env": f"https://{SECRET}"}, "name of an environment variable"),
        ({"url": "https://host/", "bearer_env": f"Bearer {SECRET}"}, "name of an environment variable"),
        ({}, "give one of url, url_env and command"),
        ({"url": "https://host/", "command": ["x"]}, "give one of url, url_env and command"),
        ({"command": []}, "give one of url, url_env and command"),
        ({"command": ["x"], "bearer_env": "KEY"}, "bearer_env goes with url"),
    ],
)
def test_who_is_told_is_named_in_one_way_and_never_by_a_secret(way, said):
    with pytest.raises(SpecError, match=said) as refused:
        make_spec({**FIELDS, "notify": [way]})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"format": "iceberg", "path": "x"}, "give its name as NAMESPACE.TABLE, and no path"),
        ({"format": "iceberg", "name": "coco"}, "give its name as NAMESPACE.TABLE, and no path"),
        ({"format": "delta"}, "a delta table is a folder: give its path, and no name or catalog"),
        ({"format": "lance", "path": "x", "catalog": "prod"}, "a lance table is a folder"),
    ],
)
def test_a_table_is_where_its_format_has_one(table, sentence):
    with pytest.raises(SpecError, match=sentence):
        make_spec({**FIELDS, "output": {"path": "out", "table": table}})
