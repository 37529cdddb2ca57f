# SPDX-License-Identifier: Apache-2.0
"""Labelled clips, prepared once: voxels, their labels and their geometry, kept in one file a clip.

Sampling and neighbour search cost more than a training step's arithmetic and do not change under
rotation, reflection or small scaling about the sensor. So they are done once, by the very functions
that the live session uses, and cached.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import FrameGeometry, frame_geometry
from pointata_core.models.point.pointata import PointATA

IGNORED = 255
"""Label of a voxel that takes no part in the loss."""


@dataclass(frozen=True)
class LabelledFrame:
    """One frame to learn from.

    Attributes:
        points: ``(N, 3)`` metres.
        label: ``(N,)``, or ``None`` where points have none.
        action: Class; negative for none to learn.
        features: Sensor fields by name, each ``(N,)``.
        motion: ``(4, 4)`` metres, taking the frame before into this one, or ``None``.
    """

    points: np.ndarray
    label: np.ndarray | None
    action: int
    features: Mapping[str, np.ndarray] | None = None
    motion: np.ndarray | None = None


@dataclass(frozen=True)
class ClipBatch:
    """B clips of T frames, padded to the largest frame.

    Attributes:
        points: ``(B, T, M, 3)`` normalised.
        mask: ``(B, T, M)``.
        label: ``(B, T, M)`` int64, ``IGNORED`` for padding and unlabelled voxels.
        action: ``(B, T)`` int64; negative for none to learn.
        geometry: Of the ``B * T`` frames.
        features: ``(B, T, M, C)`` or ``None``.
        prefix: ``(B * T, 1 + G, D)`` from :meth:`PointATA.encode_prefix`, or ``None``.
        motion: ``(B, T, 4, 4)`` taking the frame before into each frame, normalised, or ``None``.
        auxiliary: ``(B * T, G, C)`` from :meth:`PointATA.clip_auxiliary`, where they are kept, or ``None``.
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

        def own(frames: Tensor) -> Tensor:
            return frames.unflatten(0, self.action.shape)[clips].flatten(0, 1)

        return ClipBatch(
            points=self.points[clips],
            mask=self.mask[clips],
            label=self.label[clips],
            action=self.action[clips],
            geometry=self.geometry.map(own),
            features=None if self.features is None else self.features[clips],
            prefix=None if self.prefix is None else own(self.prefix),
            motion=None if self.motion is None else self.motion[clips],
            auxiliary=None if self.auxiliary is None else own(self.auxiliary),
        )

    def at_frames(self, numbers: Tensor) -> ClipBatch:
        """The same clips with other frames in the place of theirs.

        Cues stay those of the frames as they were taken. The step from one frame to the next is no
        longer the sensor's, so a batch that knows its motion is refused.

        Args:
            numbers: ``(B, T)`` which frame of its clip comes at each place.

        Raises:
            ConfigError: The batch has the sensor's motion.
        """
        if self.motion is not None:
            raise ConfigError(
                'frames of clips with data.motion cannot change places',
                'Leave optimiser.time_warp at 0 where data.motion is on',
            )
        clips, frames = self.action.shape
        numbers = numbers.to(self.action.device)
        rows = (numbers + frames * torch.arange(clips, device=numbers.device)[:, None]).flatten()

        def own(values: Tensor) -> Tensor:
            return values[rows]

        def clipwise(values: Tensor) -> Tensor:
            return own(values.flatten(0, 1)).unflatten(0, (clips, frames))

        return ClipBatch(
            points=clipwise(self.points),
            mask=clipwise(self.mask),
            label=clipwise(self.label),
            action=clipwise(self.action),
            geometry=self.geometry.map(own),
            features=None if self.features is None else clipwise(self.features),
            prefix=None if self.prefix is None else own(self.prefix),
            auxiliary=None if self.auxiliary is None else own(self.auxiliary),
        )

    def to(self, device: torch.device | str) -> ClipBatch:
        """Move to a device."""
        moved = {}
        for name, value in self.__dict__.items():
            if isinstance(value, FrameGeometry):
                moved[name] = value.map(lambda t: t.to(device, non_blocking=True))
            elif value is not None:
                moved[name] = value.to(device, non_blocking=True)
        return ClipBatch(**moved)


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


def voxel_labels(
    label: np.ndarray, voxel_of_point: np.ndarray, voxels: int, classes: int
) -> np.ndarray:
    """Return each voxel's majority label ``(M,)`` uint8; ``IGNORED`` where no point has one."""
    use = (voxel_of_point >= 0) & (label < classes)
    votes = np.bincount(voxel_of_point[use] * classes + label[use], minlength=voxels * classes)
    votes = votes.reshape(voxels, classes)
    return np.where(votes.any(axis=1), votes.argmax(axis=1), IGNORED).astype(np.uint8)


