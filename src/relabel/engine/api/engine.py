"""What every engine can do, whatever runs behind it: transformers in this process, a server, or a script.

Knows requests, results and figures; nothing of models, tokenizers or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from relabel.engine.api.goodput import Goodput
from relabel.engine.api.request import Request, Result, Sampling
from relabel.engine.api.verdict import Verdict


@runtime_checkable
class Engine(Protocol):
    """Makes a text of each request. Calls may come from several threads."""

    @property
    def sampling(self) -> Sampling:
        """The settings of requests that bring none of their own."""
        ...

    @property
    def goodput(self) -> Goodput:
        """What has been computed since the engine was made."""
        ...

    @property
    def verdict(self) -> Verdict:
        """How rows are batched, and why."""
        ...

    @property
    def end_token(self) -> int | None:
        """The token that the model would end a text with; None where it has none, or where the engine has no tokens."""
        ...

    def prepare(self, sampling: Sampling) -> None:
        """Make ready for rows with these settings. Raises ModelRefused where the model cannot be held to them."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[Result]:
        """One result per request, in order. The error of a row is in its result; a broken device raises."""
        ...
