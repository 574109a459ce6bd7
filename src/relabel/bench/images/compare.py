"""All ways on images: timed, compared, their seconds divided. Knows the others of this room and no detail of them."""

from __future__ import annotations

import statistics

from relabel.bench.contenders import Contender
from relabel.bench.figures import ImageComparison, ImageMethod
from relabel.bench.images.contenders import make_contenders, make_images
from relabel.bench.images.model import SeeingModel
from relabel.bench.images.preparing import Preparer
from relabel.bench.images.stopwatch import Stopwatch
from relabel.bench.rounds import Outcome, run_rounds
from relabel.bench.speed import num_differing, ratios_of
from relabel.bench.workload import IMAGES


def compare_images(model: SeeingModel, name: str, num_rows: int, num_rounds: int) -> ImageComparison:
    """One workload, every way in every round."""
    own = model.model.own
    workload = make_images(name, num_rows, own.config.get_text_config(decoder=True).vocab_size)
    contenders = make_contenders(model, workload)
    outcome = run_rounds([contender for contender, _ in contenders], workload, num_rounds)
    samples, preparer = IMAGES[name], Preparer(model.processor)
    lengths = [len(preparer.request(row, jpeg).prompt_ids) for row, jpeg in enumerate(workload.prompts)]
    return ImageComparison(
        prompt_tokens=samples * sum(lengths),
        new_tokens=workload.new_tokens,
        ways={contender.name: _method(contender, watch, outcome, samples) for contender, watch in contenders},
        ratios=ratios_of(outcome.rounds),
        verdicts={each.name: each.engine.verdict.to_json() for each, _ in contenders if each.engine},
        goodput={way: goodput.to_json() for way, goodput in outcome.goodput.items()},
        samples=samples,
    )


def _method(contender: Contender[bytes], watch: Stopwatch, outcome: Outcome, samples: int) -> ImageMethod:
    name, outputs = contender.name, outcome.outputs[contender.name]
    turns = [speeds[name] for speeds in outcome.rounds]
    laps = watch.laps[-len(turns) :]  # the first one was for warming up
    text = [turn.wall - lap.preparing - lap.vision for turn, lap in zip(turns, laps, strict=True)]
    reference = outcome.outputs["static" if samples > 1 else "padded_16"]
    is_comparable = samples == 1 or contender.engine is not None
    return ImageMethod(
        computed_in=str(contender.model.dtype).removeprefix("torch."),
        rows=turns[0].rows,
        rows_per_second=round(statistics.median(turn.rate("wall") for turn in turns), 3),
        rows_per_cpu_second=round(statistics.median(turn.rate("cpu") for turn in turns), 3),
        output_tokens=sum(map(len, outputs)),
        differing_rows=num_differing(outputs, reference) if is_comparable else None,
        seconds={
            "preparing": round(statistics.median(lap.preparing for lap in laps), 3),
            "vision": round(statistics.median(lap.vision for lap in laps), 3),
            "text": round(statistics.median(text), 3),
        },
    )
