# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a clip holds about motion before anything is trained: tubes, and points of earlier frames.

Of every token of a clip's last frame on a car, moving or standing, one number is taken. How well it
tells the two apart is the share of pairs (moving, standing) in which the moving one has the larger
number (the area under the ROC curve): 1 for always, 0.5 for chance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from pointata_core.models.point.geometry import tube_parents
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.clips.clip_store import ClipStore

_BACK = (1, 4)


def separation(moving: Sequence[float], standing: Sequence[float]) -> float:
    """Share of pairs in which the moving one is larger; ties count half."""
    ranks = rankdata([*moving, *standing])
    count = len(moving)
    return float((ranks[:count].sum() - count * (count + 1) / 2) / (count * len(standing)))


def motion_statistics(
    store: ClipStore, radii: Sequence[float], scale_m: float
) -> list[tuple[str, float, str]]:
    """What was measured, by name: the separation, and medians in metres.

    Args:
        store: Clips with the sensor's motion, cars that move apart from those that stand.
        radii: Of tubes, normalised.
        scale_m: Metres per normalised unit.
    """
    numbers: dict[str, list[np.ndarray]] = defaultdict(list)
    labels = []
    for clip in range(len(store)):
        batch = store[[(clip, 0)]]
        layout = batch.geometry
        assert batch.label is not None and batch.motion is not None
        own = batch.label[0, -1][layout.centre_index[-1].clamp_min(0)]
        labels.append(torch.where(layout.token_mask[-1], own, -1).numpy())
        for compensated in (False, True):
            motion = batch.motion[0] if compensated else torch.eye(4).repeat(store.frames, 1, 1)
            how = 'sensor motion taken out' if compensated else 'as measured'
            for radius in radii:
                step, links = _along_tubes(batch, motion, radius)
                name = f'mean step along a tube of radius {radius * scale_m:g} m, {how}'
                numbers[name].append(step.numpy() * scale_m)
                numbers[f'links of such a tube, {how}, {radius * scale_m:g} m'].append(links)
            for back in _BACK:
                distance = _from_before(batch, motion, back)
                name = f'distance of a patch to the points {back} frames earlier, {how}'
                numbers[name].append(distance.numpy() * scale_m)
    label = np.concatenate(labels)
    moving, standing = (
        label == store.classes['points'].index(name) for name in ('moving-car', 'car')
    )
    return [
        (name, separation(values[moving], values[standing]),
         f'{np.mean(values[moving]):.2f} against {np.mean(values[standing]):.2f}')
        for name, values in ((name, np.concatenate(parts)) for name, parts in numbers.items())
    ]  # fmt: skip


def _along_tubes(batch: ClipBatch, motion: Tensor, radius: float) -> tuple[Tensor, np.ndarray]:
    """Length of the mean step ``(G,)`` back along the last frame's tubes, and their links."""
    centres, mask = batch.geometry.centres, batch.geometry.token_mask
    slot = torch.arange(centres.shape[1])
    path, links = torch.zeros(len(slot), 3), torch.zeros(len(slot))
    for frame in range(len(centres) - 1, 0, -1):
        before = _moved(centres[frame - 1], motion[frame])
        parents = tube_parents(
            centres[frame : frame + 1], mask[frame : frame + 1], before[None],
            mask[frame - 1 : frame], radius,
        )[0]  # fmt: skip
        parent = torch.where(slot >= 0, parents[slot.clamp_min(0)], -1)
        follows = (parent >= 0).unsqueeze(1)
        step = centres[frame][slot.clamp_min(0)] - before[parent.clamp_min(0)]
        # Into the last frame's axes nothing is turned: over eight frames that is a few degrees.
        path, links = path + step * follows, links + follows[:, 0]
        slot = parent
    return (path / links.clamp_min(1).unsqueeze(1)).norm(dim=1), links.numpy()


def _from_before(batch: ClipBatch, motion: Tensor, back: int) -> Tensor:
    """Mean distance ``(G,)`` of the points of a patch to the nearest point so many frames ago."""
    points, mask = batch.points[0], batch.mask[0]
    earlier = points[-1 - back][mask[-1 - back]]
    for step in motion[len(motion) - back :]:
        earlier = _moved(earlier, step)
    nearest = torch.cdist(points[-1], earlier).min(dim=1).values
    return nearest[batch.geometry.patch_index[-1].clamp_min(0)].mean(dim=1)


def _moved(points: Tensor, motion: Tensor) -> Tensor:
    return points @ motion[:3, :3].T + motion[:3, 3]
