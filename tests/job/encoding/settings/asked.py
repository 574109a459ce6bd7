"""Settings of a row against those of a spec: what they come to, or why they are refused."""

import json

import pytest

from relabel import make_spec
from relabel.errors import RowRejected
from relabel.job.encoding.settings.own import check_settings, read_settings

SCHEMA = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}, "required": ["b"]}


def query(sampling=None, label=None):
    fields = {"source": {"path": "x", "format": "openai"}, "model": {"path": "m"}, "output": {"path": "o"}}
    return make_spec({**fields, "sampling": sampling or {}, "label": label or {}}).queries[0]


def merged(settings, **sections):
    return read_settings(json.dumps(settings)).over(query(**sections))


def check(query, settings):
    check_settings(read_settings(settings), query)


def reason(settings, **sections):
    with pytest.raises(RowRejected) as rejected:
        check(query(**sections), settings if isinstance(settings, str) else json.dumps(settings))
    return str(rejected.value)
