"""Which processors make pictures of one size, whatever they get."""

import pytest
from transformers import (
    CLIPImageProcessor,
    Gemma3ImageProcessor,
    LlavaNextImageProcessor,
    Qwen2VLImageProcessor,
    SiglipImageProcessor,
)

from relabel.job.encoding.processor import edge_of

CROP = {"height": 336, "width": 336}


@pytest.mark.parametrize(
    ("processor", "edge"),
    [
        (CLIPImageProcessor(size={"shortest_edge": 336}, crop_size=CROP), 336),
        (SiglipImageProcessor(size={"height": 224, "width": 384}), 384),
        (Gemma3ImageProcessor(size={"height": 896, "width": 896}), 896),
        (CLIPImageProcessor(size={"shortest_edge": 336}, do_center_crop=False), None),
        (CLIPImageProcessor(do_resize=False, crop_size=CROP), None),
        (Qwen2VLImageProcessor(), None),
        (LlavaNextImageProcessor(), None),
    ],
    ids=["scaled and cut", "scaled", "large", "of its own shape", "only cut out", "patches", "tiles"],
)
def test_the_size_that_all_pictures_get_is_found_by_trying(processor, edge):
    assert edge_of(processor) == edge


def test_a_processor_that_takes_no_picture_alone_has_none():
    def processor(**_):
        raise TypeError

    assert edge_of(processor) is None


@pytest.mark.parametrize(("side", "crop", "edge"), [(256, 224, 256), (448, 224, 448), (224, 224, 224)])
def test_where_the_middle_is_cut_out_the_size_is_that_before(side, crop, edge):
    cut = {"height": crop, "width": crop}
    found = edge_of(CLIPImageProcessor(size={"shortest_edge": side}, crop_size=cut))
    assert found is not None
    assert edge <= found <= 1.03 * edge
