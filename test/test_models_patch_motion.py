# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ways of patches from earlier frames' points: what they are, and who hears of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.models.point.patch_motion import (
    DISPLACEMENT_WIDTH,
    PointHistory,
    clip_displacements,
    moved_points,
    patch_displacements,
    rotated_displacements,
)
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.token_features import AuxiliaryEmbedding

GEOMETRY = GeometryConfig(tokens=5, patch_size=4, tube_radius=0.5, context_neighbours=2)
CONFIG = NetworkConfig(
    backbone=BackboneConfig(width=24, depth=3, heads=2, encoder_hidden=(8, 12), encoder_width=24),
    geometry=GEOMETRY,
    motion_lags=(1, 2),
    adapter_width=6,
    adapted_blocks=2,
    context_width=4,
    segmentation_blocks=(3,),
    action_classes=('a', 'b', 'c'),
)


def cloud(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, 3, generator=torch.Generator().manual_seed(seed))


def rigid(seed: int, *shape: int) -> torch.Tensor:
    """Rotations about z with shifts, ``(*shape, 4, 4)``."""
    drawn = torch.randn(*shape, 4, generator=torch.Generator().manual_seed(seed))
    motion = torch.eye(4).repeat(*shape, 1, 1)
    cos, sin = drawn[..., 0].cos(), drawn[..., 0].sin()
    motion[..., 0, 0], motion[..., 0, 1] = cos, -sin
    motion[..., 1, 0], motion[..., 1, 1] = sin, cos
    motion[..., :3, 3] = 0.3 * drawn[..., 1:]
    return motion


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    points=st.integers(1, 30),
    earlier=st.integers(1, 30),
    reach=st.floats(0.1, 3.0),
)
def test_ways_are_those_of_a_search_by_hand(seed, points, earlier, reach):
    now, before = cloud(seed, 2, points), cloud(seed + 1, 2, earlier)
    mask = torch.rand(2, earlier, generator=torch.Generator().manual_seed(seed)) < 0.7
    layout = frame_geometry(now, None, GEOMETRY)
    found = patch_displacements(now, layout, before, mask, reach)
    assert found.shape == (2, 5, DISPLACEMENT_WIDTH)
    for frame in range(2):
        there = before[frame][mask[frame]].double().numpy()
        for token in range(5):
            members = layout.patch_index[frame, token]
            members = members[members >= 0]
            if not len(members) or not len(there):
                assert not found[frame, token].any()
                continue
            displacements = []
            for index in [layout.centre_index[frame, token], *members]:
                point = now[frame, index].double().numpy()
                displacement = point - there[np.argmin(np.linalg.norm(point - there, axis=1))]
                length = np.linalg.norm(displacement) / reach
                displacements.append([*(displacement / reach / max(length, 1)), min(length, 1)])
            expected = [*displacements[0], np.mean(displacements[1:], axis=0)[3], 1.0]
            np.testing.assert_allclose(found[frame, token].numpy(), expected, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), still=st.booleans(), lags=st.sets(st.integers(1, 4), min_size=1))
def test_a_trail_says_frame_by_frame_what_the_whole_clip_says(seed, still, lags):
    lags = tuple(sorted(lags))
    sizes = [7, 12, 1, 9, 12, 3]
    points = cloud(seed, 1, len(sizes), max(sizes))
    mask = torch.arange(max(sizes)).view(1, 1, -1) < torch.tensor(sizes)[:, None]
    motion = None if still else rigid(seed, 1, len(sizes))
    layout = frame_geometry(points[0], mask[0], GEOMETRY)
    whole = clip_displacements(points, mask, layout, motion, lags, 0.5)
    history = PointHistory.empty(max(lags), 1, 'cpu', torch.float32)
    for number, size in enumerate(sizes):
        frame = points[:, number, :size]
        history = history.moved(None if still else motion[:, number])
        displacements = history.displacements(
            frame, frame_geometry(frame, None, GEOMETRY), lags, 0.5
        )
        torch.testing.assert_close(displacements[0], whole[number], atol=1e-5, rtol=0)
        history = history.followed_by(frame, None)
    assert len(history.points) == max(lags)


