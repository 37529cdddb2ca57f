# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A clip as the network sees it: voxels, their labels and their geometry, one array of each.

Sampling and neighbour search cost more than a training step's arithmetic and hardly change under
rotation, reflection or small scaling about the sensor. So they are done once, by the very functions
that the live session uses, and kept on disk.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from pointata_core.datasets.protocol import Clip
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import Centres, frame_geometry
from pointata_core.models.point.tubes import moved_points
from pointata_core.taxonomy import IGNORE

Task = Literal['clip', 'frames', 'points']
"""What is learned: the action of a clip, the action of every frame, the class of every point."""


def prepare_clip(
    clip: Clip,
    preparer: FramePreparer,
    geometry: GeometryConfig,
    tasks: Collection[Task],
    *,
    classes: int = 0,
    feature_names: Sequence[str] = (),
    motion: bool = False,
    scored: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Prepare a clip, which begins as a stream does.

    Args:
        clip: The clip.
        preparer: Voxels and normalisation.
        geometry: Tokens and patches.
        tasks: Which labels are kept.
        classes: Number of classes of points, for the task ``points``.
        feature_names: Columns of the clip's features.
        motion: Also keep how the sensor moved between frames.
        scored: ``(T,)`` bool, frames whose points are scored: their true classes are kept, too.

    Returns:
        Arrays over all voxels (``points``, ``label``, ...), over all frames (``centre_index``,
        ``action``, ...), and ``offsets`` ``(T + 1,)`` of each frame's first voxel.

    Raises:
        ConfigError: The clip lacks the labels, or the poses to take the motion from.
    """
    _require_labels(clip, tasks)
    motions = sensor_motions(clip) if motion else None
    columns: dict[str, list[np.ndarray]] = {}

    def put(name: str, values: np.ndarray) -> None:
        columns.setdefault(name, []).append(values)

    sizes, origin = [], None
    before: Centres | None = None
    for t, points in enumerate(clip.points):
        fields = None
        if clip.features is not None:
            fields = {name: clip.features[t][:, c] for c, name in enumerate(feature_names)}
        prepared = preparer.prepare(points, fields, origin)
        voxels = len(prepared.points)
        if voxels:
            origin = prepared.origin
        moved = None
        if motions is not None:
            moved = preparer.motion(motions[t], prepared.origin)
        if before is not None and moved is not None:
            before = before._replace(centres=moved_points(before.centres, moved))
        layout = frame_geometry(prepared.points.unsqueeze(0), None, geometry, before)
        before = Centres(layout.centres, layout.token_mask)
        sizes.append(voxels)
        put('points', prepared.points.numpy())
        if moved is not None:
            put('motion', moved.numpy())
        if prepared.features is not None:
            put('features', prepared.features.numpy())
        for name in ('centre_index', 'patch_index', 'context_index'):
            put(name, getattr(layout, name).short().numpy())
        if 'points' in tasks:
            assert clip.labels is not None
            put('label', voxel_labels(clip.labels[t], prepared.voxel_of_point, voxels, classes))
            if scored is not None and scored[t]:
                put('truth', point_truth(clip.labels[t], prepared.voxel_of_point, t))
            put('interpolation_index', layout.interpolation_index[0].short().numpy())
            put('interpolation_weight', layout.interpolation_weight[0].numpy())
            put('pillars', layout.pillars[0].short().numpy().T)
    arrays = {name: np.concatenate(values) for name, values in columns.items()}
    arrays['offsets'] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    arrays['action'] = _actions(clip, tasks)
    return arrays


def _require_labels(clip: Clip, tasks: Collection[Task]) -> None:
    held = {'clip': clip.action, 'frames': clip.actions, 'points': clip.labels}
    for task in tasks:
        if held[task] is None:
            there = ', '.join(name for name, labels in held.items() if labels is not None)
            raise ConfigError(f'{clip.name} has no labels for task {task}', f'Choose of: {there}')


def _actions(clip: Clip, tasks: Collection[Task]) -> np.ndarray:
    if 'frames' in tasks:
        return np.asarray(clip.actions, np.int64)
    action = clip.action if 'clip' in tasks else IGNORE
    return np.full(len(clip), action, np.int64)


def voxel_labels(
    label: np.ndarray, voxel_of_point: np.ndarray, voxels: int, classes: int
) -> np.ndarray:
    """Return each voxel's majority label ``(M,)`` int16; ``IGNORE`` where no point has one."""
    use = (voxel_of_point >= 0) & (label >= 0) & (label < classes)
    votes = np.bincount(voxel_of_point[use] * classes + label[use], minlength=voxels * classes)
    votes = votes.reshape(voxels, classes)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), IGNORE).astype(np.int16)


def point_truth(label: np.ndarray, voxel_of_point: np.ndarray, frame: int) -> np.ndarray:
    """True classes of the points of a frame, of which many share voxel and class.

    Returns:
        ``(R, 4)`` int32: frame, voxel (-1 for none), class, points.
    """
    use = label >= 0
    pairs = np.stack([voxel_of_point[use], label[use]], axis=1).astype(np.int32)
    rows, points = np.unique(pairs, axis=0, return_counts=True)
    return np.column_stack([np.full(len(rows), frame), rows, points]).astype(np.int32)


def scored_frames(clip: Clip, sampling: ClipSampling | None) -> np.ndarray:
    """Which frames of a clip are scored ``(T,)`` bool.

    All of them, as public protocols of 4D segmentation have it. Clips that end at every so many
    frames (``causal``) score each frame once: in the clip that has seen most before it.
    """
    if sampling is None or sampling.window != 'causal' or clip.frames is None:
        return np.ones(len(clip), bool)
    newest = np.arange(len(clip)) >= len(clip) - sampling.hop
    return newest & np.append(np.diff(clip.frames) > 0, True)


def sensor_motions(clip: Clip) -> np.ndarray:
    """How points of things at rest went from each frame of a clip to the next.

    Returns:
        ``(T, 4, 4)`` metres, taking the frame before into each frame; the first is the identity.

    Raises:
        ConfigError: The clip has no poses.
    """
    if clip.poses is None:
        raise ConfigError(
            f'{clip.name} has no poses, which data.motion needs', 'Set data.motion to false'
        )
    before = clip.poses[[0, *range(len(clip.poses) - 1)]]
    return np.linalg.inv(clip.poses) @ before
