# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small camera and LiDAR batches for tests."""

from __future__ import annotations

import torch

from pointata_core.models.camera.camera_lidar import CameraLidarBatch


def camera_batch(
    *counts: int, height=32, width=48, grid=64, classes=4, seed=0, dtype=torch.float32
) -> CameraLidarBatch:
    """Random images and points; ``counts`` are the points of each sample."""
    generator = torch.Generator().manual_seed(seed)

    def integers(high, *shape):
        return torch.randint(0, high, shape, generator=generator)

    total = sum(counts)
    samples = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return CameraLidarBatch(
        image=torch.rand(len(counts), 3, height, width, generator=generator).to(dtype),
        pixels=tuple(torch.stack([integers(height, n), integers(width, n)], 1) for n in counts),
        coordinates=torch.cat([integers(grid, total, 3), samples[:, None]], dim=1),
        features=torch.ones(total, 1, dtype=dtype),
        labels=integers(classes, total),
    )
