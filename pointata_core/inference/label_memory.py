# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Steadier labels: a voxel counts what earlier frames predicted at its place.

A network looks at every scan anew, so labels near a decision flicker. Where the motion of the
sensor is known, the class scores of earlier voxels are moved along with it, and the mean over time
decides. Older frames count less, and places that no frame has seen for a while are forgotten. There
is no delay: the newest frame always counts most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

DECAY = 0.9
"""How much a frame counts against the one after it."""

_NEIGHBOURS = 2
# Points of one surface in two scans lie about as far apart as its voxels, which grow with range.
_REACH_M, _REACH_PER_M = 0.4, 0.03
_FORGOTTEN = 5  # frames
# Least probability that counts: one frame that is sure of itself cannot rule out a class for ever.
_FLOOR = 1e-3


class LabelMemory(NamedTuple):
    """What was predicted in earlier frames, and where.

    Attributes:
        points: ``(M, 3)`` float32, normalised, in the sensor frame of the last frame.
        scores: ``(M, K)`` float32, mean logarithms of the probabilities.
        weight: ``(M,)`` float32, how much the mean counts against a single frame.
        age: ``(M,)`` int64, frames since the place was last seen.
    """

    points: np.ndarray
    scores: np.ndarray
    weight: np.ndarray
    age: np.ndarray

    @classmethod
    def empty(cls, classes: int) -> LabelMemory:
        """Before the first frame."""
        return cls(
            np.zeros((0, 3), np.float32),
            np.zeros((0, classes), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self)

    def recall(
        self,
        points: np.ndarray,
        logits: np.ndarray,
        motion: np.ndarray | None,
        scale_m: float,
        decay: float = DECAY,
    ) -> tuple[np.ndarray, LabelMemory]:
        """Take the predictions of a frame in.

        Args:
            points: ``(N, 3)`` voxels of the frame, normalised.
            logits: ``(N, K)`` of the network; rows that are not finite stay as they are.
            motion: ``(4, 4)`` from the last sensor frame into this one, normalised; ``None`` if it
                is not known, which empties the memory.
            scale_m: Metres of one normalised unit.
            decay: How much a frame counts against the one after it, 0..1.

        Returns:
            ``(N, K)`` float32 logits that count earlier frames, and the memory after the frame.
        """
        known = np.isfinite(logits).all(axis=1)
        fresh = points[known].astype(np.float32)
        scores = _log_probabilities(logits[known].astype(np.float32))
        weight = np.ones(len(fresh), np.float32)
        old = self.empty(logits.shape[1]) if motion is None else self._moved(motion)
        kept = old.age <= _FORGOTTEN
        if len(old.points) and len(fresh):
            near, distance, within = _neighbours(old.points, fresh, scale_m)
            share = np.where(within, np.exp(-2.0 * np.square(distance)), np.float32(0.0))
            found = share.sum(axis=1)
            share /= np.maximum(found, np.float32(1e-9))[:, None]
            before = np.float32(decay) * np.minimum(2.0 * found, 1.0)
            before *= (share * old.weight[near]).sum(axis=1)
            mean = sum(share[:, k, None] * old.scores[near[:, k]] for k in range(_NEIGHBOURS))
            weight += before
            scores = (scores + before[:, None] * mean) / weight[:, None]
            kept[near[within]] = False
        memory = LabelMemory(
            np.concatenate([fresh, old.points[kept]]),
            np.concatenate([scores, old.scores[kept]]),
            np.concatenate([weight, old.weight[kept]]),
            np.concatenate([np.zeros(len(fresh), np.int64), old.age[kept]]),
        )
        out = logits.astype(np.float32)
        out[known] = scores
        return out, memory

    def _moved(self, motion: np.ndarray) -> LabelMemory:
        """One frame later, seen from where the sensor is now."""
        turn = motion.astype(np.float32)
        return self._replace(points=self.points @ turn[:3, :3].T + turn[:3, 3], age=self.age + 1)

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, to be saved."""
        return {f'labels.{name}': array for name, array in self._asdict().items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> LabelMemory:
        """The inverse of :meth:`arrays`."""
        return cls(*(arrays[f'labels.{name}'] for name in cls._fields))


def _log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logarithms ``(N, K)`` of the class probabilities of logits, none below the floor."""
    import torch  # only now: commands read the default of the memory before anything else

    # Long rows of points suit vector units, short rows of classes do not.
    probabilities = torch.from_numpy(logits).T.contiguous().softmax(dim=0)
    return probabilities.add_(_FLOOR).log_().T.contiguous().numpy()


def _neighbours(
    old: np.ndarray, new: np.ndarray, scale_m: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest old points of every new one.

    Args:
        old: ``(M, 3)``.
        new: ``(N, 3)``.
        scale_m: Metres of their unit.

    Returns:
        Indices ``(N, 2)``, distances as a share of what is near enough, and whether each is.
    """
    reach_m = np.maximum(_REACH_M, _REACH_PER_M * scale_m * np.linalg.norm(new[:, :2], axis=1))
    reach = (reach_m / scale_m)[:, None]
    tree = cKDTree(old, compact_nodes=False, balanced_tree=False)
    distance, index = tree.query(new, k=_NEIGHBOURS, distance_upper_bound=float(reach.max()))
    distance = distance.astype(np.float32)
    within = distance < reach
    return np.where(within, index, 0), distance / reach, within
