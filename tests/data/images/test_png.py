"""What stands beside the pixels of a PNG costs no picture and is never unpacked; what turns it is kept."""

import os
import zlib

import pytest
from PIL import Image

from relabel.data.images.png import without_notes
from tests.data.images.decoding import colour, decode, encode, why
from tests.data.images.pngs import chunk, png_with

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><tiff:Orientation>6</tiff:Orientation></rdf:RDF></x:xmpmeta>'
NOTES = {
    "2 MB of text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(os.urandom(2**20).hex().encode())),
    "5 MB of plain text": chunk(b"tEXt", b"Comment\0" + b"x" * 5_000_000),
    "3 MB of international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
    "a profile of 1.5 MB": chunk(b"iCCP", b"large\0\0" + zlib.compress(os.urandom(1_500_000))),
    "a profile of 20 MB": chunk(b"iCCP", b"large\0\0" + zlib.compress(bytes(20_000_000))),
    "a profile that is damaged": chunk(b"iCCP", b"x\0\0garbage"),
    "a text that is damaged": chunk(b"zTXt", b"x\0\0garbage"),
    "a text without a keyword": chunk(b"zTXt", b""),
    "a note whose sum is wrong": chunk(b"tEXt", b"x\0y")[:-1] + b"?",
    "a chunk of nobody": chunk(b"caNv", b"x" * 100),
    "2,000 texts": chunk(b"tEXt", b"x\0" + b"y" * 1000) * 2000,
}


@pytest.mark.parametrize("name", NOTES)
def test_what_stands_beside_the_pixels_costs_no_picture(name):
    assert decode(png_with(NOTES[name]), max_bytes=2**24).size == (4, 3)


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP)),
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"),
    ],
)
def test_a_text_that_tells_how_the_picture_is_turned_is_kept(text):
    assert decode(png_with(text)).size == (3, 4)


def test_an_orientation_in_a_text_that_is_too_large_or_damaged_turns_nothing():
    for packed in (zlib.compress(XMP + bytes(10**7)), b"garbage", zlib.compress(XMP)[:-9]):
        assert decode(png_with(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + packed))).size == (4, 3)


def test_of_an_animation_the_first_frame_stays():
    frames = [Image.new("RGB", (4, 4), shade) for shade in ("red", "lime")]
    content = encode(frames[0], save_all=True, append_images=frames[1:])
    assert colour(decode(content)) == (255, 0, 0)
    assert b"fdAT" in content
    assert b"fdAT" not in without_notes(content)


def test_a_transparent_colour_stays():
    assert colour(decode(encode(Image.new("RGB", (2, 2), "red"), transparency=(255, 0, 0)))) == (255, 255, 255)


def test_what_is_no_png_is_left_as_it_is():
    content = encode(Image.new("RGB", (4, 4)), "JPEG")
    assert without_notes(content) is content


@pytest.mark.parametrize("length", [0, 10, 33, 40, 60])
def test_a_png_that_is_cut_off_keeps_its_fault(length):
    assert why(png_with(size=(300, 300))[:length]).startswith("image: ")
