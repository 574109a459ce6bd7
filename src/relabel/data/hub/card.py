"""The card of a dataset: what was asked of which model, what came out, and some rows. Knows no hub and reads no part.

Nothing of where the source or the model lay is in it: a path may be a secret. Texts of rows stand in fenced blocks as
JSON, where nothing of them is read as Markdown.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import cast

import yaml
from huggingface_hub import DatasetCardData

from relabel.data.output.manifest import Run
from relabel.data.output.report import Report

Row = Mapping[str, object]

MAX_TEXT = 400
"""Characters of a text in the sample."""
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SECTIONS = ("prompt", "sampling", "label", "vllm")
"""Of a recipe: the others say where something lay."""


def card_of(run: Run, report: Report, rows: Sequence[Row], *, name: str, license: str | None) -> str:
    """The text of README.md. Of `rows` long texts are cut; `license` is the hub's word for one."""
    data = DatasetCardData(
        license=license,
        tags=["relabel", "synthetic"],
        pretty_name=name,
        size_categories=[next((word for limit, word in _SIZES if report.rows < limit), "n>10M")],
        configs=[{"config_name": "default", "data_files": "data/*.parquet"}],
    )
    sections = [
        f"# {name}",
        _model(run),
        f"## What came out\n\n{_figures(report)}",
        f"## What was asked\n\n{_block('yaml', _recipe(run))}",
    ]
    if rows:
        lines = "\n".join(json.dumps(_cut(dict(row)), ensure_ascii=False) for row in rows)
        sections.append(f"## Some rows\n\n{_block('json', lines)}")
    sections.append("## Columns\n\n" + _columns(run))
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def _model(run: Run) -> str:
    path, revision = run.recorded.model.path, run.recorded.model_identity.revision
    model = "a model that lay in a folder"
    if revision and _HUB_NAME.fullmatch(path):
        model = f"[{path}](https://huggingface.co/{path}) at commit `{revision}`"
    return (
        f"Labels that {model} generated, run by relabel {run.versions.get('relabel', '')} with the engine "
        f"`{run.recorded.model.engine}`. Every row of the source is here once, as a label or as a reject with its "
        f"reason. The fingerprint of the recipe is `{run.fingerprint[:16]}`."
    )


def _figures(report: Report) -> str:
    rows = [("rows", report.rows), ("labelled", report.ok), ("rejected", report.rejected)]
    rows += [(f"rejected: {code}", number) for code, number in sorted(report.reasons.items(), key=lambda one: -one[1])]
    if report.planned_rows > report.rows:
        rows.append(("not there yet", report.planned_rows - report.rows))
    return "\n".join(["| | |", "|---|---|", *(f"| {what} | {number:,} |" for what, number in rows)])


def _recipe(run: Run) -> str:
    kept = {
        section: {k: v for k, v in cast(Row, fields).items() if v not in (None, [], {})}
        for section, fields in run.recipe.items()
        if section in _SECTIONS and isinstance(fields, Mapping)
    }
    labels = run.recipe.get("labels")
    shown = {**kept, **({"labels": labels} if labels else {})}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100).rstrip()


def _columns(run: Run) -> str:
    return "\n".join(
        ["| column | type |", "|---|---|", *(f"| {_cell(field.name)} | {field.type} |" for field in run.schema)]
    )


def _cell(text: str) -> str:
    return "`" + text.replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"


def _cut(value: object) -> object:
    """A value as JSON has it: long texts cut, bytes counted, and what JSON does not know as text."""
    if isinstance(value, dict):
        return {str(key): _cut(one) for key, one in cast(dict[object, object], value).items()}
    if isinstance(value, list):
        return [_cut(one) for one in cast(list[object], value)[:5]]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    text = str(value)
    return f"{text[:MAX_TEXT]} ..." if len(text) > MAX_TEXT else text


def _block(language: str, text: str) -> str:
    """A fenced block that nothing in the text ends."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
