"""`relabel push`: an output as a dataset of the hub, file by file, each in a commit of its own, and a card.

The same command again goes on: what the hub has already is not sent again. Knows the hub's client; nothing of how
files and cards are made.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from relabel.data.exports.chosen import ChosenRows
from relabel.data.hub.card import Row, card_of
from relabel.data.hub.shards import SHARD_BYTES, shards_of
from relabel.data.output.audit import audit
from relabel.data.output.manifest import Run, read_gates, run_of
from relabel.data.output.report import Report
from relabel.data.store.store import Store
from relabel.errors import Refused, SpecError, StoreFailed

log = logging.getLogger("relabel")

SCHEME = "hf://datasets/"
NUM_SHOWN = 5
"""Rows of the card."""
_NO_RIGHT = (401, 403)

Answer = TypeVar("Answer")


class _NotThere(Refused):
    """The hub knows no such dataset, or says so to who may not see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What is on the hub now, or with a dry run would be."""

    dataset: str
    url: str
    rows: int
    files: int
    """Of Parquet; with a dry run 0, as none was made."""
    bytes: int
    """Of these files; with a dry run of the parts."""
    dry_run: bool
    missing: int
    """Rows that have no part yet."""

    @property
    def complete(self) -> bool:
        """Whether every row of the output's plan is among them."""
        return not self.missing

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def push(
    store: Store,
    target: str,
    *,
    public: bool = False,
    license: str | None = None,
    dry_run: bool = False,
    api: HfApi | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> tuple[Pushed, str]:
    """Send what is published of an output, and its card, to `hf://datasets/OWNER/NAME`; also the text of the card.

    A dataset that is not there is made, private unless `public`. Raises SpecError for another target, Refused where the
    hub does not allow it or the dataset is public and that was not asked for, StoreFailed where the hub fails.
    """
    name = _name_in(target)
    run = run_of(store)
    report = audit(run.plan, store, run.fingerprint, read_gates(store))
    chosen = ChosenRows(store=store, run=run, source=None, only_ok=False)
    card = card_of(run, report, _some_rows(chosen), name=name.partition("/")[2], license=license)
    hub = _Hub(name=name, api=api or HfApi())
    num_files, num_bytes = 0, sum(listed.size for listed in store.parts().values())
    if not dry_run:
        hub.open(public=public)
        num_files, num_bytes = _send(hub, run, store, card, shard_bytes)
    return _pushed(hub, report, num_files, num_bytes, dry_run=dry_run), card


def _send(hub: _Hub, run: Run, store: Store, card: str, shard_bytes: int) -> tuple[int, int]:
    """The number of files and of bytes that were sent, or were there."""
    names: list[str] = []
    num_bytes = 0
    chosen = ChosenRows(store=store, run=run, source=None, only_ok=False)
    with tempfile.TemporaryDirectory(prefix="relabel-push-") as folder:
        for path in shards_of(chosen, Path(folder), shard_bytes):
            names.append(f"data/{path.name}")
            num_bytes += path.stat().st_size
            log.info("sending %s (%.1f MB) to %s", names[-1], path.stat().st_size / 1e6, hub.name)
            hub.commit([CommitOperationAdd(names[-1], path)], f"Add {path.name}")
            path.unlink()
    hub.finish(names, card)
    return len(names), num_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hub:
    """One dataset of the hub."""

    name: str
    api: HfApi

    def open(self, *, public: bool) -> None:
        """Make it where it is not there."""
        try:
            is_private = self._ask(lambda: self.api.dataset_info(self.name).private)
        except _NotThere:
            self._ask(lambda: self.api.create_repo(self.name, repo_type="dataset", private=not public, exist_ok=True))
            return
        if not is_private and not public:
            raise Refused(f"{self.name} is public: add --public to send the labels there, or name another dataset")

    def commit(self, operations: list[CommitOperationAdd | CommitOperationDelete], message: str) -> None:
        """All of them at once; what is there already as it is counts as done."""
        self._ask(lambda: self.api.create_commit(self.name, operations, commit_message=message, repo_type="dataset"))

    def finish(self, names: list[str], card: str) -> None:
        """The card, and none of the Parquet files that an earlier push made and this one did not."""
        there = self._ask(lambda: self.api.list_repo_files(self.name, repo_type="dataset"))
        old = [file for file in there if file.startswith("data/labels-") and file not in names]
        operations = [CommitOperationAdd("README.md", card.encode()), *(CommitOperationDelete(file) for file in old)]
        self.commit(operations, "Say what is there")

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except RepositoryNotFoundError as error:  # so says the client of a 401, too
            raise _NotThere(
                f"there is no dataset {self.name} on the hub, or HF_TOKEN may not write to it: check both"
            ) from error
        except HfHubHTTPError as error:
            code = error.response.status_code
            if code in _NO_RIGHT:
                raise Refused(
                    f"the hub does not let you write to {self.name} (HTTP {code}): set HF_TOKEN to a token that may"
                ) from error
            raise StoreFailed(f"the hub failed for {self.name} (HTTP {code}); run the same command again") from error
        # the hub's client has changed its network library twice (requests, httpx, httpx2), and with it what it raises
        except Exception as error:
            raise StoreFailed(
                f"the hub did not answer for {self.name} ({type(error).__name__}); run the same command again"
            ) from error


def _name_in(target: str) -> str:
    owner, _, name = target.removeprefix(SCHEME).partition("/")
    if not target.startswith(SCHEME) or not owner or not name or "/" in name:
        raise SpecError(f"{target} is no dataset of the hub: name it as {SCHEME}OWNER/NAME")
    return f"{owner}/{name}"


def _some_rows(chosen: ChosenRows) -> list[Row]:
    """The first rows that have a label."""
    found: list[Row] = []
    for unit in chosen.each():
        found += [row for row in unit.rows.slice(0, 1000).to_pylist() if row["status"] == "ok"]
        if len(found) >= NUM_SHOWN:
            break
    return found[:NUM_SHOWN]


def _pushed(hub: _Hub, report: Report, num_files: int, num_bytes: int, *, dry_run: bool) -> Pushed:
    return Pushed(
        dataset=hub.name,
        url=f"{hub.api.endpoint}/datasets/{hub.name}",
        rows=report.rows,
        files=num_files,
        bytes=num_bytes,
        dry_run=dry_run,
        missing=report.planned_rows - report.rows,
    )
