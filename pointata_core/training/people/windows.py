# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Windows of people, disturbed as sensors and segmentation disturb them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pointata_core.training.people.crop_store import PersonClip
from pointata_core.training.people.settings import Disturbances


class Windows(NamedTuple):
    """A batch.

    Attributes:
        points: (B, T, N, 3).
        mask: (B, T, N).
        motion: (B, T, MOTION_WIDTH).
        action: (B, T), -1 where it is not learned.
    """

    points: Tensor
    mask: Tensor
    motion: Tensor
    action: Tensor


def draw(
    clips: Sequence[PersonClip],
    starts: Sequence[tuple[int, int]],
    window: int,
    most: int,
    disturbances: Disturbances,
    rng: np.random.Generator,
) -> Windows:
    """Cut windows out of clips and disturb them; short clips are padded at the end.

    Args:
        clips: Of all people.
        starts: Clip and first frame of each window.
        window: Frames.
        most: Points of a crop.
        disturbances: What happens to them.
        rng: Source of randomness.
    """
    shape = (len(starts), window, most)
    points, mask = np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
    motion = np.zeros((*shape[:2], clips[0].motion.shape[1]), np.float32)
    action = np.full(shape[:2], -1, np.int64)
    for row, (number, start) in enumerate(starts):
        clip = clips[number]
        frames = range(start, min(start + window, len(clip.action)))
        change = _Change(disturbances, rng)
        for t, frame in enumerate(frames):
            found = clip.points[clip.first[frame] : clip.first[frame + 1]].astype(np.float32)
            found = change.apply(found)[:most]
            points[row, t, : len(found)], mask[row, t, : len(found)] = found, True
            motion[row, t] = change.motion(clip.motion[frame])
            action[row, t] = -1 if clip.unseen[frame] else clip.action[frame]
    arrays = (points, mask, motion, action)
    return Windows(*(torch.from_numpy(array) for array in arrays))


class _Change:
    """The disturbance of one window: most of it is the same in all frames."""

    def __init__(self, settings: Disturbances, rng: np.random.Generator) -> None:
        self._settings, self._rng = settings, rng
        self._mirror = -1.0 if rng.random() < 0.5 else 1.0
        self._scale = 1 + rng.uniform(-settings.scale, settings.scale)
        shift = rng.normal(0, settings.shift_m, 2)
        self._shift = np.array([*shift, rng.normal(0, settings.floor_m)], np.float32)
        self._keep = 1 - rng.uniform(0, settings.drop)
        self._moves = rng.random() >= settings.still
        self._normal: np.ndarray | None = None
        if rng.random() < settings.hide:
            # Behind a low wall, or cut by the edge of the view.
            normal = rng.normal(0, [0.3, 1.0, 0.0]) if rng.random() < 0.5 else [0.0, 0.0, 1.0]
            self._normal = np.asarray(normal) / np.linalg.norm(normal)
            self._limit = rng.uniform(0.2, 0.9) if self._normal[2] else rng.uniform(-0.3, 0.1)

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points of one frame, in a random order."""
        settings, rng = self._settings, self._rng
        if rng.random() < settings.lose:
            return points[:0]
        points = points * np.float32(self._scale) + self._shift
        points[:, 1] *= self._mirror
        if self._normal is not None:
            points = points[points @ self._normal.astype(np.float32) > self._limit]
        chosen = rng.permutation(len(points))[: round(self._keep * len(points))]
        points = points[chosen] + rng.normal(0, settings.jitter_m, (len(chosen), 3))
        others = rng.uniform([-1, -1, 0], [1, 1, 2], (rng.integers(settings.intruders + 1), 3))
        return rng.permutation(np.concatenate([others, points])).astype(np.float32)

    def motion(self, motion: np.ndarray) -> np.ndarray:
        """Velocity of one frame, mirrored as the points are."""
        noise = self._rng.normal(0, 0.1, 2)
        along, across = self._moves * motion[0], self._moves * self._mirror * motion[1]
        along, across = along + noise[0], across + noise[1]
        return np.array([along, across, np.hypot(along, across), motion[3]], np.float32)
