# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of the node that need no ROS graph: hints, budget, throttle, ego motion, diagnostics."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import rclpy
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.clock import ROSClock
from rclpy.time import Time
from scipy.spatial.transform import Rotation

from pointata_core.taxonomy import UNLABELLED
from pointata_ros.health.clock_guard import ClockGuard
from pointata_ros.health.diagnostics import ModelFacts, diagnostics, input_state
from pointata_ros.health.hints import explain_loss
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.health.throttle import BackOff, Throttle
from pointata_ros.node.budget import IngestBudget
from pointata_ros.node.colours import ColourTable
from pointata_ros.node.publishers import sorted_hypotheses
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.transforms.ego_motion import EgoMotion, TransformMissing

PERIOD_NS = 100_000_000


# ---------------------------------------------------------------------- hints


@settings(deadline=None)
@given(st.integers(12, 100), st.integers(0, 5))
def test_evenly_stamped_clouds_are_not_called_lost(count, jitter_ms):
    random = np.random.default_rng(count)
    jitter = random.integers(-jitter_ms, jitter_ms + 1, count) * 1_000_000
    assert explain_loss(np.arange(count) * PERIOD_NS + jitter, lost=0) == ''


def test_holes_between_stamps_are_reported_with_both_rates():
    arrived = np.flatnonzero(np.random.default_rng(1).random(200) < 0.5)
    text = explain_loss(arrived * PERIOD_NS, lost=0)
    assert 'suggest 10.0 Hz' in text
    assert 'fastdds_large_clouds.xml' in text


@pytest.mark.parametrize('pause_s', [0.9, 6.0, 600.0])
@pytest.mark.parametrize('before', [12, 100])
def test_a_sensor_that_paused_has_lost_nothing(pause_s, before):
    stamps = np.arange(before + 20) * PERIOD_NS
    stamps[before:] += round(pause_s * 1e9)
    for count in range(before, len(stamps) + 1):
        assert explain_loss(stamps[:count], lost=0) == ''


def test_what_came_before_a_pause_does_not_count():
    holes = np.flatnonzero(np.random.default_rng(1).random(200) < 0.5) * PERIOD_NS
    after = holes[-1] + 5_000_000_000 + np.arange(30) * PERIOD_NS
    assert explain_loss(holes, lost=0)
    assert explain_loss(np.concatenate([holes, after]), lost=0) == ''


def test_a_sensor_without_a_beat_is_not_suspected():
    stamps = np.cumsum(np.random.default_rng(2).exponential(PERIOD_NS, 300)).astype(np.int64)
    assert explain_loss(stamps, lost=0) == ''


def test_what_the_middleware_lost_is_reported_when_too_little_came_to_judge_stamps():
    assert 'lost 7 clouds' in explain_loss([0, PERIOD_NS], lost=7)


# ---------------------------------------------------------------------- budget


def budget(cost_ms: float, period_s: float, worker_s: float = 0.0) -> IngestBudget:
    result = IngestBudget()
    for frame in range(5):
        result.arrived(frame * period_s)
        timings_ms = {'decode': 1.0, 'network': cost_ms - 1.0, 'publish': 500.0, 'queue': 500.0}
        result.published(timings_ms, worker_s)
    return result


def test_ingesting_is_allowed_up_to_its_share_of_the_period():
    assert budget(cost_ms=49.0, period_s=0.1).allows(0.5)
    assert not budget(cost_ms=51.0, period_s=0.1).allows(0.5)
    assert budget(cost_ms=51.0, period_s=0.1).allows(1.0)


def test_a_share_of_zero_forbids_and_so_does_an_unknown_cost():
    assert not budget(cost_ms=1.0, period_s=0.1).allows(0.0)
    unknown = IngestBudget()
    for frame in range(5):
        unknown.arrived(frame * 0.1)
    assert not unknown.allows(1.0)


def test_the_first_dear_cloud_forbids_and_the_first_cheap_one_allows_again():
    known = budget(cost_ms=20.0, period_s=0.1)
    known.ingested(0.4)
    assert not known.allows(0.5)
    known.published({'network': 20.0}, worker_s=0.02)
    assert known.allows(0.5)


def test_another_network_has_a_cost_of_its_own():
    known = budget(cost_ms=20.0, period_s=0.1, worker_s=0.02)
    known.forget_costs()
    assert not known.allows(0.5)
    assert not known.keeps_up(inputs=1)


