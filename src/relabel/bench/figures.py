"""What a benchmark says: the names and meanings of its figures. Plain values: measures nothing and compares nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

ENGINES = ("static", "continuous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One contender on one workload; medians over turns. All but the first two are null where it could not run."""

    computed_in: str
    """The type of the weights it multiplied with."""
    reason: str | None = None
    """Why it could not run."""
    rows: int | None = None
    rows_per_second: float | None = None
    rows_per_cpu_second: float | None = None
    output_tokens: int | None = None
    """Without stop tokens."""
    fraction_of_gemm: float | None = None
    """Useful FLOPs a second, of the processor on a CPU, over the machine's rate of matrix products in that type."""
    fraction_of_roofline: float | None = None
    """The least seconds for this work over the seconds it took; null on a CPU."""
    differing_rows: int | None = None
    """Rows with other tokens than padded batches gave: none in float32, some in half types. Of texts that are drawn:
    others than the static engine gave; null for transformers, which draws in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMethod(Method):
    """One contender on images, of which each row has one. Without FLOPs, which depend on how a model sees."""

    seconds: dict[str, float]
    """Of a turn by the clock: `preparing` is decoding and the processor, `vision` the tower, `text` all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All contenders on one workload."""

    prompt_tokens: int
    new_tokens: int
    """The most a row may have."""
    ways: Mapping[str, Method]
    ratios: dict[str, dict[str, dict[str, float]]]
    """Rows a second of each engine over each other way: engine, rival, then wall or cpu."""
    verdicts: Mapping[str, Mapping[str, object]]
    """How the parity probes let each engine run: one that fell back says so here."""
    goodput: Mapping[str, Mapping[str, object]]
    """What each engine computed in all turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageComparison(Comparison):
    """All contenders on images."""

    ways: Mapping[str, ImageMethod]
    samples: int
    """Texts of each image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run of the benchmark."""

    model: str
    device: str
    device_name: str
    threads: int
    dtype: str
    """As asked for."""
    cpu_computes_bfloat16: bool
    rows: int
    turns: int
    gemm_flops_per_second: dict[str, float]
    """Measured, for each type that was computed in."""
    memory_bytes_per_second: float | None
    """Measured; null on a CPU."""
    versions: dict[str, str]
    workloads: dict[str, Comparison]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)
