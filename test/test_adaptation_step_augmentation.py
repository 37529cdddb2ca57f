# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What changes in every training step: frames out of turn, and everything in them alike."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.patch_motion import DISPLACEMENT_WIDTH, clip_displacements
from pointata_core.training.clips.augmentation import (
    StepAugmentation,
    augment_step,
    warped_frames,
)
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings

GEOMETRY = GeometryConfig(tokens=5, patch_size=4, tube_radius=0.5, context_neighbours=2)
DISPLACEMENTS = 2 * DISPLACEMENT_WIDTH
WARP = StepAugmentation(time_warp=0.5)
MOVE = StepAugmentation(rotation_deg=40, shift=0.2, mirror=True)


def batch_of(clips: int = 3, frames: int = 6, points: int = 12) -> ClipBatch:
    generator = torch.Generator().manual_seed(clips)
    cloud = 0.2 * torch.randn(clips, frames, points, 3, generator=generator)
    mask = torch.rand(clips, frames, points, generator=generator) < 0.9
    flat, flat_mask = cloud.flatten(0, 1), mask.flatten(0, 1)
    layout = frame_geometry(flat, flat_mask, GEOMETRY)
    fields = torch.rand(clips * frames, 5, 2, generator=generator)
    return ClipBatch(
        points=cloud,
        mask=mask,
        label=torch.randint(0, 3, mask.shape, generator=generator),
        action=torch.arange(clips * frames).view(clips, frames),
        geometry=layout,
        features=torch.rand(clips, frames, points, 2, generator=generator),
        prefix=torch.rand(clips * frames, 6, 8, generator=generator),
        auxiliary=torch.cat(
            [clip_displacements(cloud, mask, layout, None, (1, 2), 100.0), fields], dim=-1
        ),
    )


def by_frame(batch: ClipBatch) -> dict[str, torch.Tensor]:
    """Everything that a batch holds, ``(B * T, ...)``."""
    shape = batch.action.shape
    found = {f.name: getattr(batch, f.name) for f in fields(batch)}
    found.update(vars(found.pop('geometry')))
    return {
        name: values.flatten(0, 1) if values.shape[:2] == shape else values
        for name, values in found.items()
        if values is not None
    }


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 40),
    speed=st.floats(0.05, 1.95),
    pivot=st.floats(0, 1),
)
def test_time_goes_on_at_about_the_speed_that_was_drawn(frames, speed, pivot):
    numbers = warped_frames(frames, torch.tensor([speed]), torch.tensor([pivot]))[0]
    assert numbers.min() >= 0
    assert numbers.max() < frames
    assert (numbers.diff() >= 0).all()
    inside = (numbers > 0) & (numbers < frames - 1)
    if inside.sum() > 1:
        walked = numbers[inside]
        assert abs(int(walked[-1] - walked[0]) - speed * (len(walked) - 1)) <= 1


def test_at_its_own_speed_a_clip_stays_as_it_is():
    numbers = warped_frames(16, torch.ones(2), torch.tensor([0.2, 0.9]))
    assert (numbers == torch.arange(16)).all()


def test_a_frame_that_changes_places_takes_everything_along():
    batch = batch_of()
    warped = augment_step(batch, WARP, 'z', DISPLACEMENTS, seed=3)
    old, new = by_frame(batch), by_frame(warped)
    # Actions number the frames here.
    origin = new['action']
    assert not torch.equal(origin, old['action'])
    assert (origin // 6 == torch.arange(18) // 6).all()
    assert old.keys() == new.keys()
    for name, values in old.items():
        assert torch.equal(new[name], values[origin]), name


@pytest.mark.parametrize('change', [WARP, MOVE, replace(MOVE, time_warp=0.3)])
def test_any_number_of_processes_changes_a_clip_alike(change):
    batch = batch_of(4)
    whole = by_frame(augment_step(batch, change, 'y', DISPLACEMENTS, seed=9))
    parts = [
        by_frame(
            augment_step(batch.take(torch.arange(2) + 2 * p), change, 'y', DISPLACEMENTS, 9, p, 2)
        )
        for p in range(2)
    ]
    for name, values in whole.items():
        torch.testing.assert_close(torch.cat([part[name] for part in parts]), values)
    other = by_frame(augment_step(batch, change, 'y', DISPLACEMENTS, seed=10))
    assert any(not torch.equal(other[name], values) for name, values in whole.items())


def test_displacements_turn_with_the_positions_they_belong_to():
    batch = batch_of()
    moved = augment_step(batch, MOVE, 'z', DISPLACEMENTS, seed=1)
    layout = frame_geometry(moved.points.flatten(0, 1), moved.mask.flatten(0, 1), GEOMETRY)
    anew = clip_displacements(moved.points, moved.mask, layout, None, (1, 2), 100.0)
    torch.testing.assert_close(moved.auxiliary[..., :DISPLACEMENTS], anew, atol=1e-5, rtol=1e-3)
    assert (moved.auxiliary - batch.auxiliary)[..., :DISPLACEMENTS].abs().max() > 1e-3
    assert torch.equal(moved.auxiliary[..., DISPLACEMENTS:], batch.auxiliary[..., DISPLACEMENTS:])


def test_without_settings_nothing_changes():
    batch = batch_of()
    assert augment_step(batch, StepAugmentation(), 'z', DISPLACEMENTS, seed=1) is batch


def test_clips_that_know_the_sensors_motion_keep_their_time():
    batch = replace(batch_of(), motion=torch.eye(4).repeat(3, 6, 1, 1))
    with pytest.raises(ConfigError, match=r'data\.motion'):
        augment_step(batch, WARP, 'z', DISPLACEMENTS, seed=1)


def test_such_settings_are_refused_before_anything_is_prepared():
    moving = replace(TrainingSettings().data, motion=True)
    assert TrainingSettings(data=moving).data.motion
    with pytest.raises(ConfigError, match=r'time_warp is 0\.5 and data\.motion is on'):
        TrainingSettings(data=moving, step_augmentation=WARP)
    with pytest.raises(ConfigError, match=r'data\.motion is on'):
        read_settings(
            TrainingSettings, None, ['data.motion=true', 'step_augmentation.time_warp=0.2']
        )
