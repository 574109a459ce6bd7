"""Which servers are asked, and how patiently. Knows numbers and names; nothing of the web."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The servers of one model."""

    urls: Sequence[str]
    """Their addresses, such as `http://10.0.0.7:8000/v1`."""
    model: str | None = None
    """What they call the model; None where they serve one alone."""
    api_key_env: str | None = None
    """The environment variable that holds their key."""
    max_requests: int = 256
    """Under way at one address."""
    timeout: float = 600.0
    """Seconds for one answer."""
    patience: float = 1800.0
    """Seconds without a text from any of them, while some are asked for, after which nobody waits any longer."""
    first_wait: float = 0.5
    """Seconds before the second try, at most; twice as long before each that follows."""
