"""A GPU that several processes share: how much of its memory this one may take, and how much of that is left.

The allocator of torch holds a process to its share: what exceeds it is out of memory, though the GPU has more. Knows
no model.
"""

from __future__ import annotations

import torch


def take_share(device: torch.device | str, share: float) -> None:
    """Hold this process to a share of the memory of a GPU, above 0 and at most 1."""
    gpu = torch.device(device)
    if gpu.type == "cuda" and share < 1:
        torch.cuda.set_per_process_memory_fraction(share, gpu.index)  # which takes no device without an index


def gpu_bytes_left(device: torch.device) -> int:
    """Bytes of a GPU that this process may still take: of its share, and of what others have left."""
    free, total = torch.cuda.mem_get_info(device)
    share = torch.cuda.get_per_process_memory_fraction(device)
    return max(0, min(free, int(total * share) - torch.cuda.memory_reserved(device)))
