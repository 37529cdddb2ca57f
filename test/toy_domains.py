# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two tiny domains of images and points: by day, and in the dark with other distances.

Four classes stand in vertical stripes of the image; each has a colour and a height.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pointata_core.datasets.camera.exported import FrameWriter

TASK = 'virtual_kitti_semantickitti'
HEIGHT, WIDTH, POINTS = 16, 32, 160
RAW = np.array([70, 50, 40, 10])
_COLOURS = np.array([[60, 160, 60], [170, 90, 60], [110, 110, 110], [60, 60, 190]])
_HEIGHTS = np.array([3.0, 1.5, 0.0, 0.7])


def write_toy_domain(folder: Path, split: str, frames: int, night: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (folder / 'images').mkdir(parents=True)
    with FrameWriter(folder, 'toy', split, 'semantickitti') as writer:
        for number in range(frames):
            stripe = rng.permutation(4)[np.arange(WIDTH) * 4 // WIDTH]
            image = _COLOURS[stripe][None] + rng.normal(0, 8, (HEIGHT, WIDTH, 3))
            image = image * [0.45, 0.5, 0.7] if night else image
            name = f'images/{number}.png'
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / name)
            pixels = rng.uniform(0.01, 0.99, (POINTS, 2)) * [HEIGHT, WIDTH]
            kind = stripe[pixels[:, 1].astype(int)]
            reach = rng.uniform(4, 12 if night else 8, POINTS)
            points = np.column_stack([
                reach,
                (WIDTH / 2 - pixels[:, 1]) / WIDTH * reach,
                _HEIGHTS[kind] + rng.normal(0, 0.1, POINTS),
            ])  # fmt: skip
            writer.add(f'{split}/{number}', points, pixels, RAW[kind], [name])


def write_toy_domains(root: Path) -> None:
    """Folders ``day``, ``night`` and ``night_test``."""
    write_toy_domain(root / 'day', 'day', 6, night=False, seed=0)
    write_toy_domain(root / 'night', 'night', 5, night=True, seed=1)
    write_toy_domain(root / 'night_test', 'night_test', 4, night=True, seed=2)
