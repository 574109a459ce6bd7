"""Operators of torch that make the host wait for the device."""

from __future__ import annotations

import torch

aten = torch.ops.aten
WAITS = {one.default for one in (aten.item, aten._local_scalar_dense, aten.is_nonzero, aten.nonzero, aten.equal)}
"""Operators whose result the host needs, `.item()` and `bool()` among them."""
