"""A whole run by servers that fail as servers do: each row once, and an end in a sentence where none answers."""

import json
import logging
from collections import Counter

import pytest

from relabel import make_spec, run
from relabel.data.output.verify import verify
from relabel.data.store.store import Store
from relabel.engine.server.loading import load_tokens
from relabel.errors import ModelRefused, RunFailed
from relabel.job.engine import engine_of, sampling_of
from relabel.job.local import InProcess
from tests.engine.server.answers import is_look
from tests.engine.server.engines import settings_of
from tests.engine.server.hostile import HostileServer
from tests.reading import assert_every_row_once, rows_of

ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}
MANY = (
    "hangs", "slow", "busy", "error", "cut", "cut json", "flood", "closes", "dies", "nothing", "tokens of another",
    "too many tokens", "another end",
)  # fmt: skip


def quick(*servers, **changed):
    """How servers are loaded for a run, with short waits."""

    def load(spec):
        sampling = sampling_of(spec.queries[0])
        return load_tokens(spec.model.path, sampling=sampling, settings=settings_of(*servers, **changed))

    return InProcess(load=load)


def spec_of(fields, *servers, **sections):
    fields["model"]["engine"] = "server"
    fields["server"] = {"urls": [server.url for server in servers], **sections.pop("server", {})}
    return make_spec({**fields, **sections})


class Everything:
    """Each prompt meets one fault or another, twice, whichever servers it meets them at."""

    def __init__(self):
        self.num_done = Counter()

    def __call__(self, server, request, body):
        prompt = tuple(body["prompt"])
        if is_look(body) or self.num_done[prompt] == 2:
            return None
        self.num_done[prompt] += 1
        return MANY[sum(prompt) % len(MANY)]


def texts(folder):
    return [row["text"] for row in assert_every_row_once(folder, ALL)]


def test_a_run_over_hostile_servers_has_the_labels_of_one_over_a_good_server(fields, tmp_path):
    with HostileServer() as good:
        assert run(spec_of(fields, good), execute=quick(good)).complete
    expected = texts(tmp_path / "out")
    assert len(set(expected)) > 60
    fields["output"]["path"] = str(tmp_path / "again")
    everything = Everything()
    with HostileServer(everything) as one, HostileServer(everything) as other:
        report = run(spec_of(fields, one, other), execute=quick(one, other, timeout=0.5))
        assert len(one.faults | other.faults) == len(MANY)
    rejects = {row["reason"] for row in rows_of(tmp_path / "again")} - {None}
    assert rejects == set()
    assert (report.complete, report.done_now["rows"], report.done_now["ok"]) == (True, 120, 120)
    assert texts(tmp_path / "again") == expected
    assert verify(Store(str(tmp_path / "again"))).problems == ()


def test_the_report_of_a_run_says_who_generated_and_what_cannot_be_promised(fields, caplog):
    with HostileServer() as server, caplog.at_level(logging.INFO, logger="relabel"):
        report = run(spec_of(fields, server), execute=InProcess())
    [way] = report.done_now["batching"]
    assert way["batching"] == "server"
    assert "by the name of the model alone" in " ".join(way["notes"])
    assert "prompts leave this machine" in caplog.text


def test_a_server_that_serves_nobody_ends_the_run_and_the_same_command_goes_on(fields, tmp_path):
    def after_a_while(server, request, body):
        return "no key" if sum(server.num_asked.values()) > 60 else None

    with HostileServer(after_a_while) as server:
        with pytest.raises(RunFailed, match=r"serves nobody: it answers with 401.*api_key_env"):
            run(spec_of(fields, server), execute=quick(server))
        server.fault = lambda *_: None
        assert run(spec_of(fields, server), execute=quick(server)).complete
    assert_every_row_once(tmp_path / "out", ALL)


def test_servers_that_never_answer_end_the_run_in_a_sentence(fields, tmp_path):
    def after_a_while(server, request, body):
        return "closes" if sum(server.num_asked.values()) > 60 else None

    with HostileServer(after_a_while) as server:
        with pytest.raises(RunFailed, match=r"no server gave a text for 1 s .*the same command goes on"):
            run(spec_of(fields, server), execute=quick(server, patience=1.0))
        server.fault = lambda *_: None
        assert run(spec_of(fields, server), execute=quick(server)).complete
    assert_every_row_once(tmp_path / "out", ALL)


def test_one_of_two_servers_that_goes_away_is_left_out(fields, tmp_path, caplog):
    def leaves(server, request, body):
        if sum(server.num_asked.values()) > 30:
            return "closes"
        return None

    with HostileServer() as good, HostileServer(leaves) as other:
        assert run(spec_of(fields, good, other), execute=quick(good, other)).complete
        assert f"{other.url} is left out" in caplog.text
    assert_every_row_once(tmp_path / "out", ALL)


def test_a_row_that_a_server_does_not_take_is_its_reject(fields, tmp_path):
    def refuses(server, request, body):
        return "refused" if sum(body["prompt"]) % 40 == 0 and not is_look(body) else None

    fields["label"] = {**fields.get("label", {}), "gate": {"max_rejected": None}}
    with HostileServer(refuses) as server:
        report = run(spec_of(fields, server), execute=quick(server))
        assert report.complete
    rows = assert_every_row_once(tmp_path / "out", ALL)
    reasons = [row["reason"] for row in rows if row["status"] == "rejected"]
    assert set(reasons) == {"prompt: the server does not take it (400)"}
    assert len(reasons) == server.faults["refused"] > 0


def test_a_key_is_in_no_log_error_document_or_recipe(fields, tmp_path, monkeypatch, caplog):
    canary = "sk-canary-7f3a9"
    monkeypatch.setenv("KEY_OF_A_TEST", canary)

    def sometimes(server, request, body):
        return MANY[sum(body["prompt"]) % len(MANY)] if server.num_asked[tuple(body["prompt"])] <= 1 else None

    said = []
    with caplog.at_level(logging.DEBUG), HostileServer(sometimes, key=canary) as server:
        spec = spec_of(fields, server, server={"api_key_env": "KEY_OF_A_TEST"})
        loaded = quick(server, api_key_env="KEY_OF_A_TEST", timeout=0.5)
        said.append(json.dumps(run(spec, execute=loaded).to_json()))
        assert all(headers["Authorization"] == f"Bearer {canary}" for headers in server.seen)
        for name, value in (
            ("no key", canary),
            ("gone", canary),
            ("moved", canary),
            ("", "sk-canary-other"),
            ("", "sk-canary 7"),
        ):
            monkeypatch.setenv("KEY_OF_A_TEST", value)
            server.fault = lambda *_, name=name: name.strip() or None
            fields["output"]["path"] = str(tmp_path / f"out{len(said)}")
            with pytest.raises((RunFailed, ModelRefused)) as ended:
                run(spec_of(fields, server, server={"api_key_env": "KEY_OF_A_TEST"}), execute=InProcess())
            trail = [ended.value, ended.value.__cause__, ended.value.__context__]
            said += [repr(one) for one in trail]
    said.append(caplog.text)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    said += [path.read_bytes().decode("latin-1") for path in files]
    assert not [text for text in said if "sk-canary" in text]


def test_a_variable_without_a_key_is_named(fields):
    with HostileServer(key="x") as server:
        with pytest.raises(ModelRefused, match="variable KEY_OF_NOBODY is not set"):
            engine_of(spec_of(fields, server, server={"api_key_env": "KEY_OF_NOBODY"}))
        with pytest.raises(ModelRefused, match=r"401: it asks for a key"):
            engine_of(spec_of(fields, server))
