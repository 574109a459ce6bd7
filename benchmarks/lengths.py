"""Rows of very unequal length under the scheduler of the continuous engine, without a model: how many are held at once.

    python benchmarks/lengths.py

Prompts are log-normal, 377 tokens in the mean and 5,081 the longest, with texts of up to 256 tokens and room for
200,000 tokens of keys and values: texts that all reach that, and texts of some 100 in the mean. `ideal` is how many
rows would fit if each held its prompt with all that it may become, and not a token more. The last line on stdout is one
line of JSON.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass

from relabel.engine.scheduling.scheduler import Scheduler
from relabel.engine.scheduling.step import Limits

MEAN_PROMPT, LONGEST_PROMPT, SIGMA = 377, 5081, 0.85
"""Of the logarithm, so that among some thousand rows the longest has about as many tokens as that."""
MOST_NEW, MEDIAN_NEW = 256, 80
KV_TOKENS, NUM_SLOTS, STEP_TOKENS = 200_000, 512, 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the scheduler did."""

    mean_rows_held: float
    ideal: float
    steps: int
    rows_put_back: int
    wasted: float
    """The share of all positions that was computed in vain."""

    def to_json(self) -> dict[str, float]:
        return {
            "mean_rows_held": round(self.mean_rows_held, 1),
            "ideal": round(self.ideal, 1),
            "share_of_ideal": round(self.mean_rows_held / self.ideal, 3),
            "steps": self.steps,
            "rows_put_back": self.rows_put_back,
            "wasted": round(self.wasted, 4),
        }


def lengths(num_rows: int, *, are_full: bool, seed: int = 0) -> list[tuple[int, int]]:
    """Tokens of the prompt and of the text of each row."""
    rng = random.Random(seed)
    mu = math.log(MEAN_PROMPT) - SIGMA**2 / 2
    prompts = [min(LONGEST_PROMPT, max(1, round(rng.lognormvariate(mu, SIGMA)))) for _ in range(num_rows)]
    prompts[num_rows // 2] = LONGEST_PROMPT
    news = [min(MOST_NEW, max(1, round(rng.lognormvariate(math.log(MEDIAN_NEW), 0.8)))) for _ in range(num_rows)]
    return list(zip(prompts, [MOST_NEW] * num_rows if are_full else news, strict=True))


def play(rows: list[tuple[int, int]], limits: Limits) -> Held:
    """All rows to their ends."""
    scheduler, left = Scheduler(limits), [new for _, new in rows]
    for row, (prompt, _) in enumerate(rows):
        scheduler.add(row, prompt_tokens=prompt, new_tokens=MOST_NEW)
    steps = held = computed = put_back = 0
    while (step := scheduler.step()) is not None:
        steps, held, computed = steps + 1, held + scheduler.num_held, computed + step.num_tokens
        put_back += len(step.put_back)
        for row in step.put_back:
            left[row] = rows[row][1]
        for row in [one.row for one in step.decode_rows] + [one.row for one in step.chunks if one.is_last]:
            left[row] -= 1
            if not left[row]:
                scheduler.end(row)
    assert not any(left), "every row came to its end"
    return Held(
        mean_rows_held=held / steps,
        ideal=min(limits.num_slots, limits.kv_tokens / (sum(prompt for prompt, _ in rows) / len(rows) + MOST_NEW)),
        steps=steps,
        rows_put_back=put_back,
        wasted=1 - sum(prompt + new - 1 for prompt, new in rows) / computed,
    )


def main() -> None:
    figures = {
        f"{name}, blocks of {block_tokens}": play(
            lengths(4096, are_full=are_full),
            Limits(kv_tokens=KV_TOKENS, num_slots=NUM_SLOTS, step_tokens=STEP_TOKENS, block_tokens=block_tokens),
        ).to_json()
        for name, are_full in (("texts of 256 tokens", True), ("texts of 1 to 256 tokens", False))
        for block_tokens in (64, 256)
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
