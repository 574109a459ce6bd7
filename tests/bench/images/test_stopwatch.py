"""What is counted to whom."""

from __future__ import annotations

import torch

from relabel.bench.images.stopwatch import Stopwatch
from tests.engine import models


def see(model):
    model.get_image_features(pixel_values=torch.ones(1, 3, 28, 28), return_dict=True)


def test_the_tower_is_timed_within_a_lap_alone():
    model = models.llava()
    watch = Stopwatch(model)
    see(model)
    with watch.lap():
        pass
    with watch.lap(), watch.preparing():
        see(model)
    see(model)
    first, second = watch.laps
    assert (first.preparing, first.vision) == (0.0, 0.0)
    assert second.preparing > second.vision > 0


def test_a_model_without_a_tower_has_no_vision():
    model = models.llama()
    watch = Stopwatch(model)
    with watch.lap():
        model(input_ids=torch.tensor([[3, 4]]))
    assert watch.laps[0].vision == 0.0
