"""One HTML file that needs nothing else, asks for nothing, and runs no code but its own.

Whatever was read from rows, models or documents is text here: markup is escaped, the rows are data for the script, and
a policy in the file itself forbids every other script, style and request. Knows nothing of where its contents are from.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from relabel.errors import StoreFailed
from relabel.report.row import Row
from relabel.version import __version__

MOST_BYTES = 7_500_000
"""Of the rows in a page: with all else a page has at most 8 MB."""
PICTURE_BYTES = 4_500_000
"""Of these, for pictures of all rows together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of rows, and what stands above them."""

    title: str
    rows: Sequence[Row]
    facts: Mapping[str, object]
    """What the template shows above the rows."""

    def write(self, path: Path) -> dict[str, object]:
        """Write it over what is there, whole or not at all: its path, bytes and rows. Raises StoreFailed."""
        shown = list(self._shown())
        data = self._html(shown).encode(errors="replace")
        staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            staged.write_bytes(data)
            os.replace(staged, path)
        except OSError as error:
            raise StoreFailed(f"cannot write {path}: {error.strerror or error}") from error
        finally:
            staged.unlink(missing_ok=True)
        return {"file": str(path), "bytes": len(data), "rows": len(shown), "no_room": len(self.rows) - len(shown)}

    def _shown(self) -> Iterator[str]:
        """Rows in JSON, as many as there is room for."""
        room = MOST_BYTES
        for row in self.rows:
            text = json.dumps(row.to_json(), ensure_ascii=False).translate(_ESCAPED)
            room -= len(text.encode(errors="replace"))
            if room < 0:
                return
            yield text

    def _html(self, rows: Sequence[str]) -> str:
        environment = _environment()
        css, script = (_part(environment, name) for name in ("page.css", "page.js"))
        return environment.get_template("page.html").render(
            title=self.title,
            css=css,
            script=script,
            policy=_policy(css, script),
            rows=f"[{','.join(rows)}]",  # every letter that could end or begin markup is escaped
            num_rows=len(rows),
            num_drawn=len(self.rows),
            version=__version__,
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            **self.facts,
        )


_ESCAPED = str.maketrans({letter: f"\\u{ord(letter):04x}" for letter in "<>&'\u2028\u2029"})
"""In JSON in HTML: no letters of it can end the script that holds them."""


def _policy(css: str, script: str) -> str:
    """What the browser is told to allow: this style and this script by their digests, and pictures in the file."""
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{_digest(css)}'",
            f"script-src 'sha256-{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",  # not even this script can make markup of a text
            "trusted-types 'none'",
        ]
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("relabel.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "pretty": _pretty, "short": _short}
    return environment


def _part(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def _short(number: float | None) -> str:
    return "-" if number is None else f"{number:,.4g}" if isinstance(number, float) else f"{number:,}"


def _pretty(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return text if len(text) <= 60_000 else f"{text[:60_000]}\n…"