def test_what_stands_still_has_come_no_way_once_the_sensors_motion_is_taken_out():
    motion = rigid(3, 1, 5)
    frames = [cloud(4, 1, 30)]
    frames += [moved_points(frames[-1], motion[:, 1])]
    for number in range(2, 5):
        frames.append(moved_points(frames[-1], motion[:, number]))
    clip = torch.stack(frames, 1)
    layout = frame_geometry(clip.flatten(0, 1), None, GEOMETRY)
    told = clip_displacements(clip, None, layout, motion, (1, 3), 1.0).view(
        5, 5, 2, DISPLACEMENT_WIDTH
    )
    unaware = clip_displacements(clip, None, layout, None, (1, 3), 1.0).view(
        5, 5, 2, DISPLACEMENT_WIDTH
    )
    assert told[..., :5].abs().max() < 1e-5
    assert unaware[1:, :, 0, 3].min() > 1e-2
    # Whether there was such a frame: not before the first, nor before the third back.
    assert told[..., 5].eq(torch.tensor([[0, 0], [1, 0], [1, 0], [1, 1], [1, 1]])[:, None]).all()


def test_ways_turn_with_the_clip():
    clip = 0.3 * cloud(6, 2, 3, 20)
    matrix = 1.2 * rigid(7, 2)[:, :3, :3]
    layout = frame_geometry(clip.flatten(0, 1), None, GEOMETRY)
    before = clip_displacements(clip, None, layout, None, (1,), 100.0)
    after = clip_displacements(clip @ matrix.unsqueeze(1), None, layout, None, (1,), 100.0)
    turned = rotated_displacements(before.unflatten(0, (2, 3)), matrix).flatten(0, 1)
    torch.testing.assert_close(turned, after, atol=1e-5, rtol=1e-4)


def test_motion_is_silent_until_trained_and_then_reaches_the_adapted_blocks():
    torch.manual_seed(0)
    network = PointATA(CONFIG).eval()
    deaf = PointATA(replace(CONFIG, motion_lags=()))
    deaf.load_state_dict({k: v for k, v in network.state_dict().items() if 'auxiliary.' not in k})
    clip = cloud(8, 1, 4, 30)
    with torch.no_grad():
        torch.testing.assert_close(network(clip).action, deaf.eval()(clip).action)
    network.train()
    network(clip).action.square().sum().backward()
    assert network.auxiliary.up.weight.grad.any()
    with torch.no_grad():
        network.auxiliary.up.weight.normal_()
        network.eval()
        assert (network(clip).action - deaf(clip).action).abs().max() > 1e-3


def test_slots_without_a_token_hear_nothing():
    embedding = AuxiliaryEmbedding(2 * DISPLACEMENT_WIDTH, 24)
    torch.nn.init.normal_(embedding.up.bias)
    heard = embedding(
        torch.randn(1, 3, 2 * DISPLACEMENT_WIDTH), torch.tensor([[True, False, True]])
    )
    assert heard[:, 0].any()
    assert not heard[:, 1].any()


def test_an_answer_depends_on_as_many_frames_as_the_receptive_field_says():
    torch.manual_seed(1)
    linked = replace(GEOMETRY, tube_radius=20.0)
    network = PointATA(replace(CONFIG, geometry=linked, motion_lags=(1, 6), readout_frames=2))
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    network.eval()
    reach = network.receptive_field
    clip = cloud(9, 1, reach + 1, 20)
    other = clip.clone()
    other[:, 0] += 1.0
    with torch.no_grad():
        torch.testing.assert_close(network(clip).action[:, -1], network(other).action[:, -1])
        other[:, 1] += 1.0
        assert not torch.equal(network(clip).action[:, -1], network(other).action[:, -1])


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'motion_lags': (0, 1)}, r'motion_lags are \[0, 1\]'),
        ({'motion_lags': (2, 1)}, r'motion_lags are \[2, 1\]'),
        ({'motion_lags': (1, 1)}, r'motion_lags are \[1, 1\]'),
        ({'motion_reach': 0.0}, r'motion_reach is 0\.0'),
        ({'token_fields': True}, 'token_fields is on, but there are no features'),
    ],
)
def test_settings_that_make_no_sense_are_named(changes, named):
    with pytest.raises(ConfigError, match=named):
        replace(CONFIG, **changes)
