"""A scene of one to three coloured shapes: how it is made up, and its one true caption and record.

Everything follows from the random generator that is passed in. Knows nothing of images, noise, datasets or models.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 80, 220),
    "yellow": (235, 210, 50),
    "purple": (150, 60, 180),
    "orange": (240, 140, 30),
    "black": (25, 25, 25),
    "gray": (128, 128, 128),
}
BACKGROUNDS: dict[str, Colour] = {"white": (250, 250, 250), "pink": (250, 200, 210), "cyan": (180, 235, 240)}
KINDS = ("circle", "square", "triangle", "star")
RADII = {"small": (7.0, 8.5), "large": (12.0, 14.0)}
"""Half the width of a shape, on a canvas of 64. The gap between the two sizes is what makes the caption decidable."""
PLACES = {"top left": (16, 16), "top right": (48, 16), "bottom left": (16, 48), "bottom right": (48, 48)}
"""The middle of each place on a canvas of 64, in reading order: the order of the caption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape; `x`, `y` and `radius` are on a canvas of 64."""

    size: str
    colour: str
    kind: str
    place: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Shapes in reading order, at most one in each place."""

    background: str
    shapes: tuple[Shape, ...]

    @property
    def caption(self) -> str:
        """What is true of the scene: `A large red circle at the top left, a small ..., on a white background.`"""
        shapes = ", ".join(f"a {s.size} {s.colour} {s.kind} at the {s.place}" for s in self.shapes)
        return f"A{shapes[1:]}, on a {self.background} background."

    @property
    def record(self) -> dict[str, object]:
        """The same for a machine: background, count and, in reading order, what each shape looks like and where."""
        shapes = [{"size": s.size, "colour": s.colour, "kind": s.kind, "place": s.place} for s in self.shapes]
        return {"background": self.background, "count": len(shapes), "shapes": shapes}


def random_scene(rng: random.Random) -> Scene:
    """One to three shapes in different places, a little off the middle of their place."""
    places = set(rng.sample(list(PLACES), rng.choice((1, 2, 2, 3))))
    shapes = tuple(_random_shape(rng, place) for place in PLACES if place in places)
    return Scene(background=rng.choice(list(BACKGROUNDS)), shapes=shapes)


def _random_shape(rng: random.Random, place: str) -> Shape:
    size = rng.choice(list(RADII))
    x, y = PLACES[place]
    return Shape(
        size=size,
        colour=rng.choice(list(COLOURS)),
        kind=rng.choice(KINDS),
        place=place,
        x=x + rng.uniform(-1.5, 1.5),
        y=y + rng.uniform(-1.5, 1.5),
        radius=rng.uniform(*RADII[size]),
    )
