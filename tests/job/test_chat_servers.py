"""A whole run by servers of chats: each row's own messages go out, and each text is checked when it comes back."""

from relabel import make_spec, run
from relabel.engine.server.loading import load_chats
from relabel.job.engine import sampling_of
from relabel.job.local import InProcess
from tests.engine.server.engines import settings_of
from tests.engine.server.hostile import HostileServer
from tests.reading import assert_every_row_once

ALL = {"a.jsonl": 40, "b.jsonl": 40, "c.jsonl": 40}


def spec_of(fields, *servers, **sections):
    fields["model"]["engine"] = "server"
    fields["server"] = {"urls": [server.url for server in servers], "api": "chat"}
    return make_spec({**fields, **sections})


def quick(*servers):
    def load(spec):
        return load_chats(sampling=sampling_of(spec.queries[0]), settings=settings_of(*servers))

    return InProcess(load=load)


def test_each_row_is_sent_its_own_messages_whatever_happens_to_some(fields, tmp_path):
    fields["prompt"]["system"] = "Be short about {{ id }}."

    def sometimes(server, request, body):
        return ("closes", "error", "cut")[len(str(body)) % 3] if len(server.bodies) % 5 == 0 else None

    with HostileServer(sometimes) as server:
        assert run(spec_of(fields, server), execute=quick(server)).complete
        systems = {body["messages"][0]["content"] for body in server.bodies if len(body["messages"]) == 2}
        assert sum(server.faults.values()) > 20
    rows = assert_every_row_once(tmp_path / "out", ALL)
    assert [row["text"] for row in rows] == [
        f"to: Rewrite: a {row['id'][0]} circle, number {row['id'][1:]}" for row in rows
    ]
    assert systems == {f"Be short about {row['id']}." for row in rows}


def test_a_text_that_does_not_fit_its_schema_is_a_reject_though_the_server_was_told(fields, tmp_path):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    fields["label"] = {"parse": "json", "json_schema": schema, "gate": {"max_rejected": None}}

    def answers(server, request, body):
        content = body["messages"][-1]["content"]
        return "json" if content.endswith(("1", "2", "3")) else "other json" if content.startswith("Rewrite") else None

    with HostileServer(answers) as server:
        assert run(spec_of(fields, server), execute=InProcess()).complete
        assert server.bodies[-1]["response_format"]["type"] == "json_schema"
    rows = assert_every_row_once(tmp_path / "out", ALL)
    labelled = {row["id"] for row in rows if row["status"] == "ok"}
    assert labelled == {row["id"] for row in rows if row["id"].endswith(("1", "2", "3"))}
    assert {row["reason"].partition(":")[0] for row in rows if row["status"] != "ok"} == {"parse"}
