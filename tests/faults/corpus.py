"""Sound small files of every format, to be damaged, and the way every fault test reads a source."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from relabel.data.sources import read
from relabel.data.sources.planning import make_plan
from relabel.errors import SourceUnreadable
from relabel.rejected import Code
from tests.pictures import encoded, png

NUM_ROWS, UNIT_ROWS = 60, 16

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8))
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"


def texts():
    return [f"a räd circle, number {n}" for n in range(NUM_ROWS)]


def parquet():
    columns = {"id": range(NUM_ROWS), "text": texts(), "image": [{"bytes": png((2, 2), "red"), "path": "a"}] * NUM_ROWS}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, row_group_size=25, write_page_checksum=True)
    return sink.getvalue()


def parquet_without_checksums():
    sink = io.BytesIO()
    columns = {"id": range(NUM_ROWS), "text": texts(), "tags": [[text, None] for text in texts()]}
    pq.write_table(pa.table(columns), sink, row_group_size=25, write_page_checksum=False)
    return sink.getvalue()


def jsonl():
    rows = [{"id": n, "text": text, "tags": ["a", n]} for n, text in enumerate(texts())]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv():
    return ("id,text\n" + "".join(f'{n},"{text} ""quoted"""\r\n' for n, text in enumerate(texts()))).encode()


def openai():
    bodies = [{"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0.5} for text in texts()]
    rows = [{"custom_id": f"r{n}", "url": "/v1/chat/completions", "body": body} for n, body in enumerate(bodies)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def webdataset():
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for n, text in enumerate(texts()[:20]):
            for name, body in (
                (f"{n:03}.png", png((2, 2), "red")),
                (f"{n:03}.txt", text.encode()),
                (f"{n:03}.json", b"{}"),
            ):
                member = tarfile.TarInfo(f"{'ü' * (n % 3)}{name}")
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    return sink.getvalue()


def compressed(content, codec):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def images():
    """Encoded images by name."""
    frames = [PICTURE.rotate(90 * k) for k in (1, 2)]
    return {
        "a.jpg": encoded(PICTURE, "JPEG", exif=EXIF),
        "progressive.jpg": encoded(PICTURE, "JPEG", progressive=True),
        "a.png": encoded(PICTURE, "PNG"),
        "palette.png": encoded(PICTURE.quantize(16), "PNG", transparency=0),
        "moving.gif": encoded(PICTURE, "GIF", save_all=True, append_images=frames),
        "a.webp": encoded(PICTURE, "WEBP"),
        "moving.webp": encoded(PICTURE, "WEBP", save_all=True, append_images=frames),
        "a.bmp": encoded(PICTURE, "BMP"),
        "lzw.tif": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": encoded(PICTURE, "TIFF", compression="jpeg"),
    }


def read_planned(source, columns, keep=(), unit_rows=UNIT_ROWS):
    """What a run makes of a source: {path: [(values, reason), ...]} of the files that are read, and {path: why}.

    Only errors of relabel may escape, and those of a file cost the file alone.
    """
    plan = make_plan(source, unit_rows)
    kept = pa.schema([plan.columns.field(name) for name in keep if name in plan.columns.names])
    sound, broken = {}, dict(plan.unreadable)
    for planned in plan.files:
        rows = []
        try:
            for unit in planned.units:
                part = read(unit, source, columns, kept)
                assert len(part.reasons) == part.kept.num_rows == unit.num_rows
                assert all(len(values) == unit.num_rows for values in part.columns.values())
                assert all(why is None or why.code is Code.SOURCE for why in part.reasons)
                part.kept.validate(full=True)
                values = zip(*(part.columns[name] for name in columns), strict=True)
                rows += zip(values, [why and str(why) for why in part.reasons], strict=True)
        except SourceUnreadable as error:
            broken[planned.file.path] = str(error)
        else:
            sound[planned.file.path] = rows
    assert all(path in why for path, why in broken.items()), "each file is named"
    return sound, broken
