"""A scene as an image. Draws what a scene says; makes up nothing."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from relabel.demo.scene import BACKGROUNDS, COLOURS, Scene, Shape


def draw(scene: Scene, side: int = 64) -> Image.Image:
    """The scene as an RGB image of `side` x `side` pixels."""
    image = Image.new("RGB", (side, side), BACKGROUNDS[scene.background])
    canvas = ImageDraw.Draw(image)
    for shape in scene.shapes:
        _draw_shape(canvas, shape, side / 64)
    return image


def _draw_shape(canvas: ImageDraw.ImageDraw, shape: Shape, scale: float) -> None:
    x, y, r, fill = shape.x * scale, shape.y * scale, shape.radius * scale, COLOURS[shape.colour]
    if shape.kind == "circle":
        canvas.ellipse([x - r, y - r, x + r, y + r], fill=fill)
    elif shape.kind == "square":
        canvas.rectangle([x - r, y - r, x + r, y + r], fill=fill)
    elif shape.kind == "triangle":
        canvas.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=fill)
    else:
        reach = [r if corner % 2 == 0 else 0.45 * r for corner in range(10)]
        turn = [corner * math.pi / 5 for corner in range(10)]
        corners = [(x + q * math.sin(t), y - q * math.cos(t)) for q, t in zip(reach, turn, strict=True)]
        canvas.polygon(corners, fill=fill)
