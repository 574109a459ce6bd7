"""What every stage of a run needs to know: small, frozen, and the same in every process."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from relabel.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """One run. Two contexts are equal where their recipes are, so that a process can keep what it built for one."""

    fingerprint: str
    spec: Spec = field(compare=False)
    kept: pa.Schema = field(compare=False)
    image_root: str | None = field(compare=False)
    output: str = field(compare=False)
