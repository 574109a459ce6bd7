"""A random sample of a plan's rows, read and encoded as a run would: one block of rows of many units.

Of text more prompts are looked at than are taken, and those are spread along their lengths. Reads a bounded number of
units; what it could not read is counted and said.
"""

# pyarrow has no types, so that nothing that comes from it has one.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportUnknownLambdaType=false
from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
from pyarrow.compute import call_function as compute

from relabel.data.sources.plan import Plan
from relabel.data.sources.unit import Unit
from relabel.errors import SourceRefused
from relabel.job.encoding.row import RowEncoder
from relabel.job.faults.attempt import UnitAttempt
from relabel.job.forecast.drawing import are_apart, draw_rows, num_looked_at, spread_along
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.block import of_query
from relabel.job.stages.read import encode_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Rows that were drawn from the units of a plan."""

    block: pa.Table
    """The rows as a run would have them before the engine, as if they were of one unit."""
    units: tuple[int, ...]
    """For each row the place of its unit in the plan."""
    draws: tuple[int, ...]
    """For each row which draw it is of: its own, or that of its unit where units were drawn first."""
    prompts: tuple[int, ...]
    """For each row the tokens of its prompts, all labels together; none of a label that has no prompt."""
    lengths: tuple[int, ...]
    """Of each prompt that was looked at, those of rows that were not taken among them."""
    looked_at: int
    """Rows whose prompts were."""
    rows_read: int
    """Rows of the units that were read to come by them."""
    unread: tuple[str, ...]
    """Why each unit that was drawn and could not be read is left out."""

    def reasons(self, names: list[str]) -> list[str | None]:
        """For each row why it is rejected before it is generated, for the first of its labels where it is."""
        found: list[str | None] = [None] * self.block.num_rows
        for name in names:
            prompts = self.block[of_query(blocks.PROMPT_IDS, name)].to_pylist()
            whys = self.block[of_query(blocks.REASON, name)].to_pylist()
            for row, (prompt, why) in enumerate(zip(prompts, whys, strict=True)):
                if prompt is None and found[row] is None:
                    found[row] = why or "source: "
        return found


def draw_sample(plan: Plan, encoder: RowEncoder, job: Job, num_rows: int, seed: int) -> Sample:
    """Draw, read and encode `num_rows` rows of the plan by a seed. Raises SourceRefused where none can be read.

    With images, which take far longer to encode, no others are looked at.
    """
    units = [unit for unit in plan.units if unit.file.state != "gone"]
    num_looked = num_rows if encoder.row_bytes else num_looked_at(len(units), num_rows)
    tables, places, unread, rows_read = list[pa.Table](), list[int](), list[str](), 0
    for drawn in draw_rows([unit.num_rows for unit in units], num_looked, seed):
        # no row behind the last that was drawn is read
        unit = replace(units[drawn.unit], num_rows=drawn.rows[-1] + 1)
        block = encode_unit(unit, encoder, replace(job, digests={}), UnitAttempt(groups=[drawn.rows]))
        if (why := blocks.failure_of(block)) is not None:
            unread.append(why)
            continue
        rows_read += unit.num_rows
        names = pa.array(
            blocks.names_of(block, unit), pa.string()
        )  # so that its texts are those that the run will have
        block = block.drop_columns([blocks.UNIT, blocks.FAILURE]).append_column(blocks.NAME, names)
        tables.append(block.take(pa.array(drawn.rows)))
        places += [drawn.unit] * len(drawn.rows)
    if not tables:
        raise SourceRefused(f"no row of the sample can be read; the first: {unread[0] if unread else 'there are none'}")
    joined = pa.concat_tables(tables)
    each = [_lengths(joined, query.name) for query in job.spec.queries]
    prompts = [sum(length or 0 for length in row) for row in zip(*each, strict=True)]
    taken = spread_along(prompts, num_rows, seed)
    looked_at, joined, places = joined.num_rows, joined.take(pa.array(taken)), [places[row] for row in taken]
    together = Unit(file=units[places[0]].file, index=0, first_row=0, num_rows=joined.num_rows)
    columns = {name: joined[name] for name in joined.column_names if name.startswith("relabel:")}
    kept = joined.select([name for name in joined.column_names if name not in columns])
    return Sample(
        block=blocks.unit_block(together, kept, columns),
        units=tuple(places),
        draws=tuple(range(len(places)) if are_apart(len(units), num_rows) else places),
        prompts=tuple(prompts[row] for row in taken),
        lengths=tuple(length for column in each for length in column if length is not None),
        looked_at=looked_at,
        rows_read=rows_read,
        unread=tuple(unread),
    )


def _lengths(block: pa.Table, name: str) -> list[int | None]:
    """Tokens of each row's prompt for a label."""
    return compute("list_value_length", [block[of_query(blocks.PROMPT_IDS, name)]]).to_pylist()