def test_a_pause_of_the_sensor_does_not_make_clouds_affordable():
    known = budget(cost_ms=60.0, period_s=0.1, worker_s=0.12)
    for frame in range(4):
        known.arrived(60.0 + frame * 0.1)
    assert known.period_s() == pytest.approx(0.1)
    assert not known.allows(0.5)
    assert not known.keeps_up(inputs=1)


def test_a_node_keeps_up_if_the_clouds_of_all_inputs_fit_into_the_period():
    assert budget(10.0, period_s=0.1, worker_s=0.08).keeps_up(inputs=1)
    assert not budget(10.0, period_s=0.1, worker_s=0.08).keeps_up(inputs=2)
    assert budget(10.0, period_s=0.1, worker_s=0.04).keeps_up(inputs=2)
    # What it needs nearly all its time for, it would take too long to make up.
    assert not budget(10.0, period_s=0.1, worker_s=0.097).keeps_up(inputs=1)


def test_one_long_cloud_among_many_does_not_decide():
    known = IngestBudget()
    for frame in range(60):
        known.arrived(frame * 0.1)
        known.published({}, worker_s=0.05)
    known.published({}, worker_s=2.0)
    assert known.keeps_up(inputs=1)
    known.published({}, worker_s=2.0)
    assert not known.keeps_up(inputs=1)


def test_ignorance_is_no_reason_for_patience():
    assert not IngestBudget().keeps_up(inputs=1)


# ---------------------------------------------------------------------- throttle


def test_each_kind_is_throttled_on_its_own_and_says_how_much_it_held_back():
    now, said = [0.0], []
    throttle = Throttle(said.append, period_s=5.0, now_s=lambda: now[0])
    for _ in range(4):
        throttle('frequent', 'often')
    throttle('rare', 'seldom')
    now[0] = 5.0
    throttle('frequent', 'often')
    assert said == ['often', 'seldom', 'often (and 3 more like it)']


def test_what_is_repeated_is_logged_at_growing_distances_until_it_changes():
    hints = BackOff()
    silent = [look for look in range(40) if hints(f'no cloud for {look} s')]
    assert silent == [0, 1, 3, 7, 15, 31]
    assert hints('another reason')
    assert not hints('')
    assert hints('another reason')


def test_a_clock_that_jumps_back_again_and_again_is_described_once():
    context = rclpy.Context()
    rclpy.init(context=context)
    said = []
    clock = ROSClock()
    clock._set_ros_time_is_active(True)
    guard = ClockGuard(clock, 1.0, said.append)
    for now_s in (0.0, 0.5, -0.5, 4.5, -0.5):
        clock.set_ros_time_override(Time(nanoseconds=1_700_000_000_000_000_000 + int(now_s * 1e9)))
    guard.close()
    rclpy.shutdown(context=context)
    assert said[0] == 'the time on /clock begins'
    assert 'jumped back by 1.000 s' in said[1]
    assert 'jumped by +5.000 s' in said[2]
    assert said[3:] == ['']


# ---------------------------------------------------------------------- ego motion


def pose(yaw: float, x: float, y: float) -> np.ndarray:
    result = np.eye(4)
    result[:3, :3] = Rotation.from_euler('z', yaw).as_matrix()
    result[:3, 3] = x, y, 1.5
    return result


ANGLES, METRES = st.floats(-3.0, 3.0), st.floats(-50.0, 50.0)
POSES = st.lists(st.builds(pose, ANGLES, METRES, METRES), min_size=2, max_size=6)


def apply(transform: np.ndarray, point: np.ndarray) -> np.ndarray:
    return transform[:3, :3] @ point + transform[:3, 3]


@settings(deadline=None)
@given(POSES, st.lists(st.booleans(), min_size=6, max_size=6))
def test_a_resting_point_stays_put_through_the_chain_of_motions(poses, known):
    # The first and the last pose are known; some between may be missing.
    known = [True, *known[: len(poses) - 2], True]
    table = {index: one for index, (one, is_known) in enumerate(zip(poses, known)) if is_known}

    def look_up(frame_id, stamp_ns):
        if stamp_ns not in table:
            raise TransformMissing(f'no {frame_id}')
        return table[stamp_ns]

    motion_of = EgoMotion(look_up)
    in_map = np.array([4.0, -2.0, 0.5])
    in_sensor = apply(np.linalg.inv(poses[0]), in_map)
    for index in range(len(poses)):
        motion = motion_of.measure('lidar', index)
        motion_of.accept(motion)
        if motion.transform is not None:
            in_sensor = apply(motion.transform, in_sensor)
        assert bool(motion.missing) is not known[index]
    np.testing.assert_allclose(apply(poses[-1], in_sensor), in_map, atol=1e-9)


