"""GPU hours: what a forecast predicts, a budget limits and a run counts, in one definition."""

from __future__ import annotations


def gpu_hours(engine_seconds: float, gpus: float) -> float:
    """Hours of generation on all GPUs together: seconds that engines worked, on so many GPUs each.

    An engine without a GPU counts like one GPU: its hours are paid, too. Loading the model does not count.
    """
    return engine_seconds * (gpus or 1.0) / 3600
