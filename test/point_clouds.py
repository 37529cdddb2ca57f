# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds for the tests of the point operators: ordinary ones and those full of ties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

# How long an example takes depends on who else uses the machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')

DEVICES = [
    'cpu',
    pytest.param(
        'cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
    ),
]


@st.composite
def clouds(draw, smallest: int = 0, largest: int = 40) -> np.ndarray:
    """A ``(N, 3)`` float32 cloud: scattered, far out, or full of ties and duplicates."""
    size = draw(st.integers(smallest, largest))
    kind = draw(st.sampled_from(['scattered', 'lattice', 'line', 'duplicates', 'far']))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == 'lattice':
        return rng.integers(-2, 3, (size, 3)).astype(np.float32)
    if kind == 'line':
        return rng.permutation(size)[:, None].astype(np.float32) * np.float32([0.5, 0, 0])
    scattered = rng.normal(size=(size, 3)) * 20
    if kind == 'duplicates' and size:
        scattered = scattered[rng.integers(0, max(1, size // 3), size)]
    if kind == 'far':
        scattered += 5e4
    return scattered.astype(np.float32)


def batch_of(*rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Pad clouds to one ``(B, N, 3)`` batch; padding is NaN, to prove that nobody looks at it."""
    longest = max(len(row) for row in rows)
    points = torch.full((len(rows), longest, 3), torch.nan)
    mask = torch.zeros((len(rows), longest), dtype=torch.bool)
    for number, row in enumerate(rows):
        points[number, : len(row)] = torch.from_numpy(row)
        mask[number, : len(row)] = True
    return points, mask
