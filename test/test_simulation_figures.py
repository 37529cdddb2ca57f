# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bodies with a skin: they stand on the ground, keep their size and move as people do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.simulation import simulate
from pointata_core.simulation.objects.library import share_of_meshes
from pointata_core.simulation.people.body import POSTURE_SIZE
from pointata_core.simulation.people.captured import captured_pose, motions
from pointata_core.simulation.people.figures import Figure, draw_figure, read
from pointata_core.simulation.people.motions import NEUTRAL, Style, draw_style, motion
from pointata_core.simulation.people.performance import Performance, wander, write_script
from pointata_core.simulation.people.poses import BONES, Pose, pose_of
from pointata_core.simulation.scenes.street import draw_body
from pointata_core.simulation.solids import ShapeKind
from pointata_core.taxonomy import ACTION_CLASSES, class_id

pytest.importorskip('embreex', reason='the extra `simulate`')

T = Pose(np.broadcast_to(np.eye(3), (len(BONES), 3, 3)).copy(), np.zeros(3))
PHENOTYPES = len(read()['manifest']['phenotypes'])


def figure(phenotype: int = 4, height: float = 1.75) -> Figure:
    return Figure(phenotype, height, 7, (0.5, 0.3), 0.0)


def style(variant: float = 0.5, phase: float = 0.0, speed: float = 0.0) -> Style:
    return Style(1.0, 1.0, phase, False, variant, speed)


@pytest.mark.parametrize('phenotype', range(PHENOTYPES))
def test_a_body_in_a_t_has_its_height_and_stretches_its_arms(phenotype):
    points = figure(phenotype, 1.6).vertices(T)
    low, high = points.min(0), points.max(0)
    assert low[2] == pytest.approx(0.0, abs=1e-9)
    assert high[2] == pytest.approx(1.6, abs=0.04)
    assert high[1] - low[1] == pytest.approx(1.6, rel=0.12)  # the span of the arms
    assert high[0] - low[0] < 0.45
    assert abs(points[:, 1].mean()) < 0.02  # left and right alike
    # The toes are in front of the heels, the nose in front of the neck.
    assert points[points[:, 2] < 0.05, 0].max() > 0.08


@pytest.mark.parametrize('action', ['stand', 'wave', 'sit_down', 'fall', 'pick_up', 'throw'])
def test_parametric_postures_look_alike_with_skin_and_with_capsules(action):
    """Both bodies fill about the same box in every posture."""
    from pointata_core.simulation.people.body import Body

    for variant, t in itertools.product((0.1, 0.5, 0.8), (0.4, 0.9, 1.4)):
        posture = motion(action, t, style(variant), NEUTRAL)
        capsules = Body(1.75, 1.0, 7, 0.4).shapes(posture, np.zeros(3), 0.0)
        ends = capsules.rotation[:, :, 2] * capsules.half[:, 2:]
        ends = np.concatenate([capsules.centre - ends, capsules.centre + ends])
        points = figure().vertices(pose_of(posture))
        for corner in (np.min, np.max):
            np.testing.assert_allclose(corner(points, 0), corner(ends, 0), atol=0.35)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(motions())),
    st.floats(0, 20),
    st.integers(0, PHENOTYPES - 1),
    st.floats(1.0, 2.0),
)
def test_captured_motions_keep_bodies_whole_and_on_the_ground(action, t, phenotype, height):
    for clip in motions()[action][:3]:
        pose = clip.pose_at(t)
        np.testing.assert_allclose(
            pose.turns @ pose.turns.transpose(0, 2, 1),
            np.broadcast_to(np.eye(3), pose.turns.shape),
            atol=1e-5,
        )
        points = figure(phenotype, height).vertices(pose)
        assert points[:, 2].min() == pytest.approx(0.53 * height * pose.offset[2], abs=1e-6)
        assert 0.3 * height < points[:, 2].max() < 1.45 * height
        assert np.abs(points[:, :2]).max() < 1.1 * height
        back = pose.mirrored().mirrored()
        np.testing.assert_allclose(back.turns, pose.turns, atol=1e-12)


