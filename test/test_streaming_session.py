# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The session: an answer for every point, in order, the same however the stream is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from pointata_core.bundles.bundle import load_bundle, save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.preparation_config import FeatureSpec, PreparationConfig
from pointata_core.errors import ConfigError
from pointata_core.inference.session import STAGES, Frame, FrameResult, Skipped, StreamingSession
from pointata_core.inference.time_rules import ResetReason, SkipReason
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.pointata import PointATA
from pointata_core.taxonomy import UNLABELLED

PERIOD = 100_000_000


@pytest.fixture(scope='module')
def bundle(untrained_bundle):
    return load_bundle(untrained_bundle)


def frames(count: int, points: int = 600, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.uniform(-12, 12, (points, 3)) * [1, 1, 0.1]
    return [
        (base + 0.1 * t + 0.02 * rng.normal(size=base.shape)).astype(np.float32)
        for t in range(count)
    ]


def run(session: StreamingSession, clouds, start: int = 0) -> list[FrameResult]:
    return [session.step(c, (start + t + 1) * PERIOD) for t, c in enumerate(clouds)]


def assert_same(a: FrameResult, b: FrameResult) -> None:
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.probabilities, b.probabilities)
    np.testing.assert_array_equal(a.action, b.action)


def test_every_point_gets_a_label_in_input_order(bundle):
    cloud = frames(1)[0]
    order = np.random.default_rng(1).permutation(len(cloud))
    straight = StreamingSession(bundle).step(cloud, PERIOD)
    shuffled = StreamingSession(bundle).step(cloud[order], PERIOD)
    assert straight.labels.dtype == np.uint16 and straight.labels.shape == (len(cloud),)
    assert straight.labels.max() < len(bundle.manifest.segmentation_classes)
    assert len(np.unique(straight.labels)) > 1
    np.testing.assert_array_equal(straight.labels[order], shuffled.labels)
    np.testing.assert_allclose(straight.probabilities[order], shuffled.probabilities, atol=1e-4)
    assert straight.action.shape == (len(bundle.manifest.action_classes),)
    assert straight.action.sum() == pytest.approx(1.0, abs=1e-5)
    assert tuple(straight.timings_ms) and set(straight.timings_ms) == set(STAGES)


def test_points_that_cannot_be_answered_are_unlabelled_in_place(bundle):
    cloud = frames(1)[0]
    cloud[5], cloud[9, 2], cloud[100] = np.nan, np.inf, 1e9
    result = StreamingSession(bundle).step(cloud, PERIOD)
    unlabelled = np.flatnonzero(result.labels == UNLABELLED)
    np.testing.assert_array_equal(unlabelled, [5, 9, 100])
    assert not result.probabilities[unlabelled].any()
    assert (np.delete(result.probabilities, unlabelled) > 0).all()


@pytest.mark.parametrize('cloud', [np.zeros((0, 3)), np.full((4, 3), np.nan), np.zeros((7, 3))])
def test_degenerate_clouds_are_answered_and_the_stream_goes_on(bundle, cloud):
    session = StreamingSession(bundle)
    result = session.step(cloud, PERIOD)
    assert result.labels.shape == (len(cloud),)
    assert result.action is None  # nobody was seen to do anything
    following = session.step(frames(1)[0], 2 * PERIOD)
    assert (following.labels != UNLABELLED).all()


def test_two_sessions_give_the_same_bits(bundle):
    clouds = frames(6)
    for a, b in zip(
        run(StreamingSession(bundle), clouds), run(StreamingSession(bundle), clouds), strict=True
    ):
        assert_same(a, b)


def test_history_matters_and_a_reset_forgets_it(bundle):
    clouds = frames(5)
    session = StreamingSession(bundle)
    last = run(session, clouds)[-1]
    fresh = StreamingSession(bundle).step(clouds[-1], PERIOD)
    assert not np.array_equal(last.action, fresh.action)
    session.reset(ResetReason.REQUESTED)
    again = session.step(clouds[-1], 99 * PERIOD)
    assert again.reset is ResetReason.REQUESTED
    assert_same(again, fresh)


def test_time_rules_are_applied_to_the_state(bundle):
    clouds = frames(4)
    session = StreamingSession(bundle, max_gap_s=1.0, tolerance_s=0.2)
    first = session.step(clouds[0], 10 * PERIOD)
    assert session.step(clouds[1], 10 * PERIOD) == Skipped(SkipReason.DUPLICATE_STAMP, 10 * PERIOD)
    assert session.step(clouds[1], 9 * PERIOD) == Skipped(SkipReason.OUT_OF_ORDER, 9 * PERIOD)
    # The skipped frames left no trace.
    reference = StreamingSession(bundle)
    assert_same(first, reference.step(clouds[0], 10 * PERIOD))
    assert_same(session.step(clouds[2], 11 * PERIOD), reference.step(clouds[2], 11 * PERIOD))
    for stamp, frame_id, reason in (
        (40 * PERIOD, '', ResetReason.GAP),
        (5 * PERIOD, '', ResetReason.BACKWARD_JUMP),
        (6 * PERIOD, 'other', ResetReason.FRAME_CHANGED),
    ):
        result = session.step(clouds[3], stamp, frame_id=frame_id)
        assert result.reset is reason
        assert_same(result, StreamingSession(bundle).step(clouds[3], PERIOD))


