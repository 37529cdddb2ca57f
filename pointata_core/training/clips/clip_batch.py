# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A batch of clips as the network takes it, and how prepared clips become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from pointata_core.errors import ConfigError
from pointata_core.models.point.geometry import FrameGeometry
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.models.point.pointata import PointATA
from pointata_core.taxonomy import IGNORE

Map = Callable[[Tensor], Tensor]
_BY_FRAME = ('prefix', 'auxiliary')


@dataclass(frozen=True)
class ClipBatch:
    """B clips of T frames, padded to the largest frame.

    Attributes:
        points: ``(B, T, M, 3)`` normalised.
        mask: ``(B, T, M)``.
        label: ``(B, T, M)`` int64, ``IGNORE`` for padding and unlabelled voxels.
        action: ``(B, T)`` int64; negative for none to learn.
        geometry: Of the ``B * T`` frames.
        features: ``(B, T, M, C)`` or ``None``.
        prefix: ``(B * T, 1 + G, D)`` from :meth:`PointATA.encode_prefix`, or ``None``.
        motion: ``(B, T, 4, 4)`` taking the frame before into each frame, normalised, or ``None``.
        auxiliary: ``(B * T, G, C)`` from :meth:`PointATA.clip_auxiliary`, where they are kept, or
            ``None``.
    """

    points: Tensor
    mask: Tensor
    label: Tensor
    action: Tensor
    geometry: FrameGeometry
    features: Tensor | None = None
    prefix: Tensor | None = None
    motion: Tensor | None = None
    auxiliary: Tensor | None = None

    def take(self, clips: Tensor) -> ClipBatch:
        """Cut some clips out, given by their numbers ``(n,)``."""
        shape = self.action.shape
        return self._mapped(
            lambda by_clip: by_clip[clips],
            lambda by_frame: by_frame.unflatten(0, shape)[clips].flatten(0, 1),
        )

    def at_frames(self, numbers: Tensor) -> ClipBatch:
        """The same clips with their frames in another order.

        Auxiliary token features stay those of the frames as they were taken. The step from one
        frame to the next is no longer the sensor's, so a batch with the sensor's motion is refused.

        Args:
            numbers: ``(B, T)`` the frame of its clip at each position.

        Raises:
            ConfigError: The batch has the sensor's motion.
        """
        if self.motion is not None:
            raise ConfigError(
                'frames of clips with data.motion cannot be reordered',
                'Leave step_augmentation.time_warp at 0 where data.motion is on',
            )
        clips, frames = self.action.shape
        numbers = numbers.to(self.action.device)
        rows = (numbers + frames * torch.arange(clips, device=numbers.device)[:, None]).flatten()
        return self._mapped(
            lambda by_clip: by_clip.flatten(0, 1)[rows].unflatten(0, (clips, frames)),
            lambda by_frame: by_frame[rows],
        )

    def to(self, device: torch.device | str) -> ClipBatch:
        """Move to a device."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        return self._mapped(moved, moved)

    def _mapped(self, by_clip: Map, by_frame: Map) -> ClipBatch:
        """Apply one function to all ``(B, ...)`` tensors and another to all ``(B * T, ...)``."""
        values = {name: value for name, value in vars(self).items() if value is not None}
        geometry = values.pop('geometry').map(by_frame)
        mapped = {
            name: (by_frame if name in _BY_FRAME else by_clip)(value)
            for name, value in values.items()
        }
        return ClipBatch(geometry=geometry, **mapped)


def predict(network: nn.Module, batch: ClipBatch) -> NetworkOutput:
    """Run a network on whole clips, from their points or their frozen features."""
    return network(
        batch.points,
        batch.features,
        batch.mask,
        batch.motion,
        geometry=batch.geometry,
        prefix=batch.prefix,
        auxiliary=batch.auxiliary,
    )


def with_auxiliary(network: nn.Module, batch: ClipBatch) -> ClipBatch:
    """The same batch with its auxiliary token features, where the network has any.

    They follow from the points, so a batch without points must have brought them.
    """
    if batch.auxiliary is not None or not isinstance(network, PointATA):
        return batch
    auxiliary = network.clip_auxiliary(
        batch.points, batch.features, batch.mask, batch.motion, batch.geometry
    )
    return replace(batch, auxiliary=auxiliary)


_DENSE = ('label', 'interpolation_index', 'interpolation_weight', 'pillars')
_PER_VOXEL = ('points', 'features', *_DENSE)
_PER_FRAME = ('centre_index', 'patch_index', 'context_index', 'action', 'motion')


def frame_of(clip: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Cut one frame out of the arrays of a prepared clip."""
    first, last = clip['offsets'][number : number + 2]
    cut = {name: clip[name][first:last] for name in _PER_VOXEL if name in clip}
    cut.update({name: clip[name][number] for name in _PER_FRAME if name in clip})
    return cut


def collate(windows: Sequence[Sequence[Mapping[str, np.ndarray]]]) -> ClipBatch:
    """Pad B windows of T frames, each from :func:`frame_of`, to one :class:`ClipBatch`."""
    frames = [frame for window in windows for frame in window]
    # A batch may consist of empty frames; one slot of padding keeps indices legal.
    largest = max(1, *(len(f['points']) for f in frames))

    def padded(name: str, fill: float, kind: torch.dtype) -> Tensor:
        if name not in frames[0]:
            return torch.empty((len(frames), 0), dtype=kind)
        tail = frames[0][name].shape[1:]
        out = torch.full((len(frames), largest, *tail), fill, dtype=kind)
        for row, frame in zip(out, frames, strict=True):
            row[: len(frame[name])] = torch.from_numpy(frame[name])
        return out

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([f[name] for f in frames]).astype(np.int64))

    points = padded('points', 0.0, torch.float32)
    count = torch.tensor([len(f['points']) for f in frames])
    centre_index = stacked('centre_index')
    centres = torch.gather(points, 1, centre_index.clamp_min(0).unsqueeze(-1).expand(-1, -1, 3))
    pillars = padded('pillars', -1, torch.int64)
    geometry = FrameGeometry(
        centre_index=centre_index,
        centres=centres * (centre_index >= 0).unsqueeze(-1),
        patch_index=stacked('patch_index'),
        context_index=stacked('context_index'),
        interpolation_index=padded('interpolation_index', -1, torch.int64),
        interpolation_weight=padded('interpolation_weight', 0.0, torch.float32),
        pillars=pillars.transpose(1, 2) if pillars.dim() == 3 else pillars,
    )
    shape = (len(windows), -1)
    features = padded('features', 0.0, torch.float32).unflatten(0, shape)
    motion = None
    if 'motion' in frames[0]:
        motion = torch.from_numpy(np.stack([f['motion'] for f in frames])).unflatten(0, shape)
    return ClipBatch(
        points=points.unflatten(0, shape),
        mask=(torch.arange(largest) < count.unsqueeze(1)).unflatten(0, shape),
        label=padded('label', IGNORE, torch.int64).unflatten(0, shape),
        action=stacked('action').unflatten(0, shape),
        geometry=geometry,
        features=features if features.dim() == 4 else None,
        motion=motion,
    )
