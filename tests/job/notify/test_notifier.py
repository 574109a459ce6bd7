"""Who is told how a run ended: addresses and programs, each once, in bounded time, and no secret in what is said."""

import json
import logging
import sys

import pytest

from relabel.errors import RunFailed, SpecError
from relabel.job.notify.notifier import Notifier
from relabel.spec import Notify
from tests.job.notify.listener import Listener, listening_at

SECRET = "zqxsecretcanary"
FIGURES = {"complete": True, "rows": 3}


def notifier_of(*ways):
    return Notifier([Notify.model_validate(way) for way in ways])


def reading(path, *, code=0):
    """A program that keeps what it reads, says a secret, and ends."""
    script = f"import sys; open({str(path)!r}, 'w').write(sys.stdin.read()); print({SECRET!r}); sys.exit({code})"
    return {"command": [sys.executable, "-c", script]}


def test_an_address_and_a_program_are_told_the_line_once(listener, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOOK_KEY", SECRET)
    notifier = notifier_of({"url": listener.url, "bearer_env": "HOOK_KEY"}, reading(tmp_path / "told"))
    notifier.tell(FIGURES)
    notifier.tell({"complete": False})
    assert listener.bodies == [FIGURES]
    assert listener.headers[0]["Authorization"] == f"Bearer {SECRET}"
    assert json.loads((tmp_path / "told").read_text()) == FIGURES
    assert caplog.text == ""


def test_an_address_that_is_a_secret_comes_from_the_environment(listener, monkeypatch):
    monkeypatch.setenv("HOOK", f"{listener.url}/{SECRET}?key={SECRET}")
    notifier_of({"url_env": "HOOK"}).tell(FIGURES)
    assert listener.bodies == [FIGURES]


@pytest.mark.parametrize(
    ("answers", "said"),
    [({"status": 500}, "HTTP 500"), ({"status": 307, "location": f"http://127.0.0.1:9/{SECRET}"}, "HTTP 307")],
    ids=["it fails", "it points elsewhere, where nobody sends the key"],
)
def test_a_server_that_does_not_take_it_is_said_by_its_answer_alone(answers, said, monkeypatch, caplog):
    with listening_at(Listener(**answers)) as listener:
        monkeypatch.setenv("HOOK", f"{listener.url}/{SECRET}")
        monkeypatch.setenv("HOOK_KEY", SECRET)
        notifier_of({"url_env": "HOOK", "bearer_env": "HOOK_KEY"}).tell(FIGURES)
    assert caplog.messages == [f"notify[0] of the spec was not told how the run ended: it answered with {said}"]


def test_who_cannot_be_reached_or_fails_is_said_and_nothing_raises(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:9/{SECRET}")
    notifier_of({"url_env": "HOOK"}, reading(tmp_path / "told", code=3)).tell(FIGURES)
    assert sorted(line.rpartition(": ")[2] for line in caplog.messages) == [
        "it cannot be reached",
        "it ended with exit code 3",
    ]
    assert SECRET not in caplog.text


def test_who_does_not_answer_in_time_is_given_up(listener, tmp_path, caplog):
    listener.hangs.clear()
    sleeping = {"command": [sys.executable, "-c", "import time; time.sleep(60)"]}
    notifier = notifier_of({"url": listener.url}, sleeping)
    notifier.begin(FIGURES, 0.5)
    notifier.wait()
    assert sorted(line.partition(" of the spec")[0] for line in caplog.messages) == ["notify[0]", "notify[1]"]
    assert all(line.endswith(("no answer in time", "it did not end in time")) for line in caplog.messages)


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        ({"url_env": "HOOK"}, None, r"notify\[0\]\.url_env: the environment variable HOOK is not set"),
        ({"url_env": "HOOK"}, f"ftp://{SECRET}", r"notify\[0\]\.url_env: the variable HOOK holds no address"),
        ({"url_env": "HOOK"}, f"http://[{SECRET}", r"notify\[0\]\.url_env: the variable HOOK holds no address"),
        ({"url": "http://h/", "bearer_env": "HOOK"}, f"a {SECRET}", r"notify\[0\]\.bearer_env: .* HOOK has blanks"),
        ({"command": ["no-such-program-anywhere"]}, None, r"notify\[0\]\.command: there is no such program"),
    ],
)
def test_what_is_not_there_is_refused_before_the_run_and_never_quoted(way, value, said, monkeypatch):
    monkeypatch.delenv("HOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("HOOK", value)
    with pytest.raises(SpecError, match=said) as refused:
        notifier_of(way)
    assert SECRET not in str(refused.value)


def test_a_run_that_fails_is_told_by_its_sentence_and_one_that_nobody_expected_by_its_kind(listener):
    with pytest.raises(RunFailed), notifier_of({"url": listener.url}).watching(is_stopped_by_others=False):
        raise RunFailed("Ray ended the run")
    with pytest.raises(KeyError), notifier_of({"url": listener.url}).watching(is_stopped_by_others=False):
        raise KeyError(SECRET)
    with pytest.raises(KeyboardInterrupt), notifier_of({"url": listener.url}).watching(is_stopped_by_others=False):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), notifier_of({"url": listener.url}).watching(is_stopped_by_others=True):
        raise KeyboardInterrupt
    assert listener.bodies == [
        {"complete": False, "failed": "Ray ended the run", "exit_code": 1},
        {"complete": False, "failed": "KeyError", "exit_code": 1},
        {"complete": False, "stopped": True},
    ]


def test_nobody_is_told_in_the_words_of_the_log_of_a_library(listener, caplog):
    with caplog.at_level(logging.DEBUG):
        notifier_of({"url": listener.url}).tell(FIGURES)
    assert caplog.text == ""
