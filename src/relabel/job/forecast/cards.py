"""GPUs by name: their memory, its bandwidth and their FLOP/s, as their makers print them. A table, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from relabel.errors import SpecError

GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One GPU. FLOP/s are dense: the makers' larger figures count zeros."""

    memory: int
    """Bytes."""
    bandwidth: float
    """Bytes a second."""
    half: float
    """FLOP/s of matrix products in bfloat16 (of a T4: float16), sums in float32."""
    single: float
    """FLOP/s in float32, without tensor cores."""


def _card(memory_gb: int, gb_per_second: float, half_tflops: float, single_tflops: float) -> Card:
    return Card(
        memory=memory_gb * GB, bandwidth=gb_per_second * GB, half=half_tflops * 1e12, single=single_tflops * 1e12
    )


CARDS = {
    "t4-16gb": _card(16, 320, 65, 8.1),  # NVIDIA T4 datasheet, nvidia.com/en-us/data-center/tesla-t4
    "l4-24gb": _card(24, 300, 121, 30.3),  # NVIDIA L4 datasheet, nvidia.com/en-us/data-center/l4
    "a10-24gb": _card(24, 600, 125, 31.2),  # NVIDIA A10 datasheet, nvidia.com/en-us/data-center/products/a10-gpu
    "a10g-24gb": _card(24, 600, 70, 35),  # of AWS: NVIDIA A10G datasheet, d1.awsstatic.com
    "rtx4090-24gb": _card(24, 1008, 165.2, 82.6),  # NVIDIA Ada GPU architecture whitepaper, appendix A
    "l40s-48gb": _card(48, 864, 362, 91.6),  # NVIDIA L40S datasheet, nvidia.com/en-us/data-center/l40s
    "a100-40gb": _card(40, 1555, 312, 19.5),  # NVIDIA A100 datasheet, SXM, nvidia.com/en-us/data-center/a100
    "a100-80gb": _card(80, 2039, 312, 19.5),  # the same
    "h100-80gb": _card(80, 3350, 989, 67),  # NVIDIA H100 datasheet, SXM, nvidia.com/en-us/data-center/h100
    "h100-pcie-80gb": _card(80, 2000, 756, 51),  # NVIDIA H100 datasheet, PCIe
    "h100-nvl-94gb": _card(94, 3900, 835, 60),  # NVIDIA H100 datasheet, NVL
    "h200-141gb": _card(141, 4800, 989, 67),  # NVIDIA H200 datasheet, SXM, nvidia.com/en-us/data-center/h200
    "b200-180gb": _card(
        180, 8000, 2250, 80
    ),  # NVIDIA DGX B200 datasheet: eight of 1,440 GB, 64 TB/s, 72 PFLOP/s in FP8
}


def card_of(name: str) -> Card:
    """Raises SpecError for a card that the table does not have."""
    if (card := CARDS.get(name.lower())) is None:
        raise SpecError(f"--gpu {name!r} is not in the table of cards; use one of {', '.join(CARDS)}")
    return card
