import json
import random

import numpy as np
import pytest

from relabel.demo.drawing import draw
from relabel.demo.scene import BACKGROUNDS, COLOURS, PLACES, Scene, Shape, random_scene


def a_shape(**changes) -> Shape:
    figures = {"size": "large", "colour": "red", "kind": "circle", "place": "top left", "x": 16, "y": 16, "radius": 13}
    return Shape(**(figures | changes))


def test_the_caption_names_every_shape_in_reading_order():
    star = a_shape(size="small", colour="blue", kind="star", place="bottom right", x=48, y=48, radius=7)
    scene = Scene(background="white", shapes=(a_shape(), star))
    assert scene.caption == (
        "A large red circle at the top left, a small blue star at the bottom right, on a white background."
    )


def test_the_record_says_what_the_caption_says():
    star = a_shape(size="small", colour="blue", kind="star", place="bottom right", x=48, y=48, radius=7)
    assert json.dumps(Scene(background="white", shapes=(a_shape(), star)).record) == (
        '{"background": "white", "count": 2, "shapes": ['
        '{"size": "large", "colour": "red", "kind": "circle", "place": "top left"}, '
        '{"size": "small", "colour": "blue", "kind": "star", "place": "bottom right"}]}'
    )


@pytest.mark.parametrize("seed", range(50))
def test_record_and_caption_of_a_scene_agree(seed):
    scene = random_scene(random.Random(seed))
    said = ", ".join("a {size} {colour} {kind} at the {place}".format(**shape) for shape in scene.record["shapes"])
    assert scene.caption == f"A{said[1:]}, on a {scene.record['background']} background."
    assert scene.record["count"] == len(scene.record["shapes"])


def test_the_drawing_shows_what_the_caption_says():
    image = draw(Scene(background="pink", shapes=(a_shape(),)))
    assert image.size == (64, 64)
    assert image.getpixel((16, 16)) == COLOURS["red"]
    assert image.getpixel((48, 48)) == BACKGROUNDS["pink"]


def test_sizes_and_kinds_are_told_apart_by_the_area_they_cover():
    def area(**changes) -> int:
        image = np.asarray(draw(Scene(background="white", shapes=(a_shape(**changes),)), side=128))
        return int((image == COLOURS["red"]).all(axis=2).sum())

    assert area(kind="square") > area(kind="circle") > area(kind="triangle") > area(kind="star")
    assert area(radius=12) > 1.9 * area(radius=8.5)


def test_the_same_seed_draws_the_same_pixels():
    first, second = (draw(random_scene(random.Random(5)), side=96).tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("seed", range(50))
def test_shapes_stay_in_their_own_place(seed):
    scene = random_scene(random.Random(seed))
    places = [shape.place for shape in scene.shapes]
    assert 1 <= len(places) <= 3
    assert places == [place for place in PLACES if place in places]
    for shape in scene.shapes:
        left, top = (16 * (middle // 16 - 1) for middle in PLACES[shape.place])
        assert left <= shape.x - shape.radius < shape.x + shape.radius <= left + 32
        assert top <= shape.y - shape.radius < shape.y + shape.radius <= top + 32
