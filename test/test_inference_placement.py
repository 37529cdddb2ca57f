# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sensor may be turned, moved or in another unit: its points get the labels they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_bags import PERIOD_NS, START_NS, Frame, frames, room, write_bag

from pointata_core.bundles.bundle import load_bundle
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.errors import BagError, ConfigError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.inference.placement import UNPLACED, Placement, parse_placement
from pointata_core.inference.plausibility.axes import levelling_pose
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.session import StreamingSession

# Exact in floating point, so that labels can be compared bit for bit.
OPTICAL_FROM_BODY = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
SCALE = 1024.0


def turned(shift: tuple[float, float, float] = (0, 0, 0)) -> Placement:
    """A camera whose clouds are in another unit and in the axes of its image."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = OPTICAL_FROM_BODY.T, shift
    return Placement(1 / SCALE, pose)


def as_camera(points: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points @ OPTICAL_FROM_BODY.T.astype(np.float32)) * np.float32(SCALE)


@pytest.fixture(scope='module')
def bundle(untrained_bundle):
    return load_bundle(untrained_bundle)


def drive(step: int) -> np.ndarray:
    """Motion of a body from one frame to the next."""
    motion = np.eye(4)
    motion[:2, :2] = [[0.0, 1.0], [-1.0, 0.0]] if step % 2 else np.eye(2)
    motion[:3, 3] = 0.25 * step, 0.5, 0.0
    return motion


@pytest.mark.parametrize('interrupted', [False, True])
def test_a_turned_camera_gets_the_labels_of_an_upright_sensor(bundle, interrupted):
    straight, placed = StreamingSession(bundle), StreamingSession(bundle)
    optical = np.eye(4)
    optical[:3, :3] = OPTICAL_FROM_BODY
    for step in range(5):
        points, motion = room(step, 700), drive(step)
        points[7] = np.nan
        seen = optical @ motion @ np.linalg.inv(optical)
        stamp = (step + 1) * PERIOD_NS
        expected = straight.step(points, stamp, transform=motion)
        got = placed.step(as_camera(points), stamp, transform=seen, placement=turned())
        np.testing.assert_array_equal(got.labels, expected.labels)
        np.testing.assert_array_equal(got.probabilities, expected.probabilities)
        if interrupted:
            saved, placed = placed.save_state(), StreamingSession(bundle)
            placed.restore_state(saved)


def test_what_is_precomputed_for_another_placement_is_computed_again(bundle):
    session, other = StreamingSession(bundle), StreamingSession(bundle)
    points, placement = as_camera(room(0, 500)), turned()
    frame_points = session.precompute(points)
    frame = replace(_frame(points), placement=placement, precomputed=frame_points)
    np.testing.assert_array_equal(
        session.submit(frame).result().labels,
        other.step(points, PERIOD_NS, placement=placement).labels,
    )


def _frame(points: np.ndarray):
    from pointata_core.inference.frames import Frame as SessionFrame

    return SessionFrame(points, PERIOD_NS)


def test_range_is_measured_from_the_sensor_and_no_returns_have_no_label():
    points = np.float32([[0, 0, 0], [0, 0, 0.5], [9, 0, 0], [12, 0, 0], [np.inf, 0, 0]])
    pose = np.eye(4)
    pose[:3, 3] = 0, 0, 5
    preparer = FramePreparer(PreparationConfig(max_range_m=10.0, min_range_m=0.0, scale_m=1.0))
    frame = preparer.prepare(points, placement=Placement(1.0, pose))
    np.testing.assert_array_equal(frame.voxel_of_point >= 0, [False, True, True, False, False])
    heights = sorted(frame.points[:, 2].tolist())
    assert heights == pytest.approx([5.0, 5.5])


def test_no_returns_get_no_label_whatever_the_bundle_allows(bundle):
    points = room(0, 400)
    points[::2] = 0.0
    result = StreamingSession(bundle).step(points, PERIOD_NS)
    assert bundle.manifest.preparation['min_range_m'] == 0.0
    np.testing.assert_array_equal(result.labels == 65535, np.arange(400) % 2 == 0)


@given(
    st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1), st.floats(1e-3, 1e3),
)  # fmt: skip
def test_a_parsed_pose_turns_as_urdf_does(roll, pitch, yaw, scale):
    placement = parse_placement(scale, f'1 -2 3 {roll} {pitch} {yaw}')
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    point = np.float32([[1.0, 2.0, -0.5]])
    expected = scale * (about_z @ about_y @ about_x @ point[0]) + [1, -2, 3]
    np.testing.assert_allclose(placement.apply(point)[0], expected, rtol=1e-4, atol=1e-4)


@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
def test_the_suggested_pose_turns_the_ground_level(up):
    up = np.array(up) / np.linalg.norm(up)
    placement = parse_placement(1.0, levelling_pose(up))
    np.testing.assert_allclose(placement.pose[:3, :3] @ up, [0, 0, 1], atol=1e-3)


@pytest.mark.parametrize(
    ('scale', 'pose', 'frame', 'word'),
    [
        (0.0, '', '', 'input_scale'),
        (float('nan'), '', '', 'input_scale'),
        (1.0, '0 0 1', '', 'six numbers'),
        (1.0, '0 0 1 0 0 nan', '', 'six numbers'),
        (1.0, '0 0 1 0 0 north', '', 'six numbers'),
        (1.0, '0 0 1 180 0 0', '', 'radians'),
        (1.0, '0 0 1 0 0 0', 'base_link', 'both'),
    ],
)
def test_settings_that_make_no_sense_are_refused(scale, pose, frame, word):
    with pytest.raises(ConfigError, match=word):
        parse_placement(scale, pose, frame)


def test_settings_that_change_nothing_leave_the_points_as_they_are():
    points = room(0, 50)
    assert parse_placement() is UNPLACED
    assert parse_placement(1.0, '0 0 0 0 0 0').turned(points) is points


def camera_frames() -> list[Frame]:
    return [replace(frame, points=as_camera(frame.points)) for frame in frames(4)]


def test_a_recording_in_another_unit_and_turned_by_tf_is_scored_alike(untrained_bundle, tmp_path):
    poses = [(START_NS, 0.0), (START_NS + PERIOD_NS * 9, 1.0)]

    def evaluate(name, recorded, **options):
        bag = write_bag(tmp_path / name, recorded, poses=poses)
        return evaluate_bag(bag, bundle=untrained_bundle, **options)

    upright = evaluate('upright', frames(4))
    scaled = [replace(frame, points=frame.points * np.float32(SCALE)) for frame in frames(4)]
    by_scale = evaluate('scaled', scaled, input_scale=1 / SCALE)
    assert by_scale.labels_sha256 == upright.labels_sha256
    assert evaluate('as_it_is', scaled).points_labelled == 0
    # Through /tf the sensor moves along x of `map`, which changes nothing but the origin.
    by_frame = evaluate('frame', frames(4), target_frame='map', fixed_frame='map')
    assert by_frame.frames_predicted == 4
    with pytest.raises(BagError, match='--target-frame'):
        evaluate('mistyped', frames(2), target_frame='mpa')


def test_a_pose_given_as_text_turns_a_recording_upright(untrained_bundle, tmp_path):
    upright = evaluate_bag(write_bag(tmp_path / 'a', frames(4)), bundle=untrained_bundle)
    placed = evaluate_bag(
        write_bag(tmp_path / 'b', camera_frames()), bundle=untrained_bundle,
        input_scale=1 / SCALE, sensor_pose='0 0 0 -1.5707963267948966 0 -1.5707963267948966',
    )  # fmt: skip
    assert placed.points_labelled == upright.points_labelled
    for name, share in upright.class_shares.items():
        assert placed.class_shares[name] == pytest.approx(share, abs=0.02)
    assert placed.notes == ()
