"""Small source files for the tests, and the shortest ways to read them back."""

import io
import json
import tarfile

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from relabel.data.sources import list_files, read, scan
from relabel.data.sources.planning import make_plan
from relabel.spec import Source


def source_of(path, format, **fields):
    return Source(path=[str(p) for p in path] if isinstance(path, list) else str(path), format=format, **fields)


def write_parquet(path, columns, *, group_rows=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path, row_group_size=group_rows, **{"write_page_checksum": True} | options)
    return path


def write_lines(path, lines):
    """Lines of text or bytes; compressed where the suffix says so."""
    text = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    return write_bytes(path, text)


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
    if codec is None:
        path.write_bytes(content)
    else:
        with pa.CompressedOutputStream(str(path), codec) as stream:
            stream.write(content)
    return path


def write_json(path, records):
    return write_lines(path, [json.dumps(record) for record in records])


def write_tar(path, members, format=tarfile.USTAR_FORMAT):
    """Members are (name, content) pairs or ready TarInfo objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=format) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def files_of(source):
    return list_files(source).files


def units_of(file, source, unit_rows):
    return list(scan(file, source, unit_rows).units)


def columns_of(file, source):
    return scan(file, source, 1000).columns


def read_all(source, columns, keep=(), unit_rows=3):
    """Every row of a source as (values of the columns, reason), in order, and the kept columns as one table."""
    rows, kept = [], []
    schema = kept_schema(source, keep)
    for file in files_of(source):
        for unit in units_of(file, source, unit_rows):
            part = read(unit, source, columns, schema)
            assert len(part.reasons) == part.kept.num_rows == unit.num_rows
            values = zip(*(part.columns[name] for name in columns), strict=True) if columns else [()] * unit.num_rows
            rows += zip(values, [why and str(why) for why in part.reasons], strict=True)
            kept.append(part.kept)
    return rows, pa.concat_tables(kept).combine_chunks()


def kept_schema(source, keep):
    columns = make_plan(source, 1000, kept=keep).columns
    return pa.schema([columns.field(name) for name in keep])


def invalid_text(values):
    """A string column that holds these bytes, whether they are UTF-8 or not."""
    return pa.Array.from_buffers(pa.string(), len(values), pc.cast(pa.array(values), pa.binary()).buffers())
