"""How every command ends: figures as one line of JSON on stdout, sentences on stderr, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from relabel.errors import Refused, RelabelError
from relabel.job.progress.console import console
from relabel.signals import STOPPED, stopped


class Commands(TyperGroup):
    """Where errors end: a refusal or a broken machine is a sentence on stderr, with --debug a traceback."""

    def invoke(self, ctx: Any) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.obj:
                ctx.obj.say(_say_stopped)
                ctx.obj.wait()
            else:
                _say_stopped(json.dumps(stopped({})))
            raise typer.Exit(1) from None
        except RelabelError as error:
            if ctx.params["debug"]:
                raise
            more = f"\nSee docs/{error.page}" if console.is_terminal else ""
            console.print(f"relabel: {error}{more}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(2 if isinstance(error, Refused) else 1) from None


def _say_stopped(line: str) -> None:
    console.print(STOPPED)
    typer.echo(line)


def finish(figures: Mapping[str, object], *, complete: bool) -> None:
    """Print the figures as the last line on stdout and exit, with 0 where all is there."""
    typer.echo(json.dumps(figures))
    raise typer.Exit(0 if complete else 1)


def warn(problem: object) -> None:
    """Say what is wrong before a run, where something is."""
    if problem is not None:
        console.print(f"relabel: {problem}", markup=False, highlight=False, soft_wrap=True)
