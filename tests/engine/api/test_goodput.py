"""The figures of an engine: they add up, and their fractions have a meaning."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest

from relabel.engine import Goodput


def test_figures_of_several_engines_add_up() -> None:
    first = Goodput(**{field.name: at for at, field in enumerate(fields(Goodput))})
    second = Goodput(**{field.name: 100 * at for at, field in enumerate(fields(Goodput))})
    assert asdict(first + second) == {field.name: 101 * at for at, field in enumerate(fields(Goodput))}
    assert first + Goodput() == first


def test_useful_is_what_was_neither_padded_nor_wasted_and_occupancy_what_was_held() -> None:
    goodput = Goodput(useful_tokens=60, padded_tokens=30, wasted_tokens=10, held_slots=3, all_slots=4)
    assert (goodput.useful, goodput.occupancy) == (0.6, 0.75)
    assert Goodput(useful_tokens=5, shared_tokens=100).useful == 1, "a shared prefix costs nothing"


def test_an_engine_that_computed_nothing_wasted_nothing() -> None:
    assert (Goodput().useful, Goodput().occupancy) == (1, 0)
    assert Goodput(wasted_tokens=10).useful == 0


def test_the_report_holds_every_figure_and_both_fractions() -> None:
    goodput = Goodput(useful_tokens=2, wasted_tokens=1, held_slots=1, all_slots=3, seconds=1.23456)
    report = json.loads(json.dumps(goodput.to_json()))
    assert report.keys() == {field.name for field in fields(Goodput)} | {"useful", "occupancy"}
    assert report["useful_tokens"] == 2
    assert report["seconds"] == 1.235
    assert report["useful"] == pytest.approx(2 / 3, abs=1e-4)
    assert report["occupancy"] == pytest.approx(1 / 3, abs=1e-4)
