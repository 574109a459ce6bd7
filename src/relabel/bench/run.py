"""A whole benchmark: what is run, on what machine, and what it says. Knows all of the others and no detail of them."""

from __future__ import annotations

import platform
import statistics
from contextlib import ExitStack

import torch
import transformers

from relabel.bench.contenders import Contender, make_contenders
from relabel.bench.figures import Comparison, Figures, Method
from relabel.bench.guest import check_guest, vllm_contender
from relabel.bench.images.compare import compare_images
from relabel.bench.images.model import SeeingModel
from relabel.bench.machine import device_name, gemm_rate, memory_rate, rows_that_fit
from relabel.bench.model import Model
from relabel.bench.rounds import Outcome, run_rounds
from relabel.bench.speed import num_differing, ratios_of
from relabel.bench.work import Size, roofline_seconds, rows_of, useful_flops
from relabel.bench.workload import FIXED, IMAGES, NAMES, RAGGED, Workload, make_workload
from relabel.engine.model.weights import computes_bfloat16
from relabel.errors import SpecError
from relabel.version import __version__

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def run_bench(
    *,
    model: str | None = None,
    rows: int = 256,
    dtype: str = "bfloat16",
    device: str | None = None,
    turns: int = 1,
    workload: str | None = None,
    engine: str | None = None,
) -> Figures:
    """Every contender on the same rows, one after the other, `turns` times over; on one thread of a CPU.

    `model` is a folder, by default a model made for the purpose. `workload` is ragged, 300/50, 128/128, images or
    images/4: by default ragged on a CPU, 300/50 and 128/128 elsewhere. `engine` may be vllm, which then runs beside the
    others.
    """
    where = _device(device)
    if dtype not in DTYPES:
        raise SpecError(f"dtype {dtype!r} is not known; use one of {', '.join(DTYPES)}")
    if workload is not None and workload not in NAMES:
        raise SpecError(f"workload {workload!r} is not known; use one of {', '.join(NAMES)}")
    if rows < 1 or turns < 1:
        raise SpecError(f"{rows} rows and {turns} turns are nothing to measure; use at least one of each")
    if engine not in (None, "vllm"):
        raise SpecError(f"engine {engine!r} cannot be measured beside the others; use vllm, or leave it out")
    if engine and workload in IMAGES:
        raise SpecError("engine vllm is measured on texts alone; leave it out, or use another workload")
    if engine:
        check_guest(model, where.type)
    if where.type == "cpu":
        torch.set_num_threads(1)
    seeing = SeeingModel.load(model, DTYPES[dtype], where) if workload in IMAGES else None
    loaded = seeing.model if seeing else Model.load(model, DTYPES[dtype], where)
    rates = {_name(each.dtype): gemm_rate(each) for each in (loaded.plain, loaded.own)}
    bandwidth = memory_rate(where)
    names = (workload,) if workload else (RAGGED,) if where.type == "cpu" else tuple(FIXED)
    return Figures(
        model=loaded.name,
        device=str(where),
        device_name=device_name(where),
        threads=torch.get_num_threads(),
        dtype=dtype,
        cpu_computes_bfloat16=computes_bfloat16(),
        rows=rows,
        turns=turns,
        gemm_flops_per_second={name: float(f"{rate:.4g}") for name, rate in rates.items()},
        memory_bytes_per_second=bandwidth and float(f"{bandwidth:.4g}"),
        versions={
            "relabel": __version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        workloads={
            name: compare_images(seeing, name, rows, turns)
            if seeing
            else _compare(loaded, name, rows, turns, rates, bandwidth, guest=(model,) if engine else None)
            for name in names
        },
    )


def _compare(
    model: Model,
    name: str,
    num_rows: int,
    num_rounds: int,
    rates: dict[str, float],
    bandwidth: float | None,
    *,
    guest: tuple[str | None] | None,
) -> Comparison:
    """`guest` is the folder that vLLM is to read, or None for the model of the others."""
    workload = make_workload(name, num_rows, model.own.config.get_text_config(decoder=True).vocab_size)
    contenders = make_contenders(model, workload)
    with ExitStack() as guests:
        if guest is not None:
            contenders.append(guests.enter_context(vllm_contender(model, *guest, workload)))
        outcome = run_rounds(contenders, workload, num_rounds)
    return Comparison(
        prompt_tokens=sum(map(len, workload.prompts)),
        new_tokens=workload.new_tokens,
        ways={
            contender.name: _method(contender, workload, outcome, rates[_name(contender.model.dtype)], bandwidth)
            for contender in contenders
        },
        ratios=ratios_of(outcome.rounds),
        verdicts={each.name: each.engine.verdict.to_json() for each in contenders if each.engine},
        goodput={name: goodput.to_json() for name, goodput in outcome.goodput.items()},
    )


def _method(
    contender: Contender[list[int]],
    workload: Workload[list[int]],
    outcome: Outcome,
    rate: float,
    bandwidth: float | None,
) -> Method:
    name, model = contender.name, contender.model
    if name in outcome.reasons:
        return Method(computed_in=_name(model.dtype), reason=outcome.reasons[name])
    prompts, outputs = workload.prompts[: contender.num_rows], outcome.outputs[name]
    size, rows = Size.of(model), rows_of(prompts, outputs, workload.new_tokens)
    wall = statistics.median(speeds[name].wall for speeds in outcome.rounds)
    cpu = statistics.median(speeds[name].cpu for speeds in outcome.rounds)
    roofline = None
    if bandwidth is not None:
        row_bytes = size.kv_bytes * max(row.prompt + row.chosen for row in rows)
        fit = rows_that_fit(model.device, size.weight_bytes, row_bytes)
        roofline = roofline_seconds(size, rows, flops_per_second=rate, bytes_per_second=bandwidth, rows_at_once=fit)
    return Method(
        computed_in=_name(model.dtype),
        rows=len(prompts),
        rows_per_second=round(statistics.median(speeds[name].rate("wall") for speeds in outcome.rounds), 3),
        rows_per_cpu_second=round(statistics.median(speeds[name].rate("cpu") for speeds in outcome.rounds), 3),
        output_tokens=sum(map(len, outputs)),
        fraction_of_gemm=round(useful_flops(size, rows) / (cpu if model.device.type == "cpu" else wall) / rate, 4),
        fraction_of_roofline=None if roofline is None else round(roofline / wall, 4),
        differing_rows=num_differing(outputs, outcome.outputs["padded_64"]),
    )


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise SpecError(f"device {name!r} is not known to torch; use cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SpecError("there is no CUDA device here; use --device cpu")
    return device


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