def test_a_motion_that_was_not_accepted_or_was_reset_leaves_no_trace():
    motion_of = EgoMotion(lambda frame_id, stamp_ns: pose(0.0, float(stamp_ns), 0.0))
    motion_of.accept(motion_of.measure('lidar', 0))
    motion_of.measure('lidar', 5)
    assert motion_of.measure('lidar', 7).transform[0, 3] == pytest.approx(-7.0)
    motion_of.reset()
    assert motion_of.measure('lidar', 9).transform is None


# ---------------------------------------------------------------------- outputs


def test_all_actions_are_listed_by_falling_score_under_their_names():
    names = ('stand', 'walk', 'run')
    listed = sorted_hypotheses(np.array([0.2, 0.7, 0.1], np.float32), names)
    assert [one.class_id for one in listed] == ['walk', 'stand', 'run']
    assert [one.score for one in listed] == pytest.approx([0.7, 0.2, 0.1])


def test_each_class_has_a_colour_of_its_own_and_unlabelled_points_another():
    classes = ('car', 'person', 'unicorn', 'dragon')
    labels = np.array([0, 1, 2, 3, UNLABELLED], np.uint16)
    bits = ColourTable(classes).packed(labels).view(np.uint32)
    assert len(set(bits.tolist())) == 5
    assert (bits >> 24 == 0).all()


def test_colours_of_the_bundle_win():
    packed = ColourTable(('car',), [(1, 2, 3)]).packed(np.array([0], np.uint16))
    assert packed.view(np.uint32)[0] == 0x010203


# ---------------------------------------------------------------------- diagnostics


@pytest.mark.parametrize(
    ('age_s', 'rate_hz', 'word'),
    [
        (None, None, 'NotReceived'),
        (2.5, 10.0, 'Timeout'),
        (0.1, 10.0, 'OK'),
        (0.1, None, 'OK'),
        (0.1, 0.3, 'WarnRate'),
        (0.1, 0.05, 'ErrorRate'),
    ],
)
def test_the_state_of_the_input_has_a_word(age_s, rate_hz, word):
    assert input_state(age_s, rate_hz, NodeSettings())[1] == word


def test_diagnostics_tell_counts_by_reason_percentiles_and_the_bundle():
    statistics = Statistics()
    for frame in range(4):
        statistics.arrived(frame * PERIOD_NS, frame * PERIOD_NS)
    statistics.published(100, 25, {'network': 5.0, 'total': 9.0})
    statistics.dropped(DropReason.SUPERSEDED, ingested=True)
    statistics.dropped(DropReason.OVERFLOW)
    statistics.rejected('truncated_data')
    model = ModelFacts('tiny', '/b', 'abc', 'cpu', 'asked for', 1234, 3, Counter(gap=2))
    message = diagnostics(
        '/robot/eye', 3 * PERIOD_NS, statistics.snapshot(), model, NodeSettings(), waiting=1
    )
    values = {
        status.name: {pair.key: pair.value for pair in status.values} for status in message.status
    }
    assert list(values) == [f'robot/eye: {name}' for name in ('input', 'processing', 'model')]
    seen, done, facts = values.values()
    assert (seen['rate_hz'], seen['rejected.truncated_data']) == ('10.000', '1')
    assert (done['published'], done['dropped']) == ('1', '2')
    assert (done['dropped.superseded'], done['dropped.overflow']) == ('1', '1')
    assert (done['ingested_only'], done['gaps']) == ('1', '1')
    assert (done['unlabelled_ratio'], done['latency_ms.network.p99']) == ('0.250', '5.000')
    assert (facts['bundle_hash'], facts['state_bytes'], facts['resets.gap']) == ('abc', '1234', '2')


def test_every_skip_reason_of_the_session_is_a_drop_reason_of_the_node():
    from pointata_core.inference.time_rules import SkipReason

    assert {one.value for one in SkipReason} <= {one.value for one in DropReason}
