"""Models on the Hugging Face hub: one commit of one repository, fetched with bounded retries.

Knows names and commits; nothing of what the files hold.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from relabel.errors import ArgumentRefused, ModelRefused

NUM_TRIES = 3
"""Of one call, with 2 and 4 seconds between: longer troubles are for whoever started the run."""

Answer = TypeVar("Answer")


def find_commit(name: str, revision: str | None) -> str:
    """The commit asked for, or the newest one of the main branch."""
    if revision is None:
        commit = ask_hub(name, lambda: huggingface_hub.HfApi().model_info(name, timeout=30).sha)
        if commit is None:
            raise ArgumentRefused(f"the hub names no commit of {name}; set ", "revision", " to one")
        return commit
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ArgumentRefused(
            "", "revision", f" must be a commit of {name} (40 hexadecimal digits): branches and tags move"
        )
    return revision


def download(name: str, commit: str, patterns: Sequence[str]) -> Path:
    """The folder of a snapshot that holds at least the files that match; from the cache where they are there."""
    return Path(
        ask_hub(name, lambda: huggingface_hub.snapshot_download(name, revision=commit, allow_patterns=list(patterns)))
    )


def ask_hub(name: str, call: Callable[[], Answer], sleep: Callable[[float], object] = time.sleep) -> Answer:
    """The answer of `call`, tried again after trouble on the way; refusals of the hub are told as what to do."""
    for attempt in range(1, NUM_TRIES + 1):
        try:
            return call()
        except GatedRepoError as error:
            raise ModelRefused(
                f"{name} asks for its terms to be accepted on the hub; do so and set HF_TOKEN"
            ) from error
        except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError) as error:
            raise ModelRefused(
                f"there is no folder {name}, and no such model or commit on the hub; check both"
            ) from error
        except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
            raise ArgumentRefused(
                f"there is no folder {name}, this machine has no copy of it, and the hub cannot be reached; "
                "use a local folder, or set ",
                "revision",
                " to a commit that is in the cache",
            ) from error
        # the hub's client has changed its network library twice (requests, httpx, httpx2), and with it what it raises
        except Exception as error:
            if attempt == NUM_TRIES:
                raise ArgumentRefused(
                    f"the hub did not answer for {name} in {NUM_TRIES} tries ({type(error).__name__}); use a local "
                    "folder, or set ",
                    "revision",
                    " to a commit that is in the cache",
                ) from error
            sleep(2.0**attempt)
    raise AssertionError("the loop returns or raises")
