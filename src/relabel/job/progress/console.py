"""The one console on stderr: a line of the log then goes above what is live, and not through it."""

from __future__ import annotations

from rich.console import Console

console = Console(stderr=True)
