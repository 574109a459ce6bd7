"""The commands: each a few lines over the Python API. Figures go to stdout as one line of JSON, all else to stderr.

Exit codes: 0 complete, 1 incomplete, 2 refused.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.logging import RichHandler

from relabel import options as given
from relabel.demo.task import Task
from relabel.ending import Commands, finish, warn
from relabel.errors import SpecError
from relabel.execution import executor_of
from relabel.job.progress.console import console
from relabel.output_commands import export, push, report, status, verify
from relabel.signals import Stop
from relabel.spec import Spec, load_spec

app = typer.Typer(
    cls=Commands,
    help="Run a language or vision-language model over a whole dataset, every row exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def settings(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    """Set up what every command writes to stderr."""
    plain = logging.StreamHandler()
    handler = RichHandler(console=console, show_path=False, show_level=False) if console.is_terminal else plain
    logging.basicConfig(format="%(message)s", handlers=[handler])
    logging.getLogger("relabel").setLevel(logging.DEBUG if debug else logging.INFO)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


@app.command()
def init(data: given.Data, spec: given.Drafted = Path("relabel.yaml"), model: given.DraftModel = None) -> None:
    """Draft a commented spec from data: its format, its columns, a prompt to begin with. Asks nothing."""
    from relabel.data.draft.init import init as draft

    figures = draft(data, spec, model=model)
    console.print(f"wrote {spec}; next: relabel preview {spec}", markup=False, highlight=False, soft_wrap=True)
    finish(figures, complete=True)


@app.command()
def run(
    ctx: typer.Context,
    spec: given.SpecPath,
    set_: given.Overrides = None,
    address: given.Address = "local",
    redo_changed: given.RedoChanged = False,
    no_ray: given.NoRay = False,
) -> None:
    """Label every row of the source that has no label yet. The same command again goes on where it stopped."""
    from relabel.job.notify.notifier import Notifier
    from relabel.job.run import run as run_spec

    loaded, execute, notifier = load_spec(spec, set_), executor_of(ctx, address, no_ray), None
    if ctx.obj:
        notifier = ctx.obj.told = Notifier(loaded.notify)
    report = run_spec(loaded, redo_changed=redo_changed, execute=execute, notifier=notifier)
    finish(report.to_json(), complete=report.passed)


@app.command()
def retry(
    ctx: typer.Context,
    out: given.Folder,
    reason: given.Reasons = None,
    set_: given.Overrides = None,
    address: given.Address = "local",
    no_ray: given.NoRay = False,
) -> None:
    """Ask the rejected rows of a finished run again; their parts are replaced one by one, each as a whole."""
    from relabel.job.retry import retry as retry_rows

    report = retry_rows(out, reason or (), set_ or (), execute=executor_of(ctx, address, no_ray))
    finish(report.to_json(), complete=report.complete)


@app.command()
def preview(
    spec: given.SpecPath,
    rows: given.FirstRows = 5,
    generate: given.Generate = False,
    html: given.PreviewPage = None,
    set_: given.Overrides = None,
) -> None:
    """Show the rendered prompts and token counts of the first rows, without the model and without Ray.

    With --html on a page, with their pictures; the terminals of kitty and iTerm show those, too.
    """
    from relabel.job.preview import look, rejects, show_preview
    from relabel.report.preview import Preview
    from relabel.report.terminal import drawn, protocol_of

    loaded = load_spec(spec, set_)
    found = look(loaded, rows, generate=generate)
    tally = rejects(loaded, found.table)
    figures = {**tally.to_json(), "problem": tally.problem(loaded.queries)}
    seen = Preview(
        spec=found.spec, records=found.table.to_dict("records"), units=found.units, columns=found.columns.names
    )
    if html is not None:
        figures["page"] = seen.page(spec.name).write(html)
    else:
        protocol = protocol_of(os.environ) if console.is_terminal else None
        pictures = [[drawn(one, protocol) for one in row.pictures] for row in seen.rows()] if protocol else []
        show_preview(found.table, console, ["\n".join(some) for some in pictures])
    warn(tally.problem(loaded.queries))
    finish(figures, complete=True)


@app.command()
def plan(
    spec: given.SpecPath,
    sample: given.SampleRows = None,
    measure: given.Measure = False,
    rate: given.RateFile = None,
    gpu: given.GpuName = None,
    seed: given.Seed = 0,
    set_: given.Overrides = None,
) -> None:
    """Say what a run would do: files, units and rows, and what is done already. Writes nothing.

    With --sample also what it costs; that is kept in the output, and the run is held against it.
    """
    from relabel.job.plan import plan as plan_spec

    if sample is None and (measure or rate or gpu):
        raise SpecError("--measure, --rate and --gpu say what is done with a sample: add --sample 256")
    ask = None
    if sample is not None:
        from relabel.job.sample.predict import Ask

        ask = Ask(rows=sample, seed=seed, measure=measure, rate=rate, gpu=gpu)
    figures = plan_spec(load_spec(spec, set_), ask)
    if ask is not None:
        from relabel.job.sample.show import show_prediction

        show_prediction(figures, console)
    warn(figures["problem"])
    finish(figures, complete=True)


for command in (status, verify, export, push, report):
    app.command()(command)


@app.command()
def demo(
    ctx: typer.Context,
    task: given.DemoTask = Task.caption,
    rows: given.DemoRows = 1000,
    out: given.DemoFolder = None,
    no_constrain: given.NoConstrain = False,
    no_ray: given.NoRay = False,
) -> None:
    """Draw a dataset, relabel it with the small model that ships with relabel, and check the labels."""
    from relabel.demo.run import run_demo
    from relabel.demo.show import show_demo

    folder, execute = out or Path(f"relabel-demo-{task}"), executor_of(ctx, "local", no_ray)
    figures = run_demo(task, rows, folder, compare=no_constrain, execute=execute)
    show_demo(figures, console)
    finish(figures, complete=figures["complete"])


@app.command()
def bench(
    model: given.BenchModel = None,
    rows: given.BenchRows = 256,
    dtype: given.BenchType = "bfloat16",
    device: given.BenchDevice = None,
    turns: given.BenchTurns = 1,
    workload: given.BenchWorkload = None,
    engine: given.BenchEngine = None,
    out: given.BenchFile = None,
) -> None:
    """Compare the engines with what transformers gives, in one run, and with what this machine can do."""
    from relabel.bench import run_bench, show_bench

    figures = run_bench(
        model=model, rows=rows, dtype=dtype, device=device, turns=turns, workload=workload, engine=engine
    )
    show_bench(figures, console)
    if out:
        out.write_text(json.dumps(figures.to_json(), indent=2) + "\n")
    finish(figures.to_json(), complete=True)


@app.command()
def schema() -> None:
    """Print the JSON schema of a spec, for editors."""
    typer.echo(json.dumps(Spec.model_json_schema(), indent=2))


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit; SIGTERM and SIGINT end it soon."""
    app(args=arguments, prog_name="relabel", obj=Stop())
