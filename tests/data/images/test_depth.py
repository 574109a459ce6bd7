"""Pictures of more than 8 bits: a picture comes out, by one rule for every mode."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.data.images.decoding import colour, decode, encode
from tests.data.images.pngs import png_16

KINDS = {"16 bits": np.uint16, "32 bits": np.int32, "floating point": np.float32}


def shades(values, dtype, format="TIFF", **options):
    decoded = decode(encode(Image.fromarray(np.array([values], dtype)), format, **options))
    return [colour(decoded, (x, 0))[0] for x in range(len(values))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("values", [[0, 128, 255], [291, 492, 694], [1000, 1500, 2000], [0, 1, 2]])
def test_where_the_values_do_not_use_the_container_black_is_the_least_and_white_the_greatest(values, kind):
    black, grey, white = shades(values, KINDS[kind])
    assert (black, white) == (0, 255)
    assert 126 <= grey <= 129


@pytest.mark.parametrize(
    ("kind", "values"),
    [("16 bits", [1000, 0x4000, 0x8000]), ("32 bits", [1000, 0x4000, 0x8000]), ("floating point", [0.0157, 0.25, 0.5])],
)
def test_where_the_values_use_the_container_white_is_its_greatest_value(kind, values):
    assert shades(values, KINDS[kind]) == [4, 64, 128]


@pytest.mark.parametrize("values", [[-7.0, 0.0, 7.0], [0.0, 500_000.0, 1_000_000.0], [-0.25, 0.25, 0.75]])
def test_numbers_outside_of_any_known_range_are_stretched(values):
    assert shades(values, np.float32) == [0, 128, 255]


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (0x4000, 64), (0xFFFF, 255)])
def test_a_picture_of_one_value_is_shown_on_the_containers_scale(value, expected):
    assert shades([value, value], np.uint16, "PNG") == [expected, expected]
    assert shades([value, value], np.int32) == [expected, expected]
    assert shades([value / 65535] * 2, np.float32) == [expected, expected]


def test_16_bits_in_either_byte_order():
    for kind in ("<u2", ">u2"):
        assert shades([0, 0x4000, 0xFFFF], kind) == [0, 0x40, 0xFF]


def test_what_is_no_number_is_no_measure_for_the_rest():
    assert shades([float("nan"), 2.0, 6.0, float("inf"), float("-inf")], np.float32) == [0, 0, 255, 0, 0]
    assert shades([float("nan")] * 2, np.float32) == [0, 0]
    assert shades([-3e38, 0.0, 3e38], np.float32) == [0, 128, 255]


def test_a_transparent_value_becomes_white_and_is_no_measure_for_the_rest():
    decoded = decode(png_16([[0, 300, 401, 500]], transparent=0))
    assert [colour(decoded, (x, 0))[0] for x in range(4)] == [255, 0, 129, 255]


def test_a_transparent_colour_of_16_bits_a_channel():
    decoded = decode(png_16([[(0x1234, 0xFF00, 0x00FF), (0xFF34, 0xFF00, 0x00FF)]], transparent=(0x1234, 0xFF00, 0xFF)))
    assert [colour(decoded, (x, 0)) for x in range(2)] == [(255, 255, 255), (255, 255, 0)]


def test_16_bits_with_alpha_are_over_white():
    assert colour(decode(png_16([[(0xFFFF, 0, 0, 0)]]))) == (255, 255, 255)
    assert colour(decode(png_16([[(0xFFFF, 0, 0, 0xFFFF)]]))) == (255, 0, 0)
    assert colour(decode(png_16([[(0, 0x3333)]]))) == (204, 204, 204)


@pytest.mark.parametrize("greatest", [1023, 65535])
def test_a_pgm_of_more_than_8_bits(greatest):
    header = f"P5 3 1 {greatest}\n".encode()
    body = np.array([0, greatest // 2, greatest], ">u2").tobytes()
    decoded = decode(header + body)
    assert [colour(decoded, (x, 0))[0] for x in range(3)] == [0, 127, 255]
    assert Image.open(io.BytesIO(header + body)).mode in ("I", "I;16")
