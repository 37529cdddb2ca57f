# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds with images as training sees them, a function of seed and draw.

Points keep their row in the point-to-pixel map when the cloud is moved, by index. A cloud moved
by T belongs with the view matrix V T^-1, which gives the same pixels and shows the pose encoder how
the camera stands to the cloud as it is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from pointata_core.errors import ConfigError
from pointata_core.training.pretrain.image_bank import ImageBank
from pointata_core.training.pretrain.settings import PretrainingConfig

_LEAST_VISIBLE = 0.125
"""A view that shows less of the points is drawn again (8 of 64 regions)."""


class ImageClouds(Dataset):
    """Shapes as training sees them, keyed by (draw, shape); moved and thinned if augmented.

    With ``features``, the kept maps ``(S, V, C, h, h)`` of all images, those of the views take the
    place of the images.

    Raises:
        ConfigError: The bank has fewer points or views than the settings require.
    """

    def __init__(
        self,
        bank: ImageBank,
        config: PretrainingConfig,
        augment: bool = True,
        features: Sequence[NDArray[np.float16]] = (),
    ) -> None:
        for name, have in (('points', bank.points.shape[1]), ('views', bank.views)):
            if getattr(config, name) > have:
                raise ConfigError(
                    f'training.{name} is {getattr(config, name)}, the images have {have}',
                    'Lower it, or write images with more',
                )
        self.bank = bank
        self.config = config
        self.augment = augment
        self.features = features
        self.cells = bank.cells(config.map_stride)
        stored = np.arange(bank.views)
        pool = config.view_pool or bank.views
        self.pool = stored[np.linspace(0, bank.views, pool, endpoint=False).astype(int)]

    def __len__(self) -> int:
        """Number of shapes."""
        return len(self.bank)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """One cloud and its images.

        Returns:
            ``points (N, 3)``, ``images (W, H, H[, 3])`` uint8, ``cell (W, N)`` int64,
            ``view (W, 4, 4)``, ``projection (4, 4)``, ``label ()``. Where features are kept,
            ``stages``, a list of ``(W, C, h, h)``, in place of the images.
        """
        draw, shape = key
        rng = np.random.default_rng([self.config.seed, draw, shape])
        views = self._views(shape, rng)
        chosen = self._points(rng)
        points = self.bank.points[shape, chosen]
        move = self._move(rng) if self.augment else np.eye(4)
        if self.config.normalised:
            move = move @ _into_unit_sphere(points)
        points = points @ move[:3, :3].T + move[:3, 3]
        if self.augment and self.config.jitter:
            reach = 5 * self.config.jitter
            noise = self.config.jitter * rng.standard_normal(points.shape)
            points = points + noise.clip(-reach, reach)
        view = self.bank.cameras.view[views] @ np.linalg.inv(move)
        seen: Any = {'images': torch.from_numpy(self.bank.images[shape, views])}
        if self.features:
            seen = {'stages': [torch.from_numpy(stage[shape][views]) for stage in self.features]}
        return {
            'points': torch.from_numpy(points.astype(np.float32)),
            **seen,
            'cell': torch.from_numpy(self.cells[shape][views][:, chosen].astype(np.int64)),
            'view': torch.from_numpy(view.astype(np.float32)),
            'projection': torch.from_numpy(self.bank.cameras.projection.astype(np.float32)),
            'label': torch.tensor(int(self.bank.label[shape])),
        }

    def batch(self, keys: list[tuple[int, int]]) -> dict[str, Any]:
        """The clouds of several keys, stacked."""
        return default_collate([self[key] for key in keys])

    def _views(self, shape: int, rng: np.random.Generator) -> np.ndarray:
        order = rng.permutation(self.pool)
        visible = (self.cells[shape][order] >= 0).mean(axis=1) >= _LEAST_VISIBLE
        # Stable: views that show enough come first, in the order drawn.
        return order[np.argsort(~visible, kind='stable')][: self.config.views]

    def _points(self, rng: np.random.Generator) -> np.ndarray:
        chosen = rng.permutation(self.bank.points.shape[1])[: self.config.points]
        if not self.augment:
            return chosen
        kept = len(chosen) - int(rng.random() * self.config.drop * len(chosen))
        chosen[kept:] = chosen[rng.integers(kept, size=len(chosen) - kept)]
        return chosen

    def _move(self, rng: np.random.Generator) -> np.ndarray:
        largest = np.log(self.config.scale)
        angle = rng.uniform(-np.pi, np.pi)
        size = np.exp(rng.uniform(-largest, largest))
        move = np.eye(4)
        cosine, sine = size * np.cos(angle), size * np.sin(angle)
        move[:3, :3] = [[cosine, -sine, 0], [sine, cosine, 0], [0, 0, size]]
        return move


def _into_unit_sphere(points: np.ndarray) -> np.ndarray:
    """(4, 4) move that brings the centroid to the origin and the farthest point to 1."""
    centre = points.mean(axis=0)
    size = 1 / max(float(np.linalg.norm(points - centre, axis=1).max()), 1e-9)
    move = np.diag([size, size, size, 1.0])
    move[:3, 3] = -size * centre
    return move


def split_shapes(count: int, held_back: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and to validate on: every ``held_back``-th shape is kept."""
    index = np.arange(count)
    kept = index % held_back == held_back - 1
    return index[~kept], index[kept]
