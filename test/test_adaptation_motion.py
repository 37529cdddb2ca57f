# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sensor's motion in training: what stands still stays, whatever augmentation does."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.protocol import Clip
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.pointata import PointATA
from pointata_core.training.clips.augmentation import AugmentationConfig, augment_clip
from pointata_core.training.clips.clip_batch import collate, frame_of
from pointata_core.training.clips.preparation import prepare_clip, sensor_motions
from pointata_core.training.skill.settings import TrainingSettings

AUGMENTATION = AugmentationConfig(rotation_deg=180, tilt_deg=5, scale=(0.8, 1.2), mirror=True)
GEOMETRY = GeometryConfig(tokens=8, patch_size=4, tube_radius=0.3, context_neighbours=2)
PREPARATION = PreparationConfig(scale_m=4.0, voxel_size_m=0.02, range_knee_m=0.0, max_voxels=512)


def drive(frames: int = 4, points: int = 60) -> Clip:
    """Things at rest, seen while the sensor turns and drives."""
    rng = np.random.default_rng(2)
    world, poses = rng.uniform(-6, 6, (points, 3)), []
    for number in range(frames):
        pose, angle = np.eye(4), 0.2 * number
        pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        pose[:3, 3] = 0.9 * number, 0.1 * number**2, 0.05 * number
        poses.append(pose)
    clouds = [(world - pose[:3, 3]) @ pose[:3, :3] for pose in poses]
    return Clip(
        points=[cloud.astype(np.float32) for cloud in clouds],
        name='drive',
        labels=[np.zeros(points, np.int64)] * frames,
        poses=np.stack(poses),
    )


def augmented(augmentation: AugmentationConfig | None) -> Clip:
    clip = drive()
    return (
        clip if augmentation is None else augment_clip(clip, augmentation, np.random.default_rng(5))
    )


def prepared(clip: Clip, *, motion: bool = True) -> dict[str, np.ndarray]:
    preparer = FramePreparer(PREPARATION)
    return prepare_clip(clip, preparer, GEOMETRY, ['points'], classes=1, motion=motion)


@pytest.mark.parametrize('augmentation', [None, AUGMENTATION])
def test_the_motion_takes_things_at_rest_to_where_they_are_seen_next(augmentation):
    clip = augmented(augmentation)
    motions = sensor_motions(clip)
    np.testing.assert_allclose(motions[0], np.eye(4), atol=1e-12)
    for (before, now), motion in zip(pairwise(clip.points), motions[1:], strict=True):
        np.testing.assert_allclose(before @ motion[:3, :3].T + motion[:3, 3], now, atol=1e-4)
        assert np.abs(before - now).max() > 0.5


def test_batches_bring_the_motion_to_the_network_in_its_units():
    arrays = prepared(augmented(AUGMENTATION))
    batch = collate([[frame_of(arrays, number) for number in range(4)]] * 2)
    assert batch.motion.shape == (2, 4, 4, 4)
    assert torch.equal(batch.take(torch.tensor([1])).motion, batch.motion[1:])
    for number in range(1, 4):
        turn, shift = batch.motion[0, number, :3, :3], batch.motion[0, number, :3, 3]
        carried = batch.points[0, number - 1][batch.mask[0, number - 1]] @ turn.T + shift
        distance = torch.cdist(carried, batch.points[0, number][batch.mask[0, number]])
        assert distance.min(dim=1).values.median() < 1e-3
    still = prepared(drive(), motion=False)
    assert collate([[frame_of(still, 0)]]).motion is None


def test_a_whole_clip_with_motion_is_answered_as_its_stream_is():
    arrays = prepared(drive())
    batch = collate([[frame_of(arrays, number) for number in range(4)]])
    config = NetworkConfig(
        backbone=BackboneConfig(24, 3, 2, encoder_hidden=(8, 12), encoder_width=24),
        geometry=GEOMETRY, embedder_frames=2, adapter_width=6, context_width=0,
        segmentation_classes=('a', 'b'), segmentation_blocks=(3,),
    )  # fmt: skip
    torch.manual_seed(0)
    network = PointATA(config).eval()
    with torch.no_grad():
        for adapter in network.adapters:
            adapter.up.weight.normal_(std=0.3)
        network.embedder.patch_encoder.point_in.weight[:, 3:].normal_()
        whole = network(batch.points, None, batch.mask, batch.motion).segmentation[0, -1]
        blind = network(batch.points, None, batch.mask).segmentation[0, -1]
        state = network.initial_state()
        for number in range(4):
            output, state = network.step(
                batch.points[:, number], state, mask=batch.mask[:, number],
                motion=batch.motion[:, number] if number else None,
            )  # fmt: skip
    torch.testing.assert_close(output.segmentation[0], whole, atol=1e-5, rtol=1e-4)
    assert (whole - blind).abs().max() > 1e-2


def test_motion_needs_poses():
    with pytest.raises(ConfigError, match=r'drive has no poses, which data\.motion needs'):
        prepared(replace(drive(), poses=None))


def test_clips_prepared_with_and_without_motion_stay_apart():
    settings = TrainingSettings()
    moving = replace(settings, data=replace(settings.data, motion=True))
    without, with_motion = (one.store_recipe('fit', True) for one in (settings, moving))
    assert replace(with_motion, motion=False).key == without.key != with_motion.key
