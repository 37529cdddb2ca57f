# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Token centres that follow what they lie on: causal, exact, sampled again if nothing is left."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.protocol import Clip
from pointata_core.errors import ConfigError
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.session import StreamingSession
from pointata_core.models.point.clip_tubes import clip_parents
from pointata_core.models.point.config import GeometryConfig, preset_config
from pointata_core.models.point.geometry import (
    Centres,
    clip_geometry,
    frame_geometry,
    token_geometry,
)
from pointata_core.models.point.pointata import PointATA
from pointata_core.models.point.tubes import moved_points
from pointata_core.training.clips.preparation import prepare_clip

CONFIG = GeometryConfig(
    tokens=8, patch_size=4, context_neighbours=3, tube_radius=0.5, anchors='followed'
)
PERIOD = 100_000_000
PREPARATION = PreparationConfig(max_voxels=256, voxel_size_m=0.05, origin='first_frame')


def blobs(count: int, *centres: tuple[float, float, float], seed: int = 0) -> torch.Tensor:
    """``(1, count * blobs, 3)``: balls with a radius of about 0.2."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        0.08 * torch.randn(count, 3, generator=generator) + torch.tensor(centre)
        for centre in centres
    ]
    return torch.cat(parts).unsqueeze(0)


def follow(frames: list[torch.Tensor], config: GeometryConfig = CONFIG) -> list[Centres]:
    found, before = [], None
    for points in frames:
        tokens = token_geometry(points, None, config, before)
        before = Centres(tokens.centres, tokens.token_mask)
        found.append(before)
    return found


def test_a_history_begins_with_sampled_centres():
    points = torch.randn(3, 50, 3, generator=torch.Generator().manual_seed(1))
    expected = frame_geometry(points, None, replace(CONFIG, anchors='sampled')).centre_index
    nothing = Centres(torch.zeros(3, 8, 3), torch.zeros(3, 8, dtype=torch.bool))
    for before in (None, nothing):
        found = frame_geometry(points, None, CONFIG, before).centre_index
        assert torch.equal(found, expected)


def test_centres_stay_on_their_part_of_the_body_while_it_moves():
    """Two blobs that pass each other at a distance; what is sampled anew changes between them."""
    frames = [blobs(60, (0.1 * t, 0, 0), (1.5 - 0.1 * t, 1, 0), seed=t) for t in range(16)]
    centres = [one.centres[0] for one in follow(frames)]
    blob = torch.stack([c[:, 1] > 0.5 for c in centres])
    assert (blob == blob[0]).all()
    for t, (earlier, later) in enumerate(pairwise(centres)):
        step = (later - earlier).norm(dim=1)
        assert float(step.max()) <= CONFIG.tube_radius
        middle = torch.tensor([[0.1 * (t + 1), 0, 0], [1.4 - 0.1 * t, 1, 0]])
        assert float((later - middle[blob[0].long()]).norm(dim=1).max()) < 0.4
    sampled = follow(frames, replace(CONFIG, anchors='sampled'))
    changes = torch.stack([c.centres[0][:, 1] > 0.5 for c in sampled])
    assert not (changes == changes[0]).all()


def test_a_centre_moves_to_its_own_point_next_to_their_mean():
    before = torch.zeros(1, 8, 3)
    before[0, 1] = torch.tensor([2.0, 0, 0])
    mask = torch.tensor([[True, True, *[False] * 6]])
    points = torch.tensor([[[0.3, 0, 0], [0.1, 0, 0], [-0.1, 0, 0], [2.2, 0, 0], [9, 9, 9]]])
    found = token_geometry(points, None, CONFIG, Centres(before, mask)).centre_index[0].tolist()
    assert found[:2] == [1, 3]  # the mean of the first three is 0.1
    assert found[2] == 4  # the farthest from both comes first into an empty slot
    assert sorted(found[2:5]) == [0, 2, 4] and found[5:] == [-1, -1, -1]


def test_where_nothing_is_left_a_centre_is_sampled_again_and_its_tube_ends():
    both, one = blobs(40, (0, 0, 0), (3, 0, 0)), blobs(40, (0, 0, 0), seed=1)
    first, second, third = follow([both, one, both])
    gone = first.centres[0, :, 0] > 1.5
    assert 0 < int(gone.sum()) < 8
    assert (second.centres[0, :, 0] < 1.5).all() and second.mask.all()
    distinct = torch.unique(second.centres[0], dim=0)
    assert len(distinct) == 8
    clip = torch.stack([both[:, :40], one], dim=1)
    geometry = clip_geometry(clip, None, None, CONFIG)
    parents = clip_parents(geometry, None, 1, CONFIG)
    assert (parents[0, 0] == -1).all()
    kept = parents[0, 1] == torch.arange(9)
    assert ((parents[0, 1] == -1) | kept).all() and kept[0]
    # Back in sight, the blob gets one of those that crowd, and only what lies beyond their reach.
    assert 1 <= int((third.centres[0, :, 0] > 1.5).sum()) <= 4
    assert len(torch.unique(third.centres[0], dim=0)) == 8


def test_slots_that_had_no_point_are_filled_when_there_are_some():
    few = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 0, 0]]])
    first, second = follow([few, blobs(30, (0, 0, 0))])
    assert int(first.mask.sum()) == 2 and second.mask.all()
    empty = token_geometry(torch.zeros(1, 0, 3), None, CONFIG, second)
    assert not empty.token_mask.any()


def test_followed_tubes_live_longer_than_sampled_ones():
    frames = torch.stack(
        [blobs(60, (0.15 * t, 0, 0), (0, 0.15 * t + 1, 0), seed=t) for t in range(12)], dim=1
    )
    alive = {}
    for anchors in ('sampled', 'followed'):
        config = replace(CONFIG, anchors=anchors, tube_radius=0.4)
        geometry = clip_geometry(frames, None, None, config)
        slots = clip_parents(geometry, None, 1, config)[0, 1:, 1:]
        chain, life = torch.arange(8), 0
        for parents in slots.flip(0):
            chain = torch.where(chain >= 0, parents[chain.clamp_min(0)] - 1, -1)
            chain = torch.where(chain < 0, -1, chain)
            life += len({slot for slot in chain.tolist() if slot >= 0})
        alive[anchors] = life
    assert alive['followed'] > 1.3 * alive['sampled']  # distinct tubes, added over the frames


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 9999), points=st.integers(3, 40), frames=st.integers(1, 4),
    padding=st.integers(0, 4), knee=st.sampled_from([0.0, 0.5]),
)  # fmt: skip
def test_centres_depend_neither_on_order_nor_on_padding_nor_on_the_batch(
    seed, points, frames, padding, knee
):
    config = replace(CONFIG, range_knee=knee)
    generator = torch.Generator().manual_seed(seed)
    clip = torch.randn(2, frames, points, 3, generator=generator)
    expected = clip_geometry(clip, None, None, config).unfold(2)
    order = torch.randperm(points, generator=generator)
    padded = torch.cat([clip[:, :, order], torch.full((2, frames, padding, 3), 7.0)], dim=2)
    mask = torch.ones(2, frames, points + padding, dtype=torch.bool)
    mask[:, :, points:] = False
    found = clip_geometry(padded, mask, None, config).unfold(2)
    assert torch.equal(found.token_mask, expected.token_mask)
    assert torch.equal(found.centres, expected.centres)
    for row in range(2):
        alone = clip_geometry(clip[row : row + 1], None, None, config)
        assert torch.equal(alone.centre_index, expected.centre_index[row])


def test_the_motion_of_the_sensor_carries_centres_along():
    still = blobs(50, (0, 0, 0), (1, 0, 0))
    motion = torch.eye(4).repeat(1, 4, 1, 1)
    motion[:, 1:, 0, 3] = 2.0  # beyond the reach of any centre
    frames = [still]
    for t in range(1, 4):
        frames.append(moved_points(frames[-1], motion[:, t]))
    clip = torch.stack(frames, dim=1)
    geometry = clip_geometry(clip, None, motion, CONFIG)
    index = geometry.centre_index
    assert float((index[2] == index[3]).float().mean()) > 0.6
    parents = clip_parents(geometry, motion, 1, CONFIG)
    assert (parents[0, 1:] == torch.arange(9)).all()
    lost = clip_geometry(clip, None, None, CONFIG)
    parents = clip_parents(lost, None, 1, CONFIG)
    assert (parents[0, 1:, 1:] == -1).all()


def test_settings_name_what_is_wrong():
    with pytest.raises(ConfigError, match=r"geometry.anchors is 'kept'"):
        GeometryConfig(anchors='kept')
    assert not GeometryConfig(tokens=0, anchors='followed').follows


# ------------------------------------------------------------------ sessions and prepared clips


@pytest.fixture(scope='module')
def bundle(tmp_path_factory):
    config = preset_config(
        'tiny',
        geometry=GeometryConfig(
            tokens=12, patch_size=6, context_neighbours=3, tube_radius=0.4, anchors='followed'
        ),
        segmentation_classes=('ground', 'person'),
        action_classes=('none', 'walk'),
        position_width=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PointATA(config)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)
    path = tmp_path_factory.mktemp('bundles') / 'followed'
    manifest = Manifest.for_network(
        'followed', config.to_dict(), preset='tiny', preparation=PREPARATION.to_dict()
    )
    save_bundle(path, network, manifest)
    return load_bundle(path)


def clouds(count: int) -> list[np.ndarray]:
    return [
        blobs(150, (2 + 0.05 * t, 0, 0), (2, 1 - 0.05 * t, 0), seed=t)[0].numpy()
        for t in range(count)
    ]


def run(session: StreamingSession, frames: list[np.ndarray], start: int = 0) -> list:
    return [session.step(c, (start + t + 1) * PERIOD) for t, c in enumerate(frames)]


def assert_same(a, b) -> None:
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    np.testing.assert_array_equal(a.action, b.action)


def test_a_stream_goes_on_from_a_saved_state_with_the_same_bits(bundle):
    frames = clouds(8)
    whole = run(StreamingSession(bundle), frames)
    first, second = StreamingSession(bundle), StreamingSession(bundle)
    run(first, frames[:5])
    second.restore_state(first.save_state())
    for expected, found in zip(whole[5:], run(second, frames[5:], 5), strict=True):
        assert_same(expected, found)


def test_a_prepared_clip_has_the_centres_of_the_stream(bundle):
    frames = clouds(6)
    frames[3] = np.zeros((0, 3), np.float32)  # the stream begins anew behind it
    session, seen = StreamingSession(bundle), []
    for t, cloud in enumerate(frames):
        session.step(cloud, (t + 1) * PERIOD)
        seen.append(session._state.centres[0].numpy().copy())
    clip = Clip(frames, 'clip', action=1)
    preparer = FramePreparer(PREPARATION)
    arrays = prepare_clip(clip, preparer, bundle.network.config.geometry, ['clip'])
    ends = arrays['offsets']
    for t in range(6):
        points = arrays['points'][ends[t] : ends[t + 1]]
        index = arrays['centre_index'][t]
        expected = np.zeros((12, 3), np.float32)
        expected[index >= 0] = points[index[index >= 0]]
        np.testing.assert_array_equal(seen[t], expected)
