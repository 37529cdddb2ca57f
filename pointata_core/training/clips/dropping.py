# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sensor may lack, left out of training clips: points, intensities, its own motion.

A network that has trained without them does not rest on any one of them. For networks without
tokens: the tokens of a prepared clip are chosen from all of its points.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.clip_batch import ClipBatch


@dataclass(frozen=True)
class DropSettings:
    """How much is left out, drawn for every clip and step.

    Args:
        points: Largest share of the points that a clip loses.
        jitter: Standard deviation of noise on every point, normalised units.
        features: Share of the clips whose sensor fields take their default values, all zero.
        motion: Share of the clips for which the sensor seems to be at rest.
    """

    points: float = 0.0
    jitter: float = 0.0
    features: float = 0.0
    motion: float = 0.0

    def __post_init__(self) -> None:
        for name in ('points', 'features', 'motion'):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'drop.{name} is {getattr(self, name)}, expected 0 to 1')
        if self.jitter < 0:
            raise ConfigError(f'drop.jitter is {self.jitter}, expected >= 0')


def drop(batch: ClipBatch, config: DropSettings, seed: int, part: int = 0) -> ClipBatch:
    """Leave things out of every clip.

    Args:
        batch: Clips of one process.
        config: How much.
        seed: Of this step.
        part: Which part of the batch of all processes this is: any number of processes changes a
            clip alike.

    Raises:
        ConfigError: The clips have tokens, which were chosen from all points.
    """
    if config == DropSettings():
        return batch
    if batch.geometry.token_mask.shape[1]:
        raise ConfigError(
            'drop is for networks without tokens', 'Set network.geometry.tokens to 0, or drop to {}'
        )
    mask, label, points = batch.mask.clone(), batch.label.clone(), batch.points.clone()
    features = None if batch.features is None else batch.features.clone()
    motion = None if batch.motion is None else batch.motion.clone()
    clips = len(points)
    for clip in range(clips):
        generator = torch.Generator().manual_seed(seed + 7919 * (part * clips + clip))
        share, without, still = torch.rand(3, generator=generator).tolist()
        for frame in range(points.shape[1]):
            present = batch.mask[clip, frame]
            count = int(present.sum())
            lost = torch.rand(count, generator=generator) < share * config.points
            noise = torch.randn(count, 3, generator=generator) * config.jitter
            points[clip, frame, present] += noise.to(points.device)
            mask[clip, frame, present] = ~lost.to(mask.device)
        if features is not None and without < config.features:
            features[clip] = 0.0
        if motion is not None and still < config.motion:
            motion[clip] = torch.eye(4)
    label[~mask] = IGNORE
    return replace(batch, points=points, mask=mask, label=label, features=features, motion=motion)
