"""Who does the work of a command: Ray, or this process. Imports neither before it must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from relabel.job.executor import Executor


def executor_of(ctx: typer.Context, address: str, no_ray: bool) -> Executor:
    """The executor, which counts what it has done: a command that is stopped can then say so."""
    from relabel.job.executor import Counted, executor_at
    from relabel.job.local import InProcess

    execute = Counted(InProcess() if no_ray else executor_at(address))
    if ctx.obj:
        ctx.obj.done_now = execute.done_now
    return execute
