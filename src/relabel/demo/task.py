"""The tasks of the demo."""

from __future__ import annotations

from enum import StrEnum


class Task(StrEnum):
    """What the small model is asked for."""

    caption = "caption"
    rewrite = "rewrite"
    json = "json"
