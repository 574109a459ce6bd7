"""The arguments and options that commands have, each with its help. Declares and does nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from relabel.demo.task import Task

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The YAML spec of the job.")]
Folder = Annotated[str, typer.Argument(metavar="OUT", help="The output folder or URL of a run.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=C", help="Override one key of the spec.")]
Address = Annotated[
    str, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster to join; `local` starts one on this machine.")
]
NoRay = Annotated[bool, typer.Option("--no-ray", help="In this process, without starting Ray: for small jobs.")]
RedoChanged = Annotated[bool, typer.Option("--redo-changed", help="Label source files that changed once more.")]
Watch = Annotated[bool, typer.Option("--watch", help="Go on showing it until every run has ended.")]

SampleRows = Annotated[
    int | None, typer.Option("--sample", min=1, help="Predict what the run costs from so many random rows.")
]
Seed = Annotated[int, typer.Option(help="With --sample: the same seed draws the same rows.")]
Measure = Annotated[bool, typer.Option("--measure", help="With --sample: load the model here and generate the rows.")]
RateFile = Annotated[
    Path | None,
    typer.Option("--rate", metavar="FILE.json", help="With --sample: the speed of an earlier run or of `bench --out`."),
]
GpuName = Annotated[
    str | None, typer.Option("--gpu", metavar="CARD", help="With --sample: the GPU of the run, such as h100-80gb.")
]

Reasons = Annotated[
    list[str] | None, typer.Option("--reason", metavar="CODE", help="Only rows rejected for this; repeatable.")
]

ExportFile = Annotated[str, typer.Argument(metavar="FILE", help="A path or URL; written whole or not at all.")]
ExportKind = Annotated[
    Literal["jsonl", "parquet", "webdataset", "openai"] | None,
    typer.Option("--format", help="Where the name of FILE does not say it."),
]
Join = Annotated[bool, typer.Option("--join", help="With all columns of the source, which is opened again.")]
OnlyOk = Annotated[bool, typer.Option("--only-ok", help="Without the rejected rows.")]
ShardSize = Annotated[int, typer.Option(min=1, help="The most megabytes of a shard of a WebDataset.")]

FirstRows = Annotated[int, typer.Option("-n", "--rows", min=1, help="How many rows to show.")]
Generate = Annotated[bool, typer.Option("--generate", help="Load the model and show their labels too.")]
PreviewPage = Annotated[
    Path | None, typer.Option("--html", metavar="FILE.html", help="Write a page with pictures in place of lines.")
]

PageFile = Annotated[Path, typer.Option("-o", "--out", metavar="FILE.html", help="Written whole or not at all.")]
OldColumn = Annotated[
    str | None, typer.Option("--old", metavar="COLUMN", help="Show labels against it; by default label.compare_to.")
]
PageRows = Annotated[int, typer.Option("-n", "--rows", min=0, help="How many rows to show.")]
DrawSeed = Annotated[int, typer.Option("--seed", help="The same seed draws the same rows.")]
FiguresAlone = Annotated[bool, typer.Option("--json", help="The figures alone, as one line: no page.")]

PushTarget = Annotated[str, typer.Argument(metavar="hf://datasets/OWNER/NAME", help="The dataset on the hub.")]
Public = Annotated[bool, typer.Option("--public", help="Make the dataset public; else it is private.")]
License = Annotated[str | None, typer.Option("--license", help="The licence on its card, in the hub's words.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Send nothing; show the card and the figures.")]

DemoTask = Annotated[Task, typer.Option(help="caption, json: from the image; rewrite: from the alt text alone.")]
DemoRows = Annotated[int, typer.Option(min=8, help="How many rows to draw.")]
DemoFolder = Annotated[Path | None, typer.Option(help="Where data/ and labels/ go; by default relabel-demo-TASK.")]
NoConstrain = Annotated[
    bool, typer.Option("--no-constrain", help="With json: once more without the schema, side by side.")
]

BenchModel = Annotated[str | None, typer.Option(help="A folder; by default a model made for the purpose.")]
BenchRows = Annotated[int, typer.Option(min=1, help="How many rows each way is given.")]
BenchType = Annotated[str, typer.Option(help="bfloat16, float16 or float32.")]
BenchDevice = Annotated[str | None, typer.Option(help="By default cuda where there is one, else cpu.")]
BenchTurns = Annotated[int, typer.Option(min=1, help="How often each way runs; medians count.")]
BenchWorkload = Annotated[
    str | None, typer.Option(help="ragged (by default on a CPU), 300/50, 128/128, images or images/4.")
]
BenchEngine = Annotated[str | None, typer.Option(help="vllm: one more way beside the others.")]
BenchFile = Annotated[Path | None, typer.Option(help="A file for the figures.")]

Data = Annotated[list[str], typer.Argument(metavar="DATA...", help="Files, folders, globs or URLs of the data.")]
Drafted = Annotated[Path, typer.Option("-o", "--out", metavar="SPEC", help="Where the spec is written.")]
DraftModel = Annotated[str | None, typer.Option("--model", help="The model to name: a folder, or a name on the hub.")]
