"""What is found in a sample that is spread along the lengths of prompts, beside one that is drawn blindly."""

import random
from statistics import fmean

import pytest

from relabel.job.forecast.drawing import num_looked_at, spread_along
from relabel.job.forecast.interval import UNKNOWN, interval_of_mean, interval_of_spread

NUM_ALL, SAMPLE, TURNS = 8000, 128, 120


def rows_of(kind):
    """The tokens of each prompt and of its text: a few prompts of a heavy tail have most of the tokens."""
    random_, rows = random.Random(kind), []
    for _ in range(NUM_ALL):
        prompt = max(1, round(random_.lognormvariate(4, 1.2)))
        text = {
            "as long as the prompt": round(prompt * random_.lognormvariate(0, 0.3)),
            "as long, up to a limit": min(256, round(prompt * random_.lognormvariate(0, 0.3))),
            "of any length": round(random_.lognormvariate(4, 0.8)),
            "short": random_.choice((7, 8, 9)),
        }[kind]
        rows.append((prompt, max(1, text)))
    return rows


def blind(rows, seed):
    drawn = random.Random(seed).sample(rows, SAMPLE)
    return interval_of_mean([[text] for _, text in drawn], seed, NUM_ALL)


def spread(rows, seed):
    looked_at = random.Random(seed).sample(rows, num_looked_at(8, SAMPLE))
    taken = spread_along([prompt for prompt, _ in looked_at], SAMPLE, seed)
    values = [text for _, text in sorted((looked_at[place] for place in taken), key=lambda row: row[0])]
    return interval_of_spread(values, seed, len(looked_at), NUM_ALL)


def errors(way, rows):
    """The mean error of many draws, the size of one, and how often the interval holds what is true."""
    true = fmean(text for _, text in rows)
    found = [way(rows, seed) for seed in range(TURNS)]
    off = [one.mid / true - 1 for one in found]
    return fmean(off), fmean(one * one for one in off) ** 0.5, fmean(one.low <= true <= one.high for one in found)


@pytest.mark.parametrize(
    ("kind", "better"),
    [("as long as the prompt", 0.75), ("as long, up to a limit", 0.6), ("of any length", 1.2), ("short", 1.2)],
)
def test_it_is_as_right_in_the_mean_and_nearer_where_texts_follow_their_prompts(kind, better):
    rows = rows_of(kind)
    bias, error, held = errors(spread, rows)
    _, error_of_blind, _ = errors(blind, rows)
    assert abs(bias) < 4 * error / TURNS**0.5, "no more than chance makes of so many draws"
    assert error < better * error_of_blind
    assert 0.78 <= held <= 0.98


def test_of_few_rows_no_draw_is_an_odd_one():
    """At equal steps 320 rows have five draws of 128, and lengths that say nothing made them worse than blind ones."""
    random_ = random.Random(3)
    rows = [(random_.randint(4, 120), min(48, random_.randint(4, 90))) for _ in range(320)]
    lengths, true = [prompt for prompt, _ in rows], fmean(text for _, text in rows)
    off, blindly = [], []
    for seed in range(400):
        taken = spread_along(lengths, SAMPLE, seed)
        off.append(fmean(rows[place][1] for place in taken) / true - 1)
        blindly.append(fmean(text for _, text in random.Random(seed).sample(rows, SAMPLE)) / true - 1)
    assert len(set(off)) > 100
    assert abs(fmean(off)) < 0.005
    assert fmean(one * one for one in off) < 1.2 * fmean(one * one for one in blindly)


def test_nothing_is_left_to_chance_where_every_row_was_drawn():
    found = interval_of_spread([1.0, 5.0], 0, num_looked_at=2, num_all=2)
    assert found.low == found.mid == found.high == 3.0


def test_where_no_other_prompt_was_looked_at_it_is_as_sure_as_a_blind_draw():
    values = sorted(random.Random(1).expovariate(1.0) for _ in range(64))
    found = interval_of_spread(values, 0, num_looked_at=64, num_all=10**9)
    other = interval_of_mean([[value] for value in values], 0, num_all=10**9)
    assert found.high - found.low == pytest.approx(other.high - other.low, rel=0.15)


def test_of_nothing_nothing_is_known():
    assert interval_of_spread([], 0, num_looked_at=0, num_all=5) == UNKNOWN
