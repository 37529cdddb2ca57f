# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People keep their bones, stand on the ground, move without jumps and follow their script."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.simulation.people.body import Body, Joint, mirrored
from pointata_core.simulation.people.mingling import mingle
from pointata_core.simulation.people.motions import NEUTRAL, Style, draw_style, motion, outcome
from pointata_core.simulation.people.performance import Performance, wander, write_script
from pointata_core.taxonomy import ACTION_CLASSES

ACTIONS = ACTION_CLASSES[1:]
BODY = Body(height=1.75, girth=1.0, instance=3, reflectivity=0.4)


def lowest(shapes) -> float:
    reach = np.abs(shapes.rotation[:, 2, 2]) * shapes.half[:, 2] + shapes.half[:, 0]
    return float((shapes.centre[:, 2] - reach).min())


def highest(shapes) -> float:
    reach = np.abs(shapes.rotation[:, 2, 2]) * shapes.half[:, 2] + shapes.half[:, 0]
    return float((shapes.centre[:, 2] + reach).max())


def at_end_of(action: str, seconds: float = 2.5, seed: int = 0):
    style = draw_style(action, np.random.default_rng(seed))
    start = NEUTRAL
    return BODY.shapes(motion(action, seconds, style, start), np.zeros(3), 0.3)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ACTIONS), st.floats(0, 3), st.integers(0, 10_000))
def test_bones_keep_their_length_and_nothing_sinks_into_the_ground(action, t, seed):
    style = draw_style(action, np.random.default_rng(seed))
    position = np.array([1.0, 2.0, 0.5])
    shapes = BODY.shapes(motion(action, t, style, NEUTRAL), position, 0.7)
    rest = BODY.shapes(NEUTRAL, position, 0.0)
    np.testing.assert_allclose(shapes.half, rest.half, atol=1e-9)
    above = lowest(shapes) - 0.5
    assert -1e-9 <= above < 0.1  # on the ground, or a hop above it
    assert (shapes.instance == 3).all()


def test_height_of_a_standing_person_is_the_bodys():
    assert highest(BODY.shapes(NEUTRAL, np.zeros(3), 0.0)) == pytest.approx(1.75, abs=0.06)


@pytest.mark.parametrize('seed', range(12))
def test_after_a_fall_one_lies_and_after_sitting_down_one_is_low(seed):
    assert highest(at_end_of('fall', seed=seed)) < 0.75
    assert highest(at_end_of('sit_down', seed=seed)) < 1.4


def test_waving_lifts_a_hand_to_the_head_or_above():
    for seed in range(8):
        shapes = at_end_of('wave', seed=seed)
        arms = shapes[np.isclose(shapes.half[:, 0], 0.024 * BODY.height)]
        tips = arms.centre + arms.rotation[:, :, 2] * arms.half[:, 2:3]
        ends = np.maximum(tips[:, 2], 2 * arms.centre[:, 2] - tips[:, 2])
        assert ends.max() > 1.4


def test_mirroring_twice_changes_nothing_and_mirroring_swaps_the_arms():
    posture = np.random.default_rng(0).normal(size=len(Joint))
    np.testing.assert_array_equal(mirrored(mirrored(posture)), posture)
    assert mirrored(posture)[Joint.LEFT_ELBOW] == posture[Joint.RIGHT_ELBOW]
    assert mirrored(posture)[Joint.SPINE_TWIST] == -posture[Joint.SPINE_TWIST]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_a_performance_moves_without_jumps(seed):
    rng = np.random.default_rng(seed)
    script = write_script(8.0, rng)
    person = Performance(BODY, tuple(script), wander(script, np.zeros(2), 1.5, rng))
    times = np.arange(0.0, 6.0, 0.03)
    centres = np.stack([person.shapes_at(t, 0.0).centre for t in times])
    speed = np.linalg.norm(np.diff(centres, axis=0), axis=2) / 0.03
    assert speed.max() < 25.0  # a thrown punch is fast; a teleport is 50 and more


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_script_is_gapless_and_who_went_down_gets_up(seed):
    script = write_script(20.0, np.random.default_rng(seed))
    assert script[0].start <= 0.0
    assert script[-1].end >= 20.0
    for before, after in pairwise(script):
        assert after.start == before.end
        down = before.action in ('sit_down', 'fall')
        assert (after.action == 'stand_up') == down


def test_an_action_that_ends_comes_to_another():
    style = Style(1.0, 1.0, 0.0, False, 0.5, 0.0)
    found = [outcome(action, t, style) for action in ('sit_down', 'fall') for t in (0.5, 3.0)]
    assert found == ['sit_down', 'sit', 'fall', 'lie']
    assert outcome('walk', 9.0, style) == 'walk'
    assert outcome('throw', 2.0, style, 1.5) == 'stand'
    slow = Style(0.5, 1.0, 0.0, False, 0.5, 0.0)
    assert outcome('sit_down', 1.5, slow) == 'sit_down'


@pytest.mark.parametrize('variant', [0.1, 0.9])
def test_whoever_jumps_leaves_the_ground_and_whoever_kicks_lifts_a_foot(variant):
    style = Style(1.0, 1.0, 0.0, False, variant, 0.0)
    times = np.arange(0, 1.4, 0.05)
    hops = [motion('jump', t, style, NEUTRAL)[Joint.HOP] for t in times]
    assert min(hops) == 0.0 and max(hops) > 0.3
    hips = [motion('kick', t, style, NEUTRAL) for t in times]
    side = Joint.RIGHT_HIP_FLEXION if variant < 0.5 else Joint.RIGHT_HIP_ABDUCTION
    assert max(np.degrees(one[side]) for one in hips) > 60


def test_scripts_show_all_actions_about_equally():
    count = Counter()
    for seed in range(60):
        for segment in write_script(20.0, np.random.default_rng(seed)):
            count[segment.action] += segment.end - segment.start
    assert set(count) == set(ACTIONS)
    assert max(count.values()) < 2.2 * min(count.values())


def test_one_wanders_near_the_centre_and_walking_moves():
    rng = np.random.default_rng(5)
    script = write_script(60.0, rng)
    centre = np.array([4.0, -3.0])
    path = wander(script, centre, 1.5, rng)
    assert np.linalg.norm(path[:, :2] - centre, axis=1).max() < 2.6
    person = Performance(BODY, tuple(script), path)
    for segment in script[1:-1]:
        here, _ = person.anchor_at(segment.start + 0.05)
        there, _ = person.anchor_at(segment.end - 0.05)
        if segment.action in ('stand', 'wave', 'throw', 'punch', 'pick_up'):
            np.testing.assert_allclose(here, there, atol=0.02)
    travelled = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).sum()
    assert travelled > 5.0


def test_people_of_a_crowd_cross_and_never_walk_through_each_other_or_the_sensor():
    hidden = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        scripts = [write_script(12.0, rng, performing=False) for _ in range(7)]
        people = [
            Performance(BODY, tuple(script), path)
            for script, path in zip(scripts, mingle(scripts, rng))
        ]
        for t in np.arange(0, 12, 0.1):
            places = np.stack([person.anchor_at(t)[0] for person in people])
            apart = np.linalg.norm(places[:, None] - places[None], axis=2) + 9 * np.eye(7)
            assert apart.min() > 0.3
            away = np.linalg.norm(places, axis=1)
            assert away.min() > 0.4
            bearing = np.sort(np.arctan2(places[:, 1], places[:, 0]))
            hidden += int((np.diff(bearing) < 0.03).sum())
    assert hidden > 100  # one behind the other, seen from the sensor
