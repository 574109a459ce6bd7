"""Who is told how a run ended. It decides no text and no speed.

Names variables of the environment and never holds what is in them: a spec is kept, shown and sent about.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from relabel.spec.section import Section

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


class Notify(Section):
    """Who is told how a run ended, or that it was stopped or failed: one of `url`, `url_env` and `command`.

    Each is given the JSON line once, within ten seconds. One that fails is named in the log and changes no exit code.
    """

    url: str | None = None
    """The address that the line is sent to by POST, http or https. One that is itself a secret, such as that of a
    chat's hook, belongs in `url_env`."""
    url_env: str | None = None
    """The name of the environment variable that holds the address, never the address itself."""
    bearer_env: str | None = None
    """The name of the environment variable that holds a key, which is sent as `Authorization: Bearer`."""
    command: list[Annotated[str, Field(min_length=1)]] | None = None
    """A program and its arguments, which gets the line on its standard input. No shell reads it."""

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = address_of(url)
        if parts is None:
            raise ValueError("an address begins with http:// or https:// and names a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("an address has no user, key, ? or #: name a variable that holds it in url_env")
        return url

    @field_validator("url_env", "bearer_env")
    @classmethod
    def _is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError("it is the name of an environment variable, such as RELABEL_HOOK, never the secret itself")
        return name

    @model_validator(mode="after")
    def _is_one_way(self) -> Notify:
        if sum(bool(way) for way in (self.url, self.url_env, self.command)) != 1:
            raise ValueError("give one of url, url_env and command")
        if self.command and self.bearer_env:
            raise ValueError("bearer_env goes with url or url_env: a command reads its own environment")
        return self


def address_of(url: str) -> SplitResult | None:
    """The parts of an http address; None for anything else."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_one and re.fullmatch(r"[\x21-\x7e]+", url) else None
