"""A spec in the settings of servers. Knows keys of the spec; nothing of rows."""

from __future__ import annotations

from relabel.engine.server.settings import ServerSettings
from relabel.spec import Spec


def settings_of(spec: Spec) -> ServerSettings:
    """Which servers generate for a spec, and how patiently they are waited for.

    Patience ends before the watchdog would: that ends the process, and blames a row.
    """
    own = spec.server
    return ServerSettings(
        urls=own.urls,
        model=own.model,
        api_key_env=own.api_key_env,
        max_requests=own.max_requests,
        timeout=own.timeout,
        patience=spec.resources.deadline * 0.75,
    )
