"""Whatever bytes and paths there may be: an image, or a reason."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relabel.errors import RowRejected
from tests.data.images.decoding import decode, why
from tests.faults.corpus import images

SOUND = list(images().values())


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
@given(data=st.data())
def test_any_damaged_file_gives_an_image_or_a_reason(data):
    content = bytearray(data.draw(st.sampled_from(SOUND)))
    for _ in range(data.draw(st.integers(1, 8))):
        near = data.draw(st.sampled_from([64, 1024, len(content)]))
        content[data.draw(st.integers(0, min(near, len(content)) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        at, piece = data.draw(st.integers(0, len(content))), data.draw(st.binary(max_size=64))
        content[at:at] = piece
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    check_is_total(bytes(content))


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0"]),
    st.binary(),
)
def test_any_bytes_give_an_image_or_a_reason(magic, tail):
    check_is_total(magic + tail)


@settings(max_examples=200, deadline=None)
@given(path=st.text())
def test_any_path_gives_a_reason(tmp_path_factory, path):
    assert why(path, root=tmp_path_factory.getbasetemp()).startswith("image: ")


def check_is_total(content):
    try:
        image = decode(content, max_pixels=10**5, fit_pixels=1000)
    except RowRejected as rejection:
        reason = str(rejection)
    else:
        assert image.mode == "RGB"
        assert 0 < image.width * image.height <= 1000
        return
    assert reason.startswith("image: ")
