# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Range compression: a space in which a spinning sensor's points are about equally dense.

A LiDAR's point spacing grows with range r, so a grid or a farthest-point sample that is uniform in
metres wastes its budget far away. Distances here shrink as ``log(1 + r/knee) / (r/knee)``: close to
the sensor nothing changes, far away a step covers ever more metres.
"""

from __future__ import annotations

import torch
from torch import Tensor


def compress_range(points: Tensor, knee: float) -> Tensor:
    """Map points ``(..., D)`` of space or a plane about the origin; the same unit as the input.

    Args:
        points: Coordinates with the sensor at the origin.
        knee: Range at which compression sets in, in the points' unit; 0 returns the input.
    """
    if knee <= 0:
        return points
    ratio = torch.linalg.vector_norm(points, dim=-1, keepdim=True) / knee
    # log1p(x)/x tends to 1 at the sensor itself.
    scale = torch.where(ratio > 1e-6, torch.log1p(ratio) / ratio.clamp_min(1e-6), 1.0)
    return points * scale