def test_an_ingested_frame_enters_the_history_like_an_answered_one(bundle):
    clouds = frames(4)
    answered, ingested = StreamingSession(bundle), StreamingSession(bundle)
    for t, cloud in enumerate(clouds[:3]):
        answered.step(cloud, (t + 1) * PERIOD)
        assert ingested.ingest(Frame(cloud, (t + 1) * PERIOD)) is None
    assert_same(answered.step(clouds[3], 4 * PERIOD), ingested.step(clouds[3], 4 * PERIOD))


def test_a_stream_saved_to_a_file_continues_with_the_same_bits(bundle):
    clouds = frames(8)
    whole = StreamingSession(bundle)
    expected = run(whole, clouds)
    first = StreamingSession(bundle)
    run(first, clouds[:4])
    saved = load(save(first.save_state()))
    second = StreamingSession(bundle)
    second.restore_state(saved)
    for a, b in zip(expected[4:], run(second, clouds[4:], start=4), strict=True):
        assert_same(a, b)
    duplicate = second.step(clouds[-1], 8 * PERIOD)
    assert isinstance(duplicate, Skipped)


@pytest.fixture(scope='module')
def looking_back(tmp_path_factory):
    """A bundle whose tokens are compared with the points of frames before, and know a field."""
    config = NetworkConfig(
        backbone=BackboneConfig(24, 3, 2, encoder_hidden=(8, 12), encoder_width=24),
        geometry=GeometryConfig(tokens=8, patch_size=6),
        features=('intensity',),
        motion_lags=(1, 3),
        token_fields=True,
        adapter_width=6,
        segmentation_classes=('ground', 'car'),
        segmentation_blocks=(3,),
        action_classes=('rest', 'go'),
        position_width=6,
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = PointATA(config)
        for parameter in network.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.3)
    fields = {'intensity': FeatureSpec()}
    preparation = PreparationConfig(max_voxels=256, voxel_size_m=0.2, features=fields)
    path = tmp_path_factory.mktemp('bundles') / 'looking_back'
    manifest = Manifest.for_network(
        'looking_back', config.to_dict(), preset='tiny', preparation=preparation.to_dict()
    )
    save_bundle(path, network, manifest)
    return load_bundle(path)


def test_points_of_earlier_frames_travel_with_a_saved_stream(looking_back):
    clouds = [cloud[: 600 - 90 * t] for t, cloud in enumerate(frames(6))]
    motion = np.eye(4)
    motion[0, 3] = 0.4

    def step(session: StreamingSession, t: int, intensity: float = 1.0) -> FrameResult:
        field = {'intensity': np.full(len(clouds[t]), intensity, np.float32)}
        return session.step(clouds[t], (t + 1) * PERIOD, field, transform=motion)

    whole, forgetful = StreamingSession(looking_back), StreamingSession(looking_back)
    expected = [step(whole, t) for t in range(6)]
    first = StreamingSession(looking_back)
    for t in range(3):
        step(first, t)
    second = StreamingSession(looking_back)
    second.restore_state(load(save(first.save_state())))
    for t in range(3, 6):
        assert_same(expected[t], step(second, t))
    for t in range(1, 4):
        short = step(forgetful, t)
    # Only the frame three before is missing there.
    assert not np.array_equal(short.probabilities, expected[3].probabilities)
    assert not np.array_equal(step(forgetful, 4, 2.0).action, expected[4].action)


def test_a_foreign_state_is_refused_and_changes_nothing(bundle):
    clouds = frames(3)
    session = StreamingSession(bundle)
    run(session, clouds[:2])
    state = session.save_state()
    state['network.latents'] = state['network.latents'][:, :, :, :-1]
    with pytest.raises(ConfigError, match='latents'):
        session.restore_state(state)
    reference = StreamingSession(bundle)
    run(reference, clouds[:2])
    assert_same(session.step(clouds[2], 3 * PERIOD), reference.step(clouds[2], 3 * PERIOD))


def test_the_state_is_bounded_and_its_size_is_said(bundle):
    session, remembering = StreamingSession(bundle, label_memory=0.0), StreamingSession(bundle)
    before = session.state_bytes
    run(session, frames(5))
    assert session.state_bytes == before
    run(remembering, frames(5))
    for one in (session, remembering):
        held = sum(
            t.numel() * t.element_size()
            for n, t in one.save_state().items()
            if n.startswith(('network.', 'labels.'))
        )
        assert one.state_bytes == held


def test_non_finite_answers_become_unlabelled_and_are_counted(bundle):
    session = StreamingSession(bundle)
    head = session.network.segmentation_head.classify
    bias = head.bias.detach().clone()
    try:
        with torch.no_grad():
            head.bias.fill_(float('nan'))
        result = session.step(frames(1)[0], PERIOD)
    finally:
        with torch.no_grad():
            head.bias.copy_(bias)
    assert (result.labels == UNLABELLED).all()
    assert result.non_finite == result.voxels > 0


def test_ego_motion_changes_the_answer_of_a_moving_sensor(bundle):
    world = frames(1)[0]
    step = np.float32([3.0, 0.0, 0.0])
    motion = np.eye(4)
    motion[:3, 3] = -step
    compensated, plain = StreamingSession(bundle), StreamingSession(bundle)
    for t in range(4):
        cloud = world - t * step
        with_motion = compensated.step(cloud, (t + 1) * PERIOD, transform=motion if t else None)
        without = plain.step(cloud, (t + 1) * PERIOD)
    assert not np.array_equal(with_motion.action, without.action)
