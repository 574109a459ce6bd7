"""An output goes to the hub: whole files in commits that go on, private until somebody says otherwise, with a card."""

import io
import json

import huggingface_hub
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import HfApi

from relabel import make_spec, run
from relabel.data.hub.push import _Hub, push
from relabel.data.store.store import Store
from relabel.errors import Refused, SpecError, StoreFailed
from relabel.job.local import InProcess
from tests.data.hub.server import TOKEN, Hub
from tests.reading import rows_of

TARGET = "hf://datasets/me/labels"
HOSTILE = "```\n# Not a title <img src=x onerror=alert(1)> | x"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def api(hub):
    return HfApi(endpoint=hub.endpoint, token=TOKEN)


@pytest.fixture
def output(fields, tmp_path):
    """Labels of 120 rows in twelve parts."""
    assert run(make_spec(fields), execute=InProcess()).complete
    return Store(str(tmp_path / "out"), create=False)


def rows_on(hub):
    files = hub.files["me/labels"]
    tables = [pq.read_table(io.BytesIO(files[name])) for name in sorted(files) if name.endswith(".parquet")]
    return [row for table in tables for row in table.to_pylist()]


def test_every_row_is_there_once_in_the_order_of_the_source(output, hub, api, tmp_path):
    pushed, _ = push(output, TARGET, api=api)
    assert (pushed.complete, pushed.rows, pushed.files) == (True, 120, 1)
    assert rows_on(hub) == rows_of(tmp_path / "out")
    assert hub.private["me/labels"]


def test_the_same_command_again_sends_nothing_and_makes_no_commit(output, hub, api):
    push(output, TARGET, api=api)
    commits, uploads = list(hub.commits), list(hub.uploads)
    again, _ = push(output, TARGET, api=api)
    assert again.complete
    assert (hub.commits, hub.uploads) == (commits, uploads)


def test_a_push_that_broke_off_goes_on(output, hub, api, tmp_path):
    hub.fail_at = 5
    with pytest.raises(StoreFailed, match="HTTP 400"):
        push(output, TARGET, api=api, shard_bytes=1)
    assert len(hub.files["me/labels"]) == 5
    push(output, TARGET, api=api, shard_bytes=1)
    assert rows_on(hub) == rows_of(tmp_path / "out")
    assert len(hub.uploads) == len({*hub.uploads}) == 12


def test_files_of_an_earlier_push_that_are_no_longer_made_are_deleted(output, hub, api):
    push(output, TARGET, api=api, shard_bytes=1)
    hub.files["me/labels"]["data/mine.parquet"] = b"of somebody else"
    push(output, TARGET, api=api)
    assert sorted(hub.files["me/labels"]) == ["README.md", "data/labels-00000.parquet", "data/mine.parquet"]


def test_a_dry_run_asks_nobody_and_shows_the_card(output):
    pushed, card = push(output, TARGET, dry_run=True, api=HfApi(endpoint="http://127.0.0.1:9"))
    assert (pushed.dry_run, pushed.rows) == (True, 120)
    assert pushed.bytes > 1000
    assert card.startswith("---\n")


def test_a_dataset_that_is_public_is_not_sent_labels_by_mistake(output, hub, api):
    hub.files["me/labels"], hub.private["me/labels"] = {}, False
    with pytest.raises(Refused, match="me/labels is public: add --public"):
        push(output, TARGET, api=api)
    assert push(output, TARGET, public=True, api=api)[0].complete


def test_a_dataset_is_public_where_that_was_asked_for(output, hub, api):
    push(output, TARGET, public=True, api=api)
    assert not hub.private["me/labels"]


def test_without_the_right_to_write_it_is_refused_and_the_token_is_not_told(output, hub):
    with pytest.raises(Refused, match=r"HTTP 401.*set HF_TOKEN") as refused:
        push(output, TARGET, api=HfApi(endpoint=hub.endpoint, token="hf_a_secret"))
    assert "hf_a_secret" not in str(refused.value)


def test_a_dataset_that_goes_while_it_is_sent_to_is_a_refusal(output, hub, api):
    push(output, TARGET, api=api)
    with pytest.raises(Refused, match="there is no dataset me/other on the hub, or HF_TOKEN may not write to it"):
        _Hub(name="me/other", api=api).finish([], "card")


@pytest.mark.parametrize("target", ["me/labels", "hf://me/labels", "hf://datasets/me", "hf://datasets/me/a/b"])
def test_another_target_is_refused(tmp_path, target):
    with pytest.raises(SpecError, match="name it as hf://datasets/OWNER/NAME"):
        push(Store(str(tmp_path)), target)


def test_an_output_that_is_not_complete_is_sent_as_far_as_it_is_and_the_card_says_so(output, hub, api, tmp_path):
    (tmp_path / "out/b-00001.parquet").unlink()
    pushed, card = push(output, TARGET, api=api)
    assert (pushed.complete, pushed.missing, len(rows_on(hub))) == (False, 10, 110)
    assert "| not there yet | 10 |" in card


def test_the_card_says_how_the_labels_were_made_and_not_where(output, hub, api, tmp_path):
    push(output, TARGET, license="cc-by-4.0", api=api)
    card = hub.files["me/labels"]["README.md"].decode()
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["license"], head["size_categories"]) == ("cc-by-4.0", ["n<1K"])
    assert head["configs"] == [{"config_name": "default", "data_files": "data/*.parquet"}]
    assert "{{ alt }}" in card, "the prompt"
    assert "| labelled | 120 |" in card
    assert str(tmp_path) not in card


def test_a_text_of_a_row_is_no_markdown_of_the_card(fields, jsonl_source, tmp_path):
    for file in jsonl_source.glob("*.jsonl"):
        rows = [{**json.loads(line), "id": HOSTILE} for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(make_spec(fields), execute=InProcess()).complete
    _, card = push(Store(str(tmp_path / "out"), create=False), TARGET, dry_run=True)
    [block] = [part for part in card.split("\n\n") if part.startswith("````json")]
    assert block.endswith("\n````")
    assert all(json.loads(line)["id"] == HOSTILE for line in block.splitlines()[1:-1])
