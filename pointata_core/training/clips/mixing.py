# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sectors of one scan in place of those of another, in training batches of single frames.

Both parts keep their labels and the pattern of their sensor, while their neighbourhood is new (Xiao
et al., PolarMix, NeurIPS 2022). Recorded and simulated streets then occur in one scan.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from pointata_core.errors import ConfigError
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.clip_batch import ClipBatch

_NARROWEST, _WIDEST = math.radians(45), math.radians(180)


def mix_sectors(batch: ClipBatch, share: float, seed: int) -> ClipBatch:
    """Replace a sector of some clips by that of the next clip of the batch.

    Args:
        batch: Clips of one process. Those of several frames stay as they are: two sensors do not
            move alike.
        share: Of the clips, 0..1.
        seed: Of this step.

    Returns:
        A batch of the same shape. Points that find no room are lost, drawn at random.

    Raises:
        ConfigError: The clips have tokens, which were chosen from all points.
    """
    clips, frames, room = batch.mask.shape
    if not share or clips < 2 or frames > 1:
        return batch
    if batch.geometry.token_mask.shape[1]:
        raise ConfigError(
            'sectors are mixed for networks without tokens',
            'Set network.geometry.tokens or step_augmentation.sector_mix to 0',
        )
    generator = torch.Generator().manual_seed(seed)
    azimuth = torch.atan2(batch.points[..., 1], batch.points[..., 0])[:, 0]
    points, label = batch.points.clone(), batch.label.clone()
    mask = batch.mask.clone()
    features = None if batch.features is None else batch.features.clone()
    for clip in range(clips):
        chosen, first, width = torch.rand(3, generator=generator).tolist()
        if chosen >= share:
            continue
        other = (clip + 1) % clips
        begin = 2 * math.pi * first
        size = _NARROWEST + (_WIDEST - _NARROWEST) * width
        inside = torch.remainder(azimuth - begin, 2 * math.pi) < size
        own = (batch.mask[clip, 0] & ~inside[clip]).nonzero().flatten()
        new = (batch.mask[other, 0] & inside[other]).nonzero().flatten()
        source = torch.cat([own, new + room])
        order = torch.randperm(len(source), generator=generator)[:room].to(source.device)
        source = source[order.sort().values]
        filled = len(source)
        pairs = ((points, batch.points), (label, batch.label), (features, batch.features))
        for target, values in pairs:
            if target is not None and values is not None:
                target[clip, 0, :filled] = torch.cat([values[clip, 0], values[other, 0]])[source]
        mask[clip, 0] = torch.arange(room, device=mask.device) < filled
    label[~mask] = IGNORE
    return replace(batch, points=points, label=label, mask=mask, features=features)
