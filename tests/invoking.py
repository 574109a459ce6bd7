"""A command of relabel in this process, and what it says at the end."""

import json

from typer.testing import CliRunner

from relabel.cli import app


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def figures_of(result):
    """The figures of its last line."""
    return json.loads(result.stdout.splitlines()[-1])