def prepare_clip(
    frames: Iterable[LabelledFrame],
    preparer: FramePreparer,
    geometry: GeometryConfig,
    classes: int,
) -> dict[str, np.ndarray]:
    """Prepare the frames of one clip, ready for :func:`write_clip`.

    Args:
        frames: In order of time; the clip begins as a stream does.
        preparer: Voxels and normalisation.
        geometry: Tokens and patches.
        classes: Number of segmentation classes; 0 leaves out what only their head needs.
    """
    columns: dict[str, list[np.ndarray]] = {}

    def put(name: str, values: np.ndarray) -> None:
        columns.setdefault(name, []).append(values)

    sizes, actions, origin = [], [], None
    for frame in frames:
        prepared = preparer.prepare(frame.points, frame.features, origin)
        voxels = len(prepared.points)
        if voxels:
            origin = prepared.origin
        layout = frame_geometry(prepared.points.unsqueeze(0), None, geometry)
        sizes.append(voxels)
        actions.append(frame.action)
        put('points', prepared.points.numpy())
        if frame.motion is not None:
            put('motion', preparer.motion(frame.motion, prepared.origin).numpy())
        if prepared.features is not None:
            put('features', prepared.features.numpy())
        for name in ('centre_index', 'patch_index', 'context_index'):
            put(name, getattr(layout, name).short().numpy())
        if classes:
            label = np.full(len(frame.points), IGNORED) if frame.label is None else frame.label
            put('label', voxel_labels(label, prepared.voxel_of_point, voxels, classes))
            put('interpolation_index', layout.interpolation_index[0].short().numpy())
            put('interpolation_weight', layout.interpolation_weight[0].numpy())
            put('pillars', layout.pillars[0].short().numpy().T)
    arrays = {name: np.concatenate(values) for name, values in columns.items()}
    arrays['offsets'] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    arrays['action'] = np.asarray(actions, dtype=np.int64)
    return arrays


def write_clip(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a prepared clip; the file appears whole or not at all."""
    partial = path.with_suffix(f'.{os.getpid()}.part')
    with partial.open('wb') as file:
        np.savez(file, **arrays)
    partial.replace(path)


class PreparedClips(torch.utils.data.Dataset):
    """Windows of T consecutive frames from prepared clips held in memory.

    Args:
        paths: Files of :func:`write_clip`.
        frames: T.
        stride: Frames between the starts of two windows.
    """

    def __init__(self, paths: Iterable[Path], frames: int, stride: int) -> None:
        self.frames = frames
        paths = sorted(paths)
        self.names = [path.stem for path in paths]
        self.clips = [dict(np.load(path)) for path in paths]
        self.windows = [
            (number, start)
            for number, clip in enumerate(self.clips)
            for start in range(0, len(clip['action']) - frames + 1, stride)
        ]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, item: int) -> list[dict[str, np.ndarray]]:
        number, start = self.windows[item]
        clip = self.clips[number]
        return [frame_of(clip, t) for t in range(start, start + self.frames)]


_DENSE = ('label', 'interpolation_index', 'interpolation_weight', 'pillars')
_PER_VOXEL = ('points', 'features', *_DENSE)
_PER_FRAME = ('centre_index', 'patch_index', 'context_index', 'action', 'motion')


def frame_of(clip: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    """Cut one frame out of a prepared clip."""
    first, last = clip['offsets'][number : number + 2]
    cut = {name: clip[name][first:last] for name in _PER_VOXEL if name in clip}
    cut.update({name: clip[name][number] for name in _PER_FRAME if name in clip})
    return cut


def collate(batch: list[list[dict[str, np.ndarray]]]) -> ClipBatch:
    """Pad B windows of T frames to one :class:`ClipBatch`."""
    frames = [frame for window in batch for frame in window]
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
    shape = (len(batch), -1)
    features = padded('features', 0.0, torch.float32).unflatten(0, shape)
    motion = None
    if 'motion' in frames[0]:
        motion = torch.from_numpy(np.stack([f['motion'] for f in frames])).unflatten(0, shape)
    return ClipBatch(
        points=points.unflatten(0, shape),
        mask=(torch.arange(largest) < count.unsqueeze(1)).unflatten(0, shape),
        label=padded('label', IGNORED, torch.int64).unflatten(0, shape),
        action=stacked('action').unflatten(0, shape),
        geometry=geometry,
        features=features if features.dim() == 4 else None,
        motion=motion,
    )


def augment(batch: ClipBatch, generator: torch.Generator) -> ClipBatch:
    """Turn, mirror and scale every clip about the sensor, the same for all its frames.

    Rotation about the vertical axis by any angle, reflection across it by chance, one scale in
    [0.95, 1.05] and a height offset of up to 0.05 units (the sensor's mounting). The cached
    geometry stays valid.
    """
    clips, frames = batch.points.shape[:2]

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(clips, generator=generator) * (high - low) + low

    angle, scale = uniform(-torch.pi, torch.pi), uniform(0.95, 1.05)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    turn = torch.zeros(clips, 3, 3)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos() * scale, -angle.sin() * scale * mirror
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin() * scale, angle.cos() * scale * mirror
    turn[:, 2, 2] = scale
    lift = torch.zeros(clips, 1, 3)
    lift[:, 0, 2] = uniform(-0.05, 0.05)

    def move(points: Tensor) -> Tensor:
        moved = points.flatten(1, 2) @ turn.transpose(1, 2) + lift
        return moved.unflatten(1, points.shape[1:3])

    layout = batch.geometry
    centres = move(layout.centres.unflatten(0, (clips, frames))).flatten(0, 1)
    centres = centres * layout.token_mask.unsqueeze(-1)
    points = move(batch.points) * batch.mask.unsqueeze(-1)
    fields = {**layout.__dict__, 'centres': centres}
    return replace(batch, points=points, geometry=FrameGeometry(**fields))
