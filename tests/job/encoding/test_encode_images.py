"""Image columns in the forms that people have, through a source of each format to what the model reads."""

import base64
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from relabel.demo import CAPTION_PROMPT, MODEL_PATH
from relabel.engine.model.pixels import quantise
from relabel.engine.model.processor import load_processor
from relabel.errors import SpecError
from relabel.job.encoding.columns import take_columns
from relabel.job.encoding.row import RowEncoder
from relabel.job.job import Job
from relabel.job.stages import block as blocks
from relabel.job.stages.read import encode_unit
from relabel.rejected import Rejected
from relabel.spec import make_spec
from tests.data.builders import files_of, units_of, write_json, write_lines, write_parquet
from tests.data.images.answers import fault, server
from tests.data.images.decoding import encode as pictured
from tests.data.images.decoding import gradient
from tests.encoding import encode
from tests.pictures import png

RED, BLUE = png((32, 32), "red"), png((32, 32), "blue")


def text(content):
    return base64.b64encode(content).decode()


def struct(content):
    return {"bytes": content, "path": "gone.png"}


def spec_of(path="x", format="parquet", image="images", **source):
    return make_spec(
        {
            "source": {"path": str(path), "format": format, **source},
            "prompt": {"user": CAPTION_PROMPT.replace("{{ alt_text }}", "x"), "image": image},
            "model": {"path": str(MODEL_PATH)},
            "output": {"path": "out"},
        }
    )


def encoder(image="images", root=None):
    return RowEncoder(spec_of(image=image), root)


@pytest.mark.parametrize("form", [bytes, struct, text])
def test_a_list_of_images_is_read_in_its_order_as_columns_are(form):
    pair = encode(encoder(), {"images": [form(RED), form(BLUE)]})
    columns = encode(encoder(["a", "b"]), {"a": RED, "b": BLUE})
    assert pair.prompt_ids == columns.prompt_ids
    assert np.array_equal(pair.tensors["pixel_values"], columns.tensors["pixel_values"])
    turned = encode(encoder(), {"images": [form(BLUE), form(RED)]})
    assert not np.array_equal(pair.tensors["pixel_values"], turned.tensors["pixel_values"])


def test_a_large_photograph_is_scaled_once_and_the_model_reads_the_same():
    """The model's processor makes 48 x 48 pixels of every picture."""
    photograph = pictured(gradient(1280, 960), "JPEG", quality=95)
    near = encode(encoder("image"), {"image": photograph}).tensors["pixel_values"]
    own = load_processor(str(MODEL_PATH)).image_processor
    pixels = own(images=[Image.open(io.BytesIO(photograph))], return_tensors="pt")["pixel_values"]
    plain, _ = quantise(np.asarray(pixels), own.image_mean, own.image_std)
    assert near.shape == plain.shape
    assert 0 < np.abs(near.astype(int) - plain.astype(int)).mean() < 1


def test_a_list_of_one_is_the_image_and_a_list_of_none_is_text():
    one, alone = encode(encoder(), {"images": [RED]}), encode(encoder(), {"images": RED})
    assert one.prompt_ids == alone.prompt_ids
    none = encode(encoder(), {"images": []})
    assert none.tensors == {}
    assert len(none.prompt_ids) < len(one.prompt_ids)


@pytest.mark.parametrize("images", [None, [None], [RED, None], [RED, b""], [[RED]], [RED] * 65])
def test_an_image_that_is_missing_among_others_costs_the_row(images):
    made = encoder()
    (rejected,) = made.encode({"images": images})
    assert isinstance(rejected, Rejected)
    assert str(rejected).startswith("image: ")
    made.prompt_texts({"images": images})


def write(folder, format):
    """A file of three rows: two images, one, none."""
    lists = [[RED, BLUE], [BLUE], []]
    if format == "parquet":
        kind = pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
        images = pa.array([[struct(image) for image in row] for row in lists], kind)
        return write_parquet(folder / "a.parquet", pa.table({"images": images}))
    return write_json(folder / "a.jsonl", [{"images": [text(image) for image in row]} for row in lists])


def read_block(spec, made):
    columns = pa.schema([("images", pa.string())])
    (file,) = files_of(spec.source)
    (unit,) = units_of(file, spec.source, 8)
    return encode_unit(unit, made, Job(fingerprint="x", spec=spec, kept=columns.empty_table().select([]).schema))


@pytest.mark.parametrize("format", ["parquet", "jsonl"])
def test_lists_in_a_file(tmp_path, format):
    spec = spec_of(write(tmp_path, format), format)
    block = read_block(spec, RowEncoder(spec, None))
    assert block[blocks.of_query(blocks.REASON, "")].to_pylist() == [None, None, None]


def test_base64_in_csv(tmp_path):
    rows = ["images", text(RED), f'"data:image/png;base64,{text(BLUE)}"', "a.png"]
    (tmp_path / "a.png").write_bytes(RED)
    spec = spec_of(write_lines(tmp_path / "a.csv", rows), "csv")
    block = read_block(spec, RowEncoder(spec, str(tmp_path)))
    assert block[blocks.of_query(blocks.REASON, "")].to_pylist() == [None, None, None]


def rows_of_a_store(tmp_path, url, names):
    spec = spec_of(write_lines(tmp_path / "a.jsonl", [json.dumps({"images": name}) for name in names]), "jsonl")
    return read_block(spec, RowEncoder(spec, f"{url}/in"))


def test_a_denied_image_costs_its_row_and_a_denied_root_the_unit(tmp_path):
    with server({"a.png": (200, RED), "b.png": fault(403, "AccessDenied"), "c.png": fault(404)}) as url:
        block = rows_of_a_store(tmp_path, url, ["b.png", "x//a.png", "a.png", "c.png"])
        assert block[blocks.of_query(blocks.REASON, "")].to_pylist() == [
            "image: not allowed to be read",
            "image: a path with an empty component, which is not read in an object store",
            None,
            "image: missing",
        ]
        failed = rows_of_a_store(tmp_path, url, ["b.png", "b.png"])
        assert "it gives none of the images that were asked for (not allowed to be read)" in str(failed.to_pydict())
        assert "b.png" not in str(failed.to_pydict())


def test_a_column_that_can_hold_no_image_is_refused_before_the_run():
    with pytest.raises(SpecError, match=r"prompt\.image names column 'images' of type double, which can hold no image"):
        take_columns(spec_of(), encoder(), pa.schema([("images", pa.float64())]))