def test_gaits_repeat_without_a_jump_and_feet_move_as_fast_as_the_body():
    for action in ('walk', 'run'):
        for clip in motions()[action]:
            length = len(clip.vectors) / clip.rate
            times = np.arange(0, length + 0.1, 1 / 30)
            body = figure()
            path = np.array([body.vertices(clip.pose_at(t)) for t in times])
            step = np.linalg.norm(np.diff(path, axis=0), axis=2).max(1)
            assert step.max() < 0.25, (clip.clip, step.max())
            if action == 'walk':  # the foot on the ground moves back about as fast as one walks
                low = path[:, :, 2].min(1)[:, None] + 0.03
                on_ground = (path[:-1, :, 2] < low[:-1]) & (path[1:, :, 2] < low[1:])
                back = -np.diff(path[:, :, 0], axis=0)[on_ground] * 30
                assert 0.8 < np.median(back) / (clip.speed * 0.47 * 1.75) < 1.25, clip.clip


def test_performances_blend_from_action_to_action():
    rng = np.random.default_rng(5)
    for _ in range(2):
        script = write_script(8.0, rng)
        with share_of_meshes(1.0):
            body = draw_body(rng, 3)
        assert isinstance(body, Figure)
        performer = Performance(body, tuple(script), wander(script, np.zeros(2), 1.0, rng))
        times = np.arange(0, 8, 0.04)
        points = np.array([performer.body.vertices(performer.pose_at(t)) for t in times])
        step = np.linalg.norm(np.diff(points, axis=0), axis=2)
        assert step.max() < 0.6  # a hand that throws moves at 15 m/s at most


def test_styles_choose_captured_or_parametric_performances_and_always_the_same():
    rng = np.random.default_rng(0)
    for action in ACTION_CLASSES[1:]:
        styles = [draw_style(action, rng) for _ in range(60)]
        poses = [captured_pose(action, 0.5, s, 1.7) for s in styles]
        again = [captured_pose(action, 0.5, s, 1.7) for s in styles]
        captured = sum(pose is not None for pose in poses)
        if action in motions():
            assert 35 <= captured <= 58, action
        else:
            assert captured == 0, action
        for one, two in zip(poses, again):
            if one is not None and two is not None:
                np.testing.assert_array_equal(one.turns, two.turns)
    assert set(motions()) <= set(ACTION_CLASSES)


def test_children_have_other_proportions_than_adults():
    rng = np.random.default_rng(1)
    ages = [row['age'] for row in read()['manifest']['phenotypes']]
    assert all(ages[draw_figure(rng, 1.2, 1).phenotype] <= 0.5 for _ in range(20))
    assert all(ages[draw_figure(rng, 1.7, 1).phenotype] > 0.5 for _ in range(20))


def test_scenes_show_people_with_skin_and_all_their_points_lie_on_it():
    from dataclasses import replace

    from pointata_core.simulation import SENSORS

    exact = replace(SENSORS['hdl64_lite'], range_noise=0.0, dropout=0.0)
    seen = 0
    for seed in range(6):
        frame = next(iter(simulate('yard', exact, seed, 0.1, meshes=1.0)))
        seen += int(np.count_nonzero(frame.label == class_id('person')))
    assert seen > 200
    with share_of_meshes(1.0):
        body = draw_body(np.random.default_rng(0), 9)
    assert isinstance(body, Figure)
    shapes = body.shapes(pose_of(np.zeros(POSTURE_SIZE)), np.array([3.0, 2.0, 0.5]), 0.7)
    assert set(shapes.kind) == {ShapeKind.MESH}
    assert set(shapes.instance) == {9}
    assert (shapes.centre[:, 2] + shapes.half[:, 2]).max() == pytest.approx(
        0.5 + body.height, abs=0.08
    )
