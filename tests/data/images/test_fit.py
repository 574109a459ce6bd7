"""How large a picture is when the model's processor gets it, and that its pixels are those of the plain way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from relabel.data.images.picture import Fit
from tests.data.images.decoding import decode, encode, gradient

MODEL_SIDE = 336


@pytest.mark.parametrize(("format", "size"), [("JPEG", (640, 480)), ("PNG", (640, 480)), ("WEBP", (640, 480))])
def test_for_a_model_of_one_size_a_picture_is_scaled_near_it_once(format, size):
    decoded = decode(encode(gradient(1280, 960), format), max_pixels=10**7, edge=MODEL_SIDE)
    assert decoded.size == size


@pytest.mark.parametrize("size", [(500, 400), (336, 336), (20, 10), (1600, 340)])
def test_a_picture_that_is_near_it_already_keeps_every_pixel(size):
    content = encode(gradient(*size))
    assert np.array_equal(decode(content, edge=MODEL_SIDE), decode(content))


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(1280, 960), (3000, 2000), (700, 2100)])
def test_the_model_sees_what_it_saw_of_the_whole_picture(format, size):
    content = encode(gradient(*size), format, **({"quality": 95} if format == "JPEG" else {}))
    near, whole = (decode(content, max_pixels=10**7, fit_pixels=10**7, edge=edge) for edge in (MODEL_SIDE, None))
    assert near.size != whole.size
    seen = [
        np.asarray(one.resize((MODEL_SIDE, MODEL_SIDE), Image.Resampling.BICUBIC)).astype(int) for one in (near, whole)
    ]
    assert np.abs(seen[0] - seen[1]).mean() < 1, "levels of 255"


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 1000))
def test_no_side_is_scaled_below_the_models(width, height, edge):
    fit = Fit(num_pixels=10**6, edge=edge)
    drafted = fit.draft(width, height)
    assert drafted is None or min(width, height) >= max(drafted) == edge
    factor = min(width, height) // edge
    assert factor <= 1 or min(width // factor, height // factor) >= edge


def test_a_limit_of_pixels_below_the_models_own_size_is_kept():
    assert decode(encode(gradient(1280, 960)), max_pixels=10**7, fit_pixels=12_000, edge=MODEL_SIDE).size == (126, 94)
