# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Points through a lens to pixels, and calibrations that cannot be used."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from camera_bundle_samples import FROM_LIDAR, MATRIX, POSE
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.errors import ConfigError
from pointata_core.inference.camera_calibration import (
    MODELS,
    CalibrationError,
    Camera,
    camera_from_info,
    parse_pose,
    pixels_of,
)

K = np.array([[400.0, 0, 320], [0, 410, 240], [0, 0, 1]])
SIZE = 480, 640
HERE = np.eye(4)
PLUMB_BOB = (-0.31, 0.12, 0.001, -0.0007, -0.02)
RATIONAL = (0.4, 0.05, 0.0004, -0.0003, 0.01, 0.7, 0.1, 0.02)
FISHEYE = (-0.02, 0.004, -0.003, 0.0005)


def info(model='plumb_bob', d=(), **changes):
    """Anything with the fields of a CameraInfo."""
    values = {
        'width': 640,
        'height': 480,
        'distortion_model': model,
        'd': list(d),
        'k': K.ravel(),
        'r': np.eye(3).ravel(),
        'p': np.pad(K, ((0, 0), (0, 1))).ravel(),
        'binning_x': 0,
        'binning_y': 0,
        'roi': SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0),
    }
    return SimpleNamespace(**(values | changes))


def points_at(pixels: np.ndarray, depth: float = 5.0) -> np.ndarray:
    """Points in the camera's frame that an ideal lens shows in these places (row, column)."""
    x = (pixels[:, 1] - K[0, 2]) / K[0, 0]
    y = (pixels[:, 0] - K[1, 2]) / K[1, 1]
    return depth * np.stack([x, y, np.ones_like(x)], axis=1)


def through_the_lens(point: np.ndarray, model: str, d) -> np.ndarray:
    """The models as OpenCV's documentation writes them, one point at a time: (column, row)."""
    x, y = point[0] / point[2], point[1] / point[2]
    if model == 'equidistant':
        r = np.hypot(x, y)
        angle = np.arctan(r)
        bent = angle + sum(k * angle ** (2 * i + 3) for i, k in enumerate(d))
        x2, y2 = x * bent / r, y * bent / r
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = [*d, 0, 0, 0][:8]
        r2 = x**2 + y**2
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        x2 = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        y2 = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return np.array([K[0, 0] * x2 + K[0, 2], K[1, 1] * y2 + K[1, 2]])


@pytest.mark.parametrize(
    ('model', 'd'),
    [('plumb_bob', PLUMB_BOB), ('rational_polynomial', RATIONAL), ('equidistant', FISHEYE)],
)
def test_points_go_where_the_lens_puts_them(model, d):
    random = np.random.default_rng(0)
    points = points_at(random.uniform((60, 80), (420, 560), (200, 2)))
    rows, pixels = pixels_of(points, camera_from_info(info(model, d)), HERE, SIZE)
    np.testing.assert_array_equal(rows, np.arange(200))
    expected = [through_the_lens(point, model, d)[::-1] for point in points]
    np.testing.assert_array_equal(pixels, np.floor(expected))


def test_an_ideal_lens_needs_no_model():
    pixels = np.array([[100.5, 200.5], [0.5, 0.5], [479.5, 639.5]])
    for camera in (camera_from_info(info('')), camera_from_info(info('fancy', [0.0] * 5))):
        _, found = pixels_of(points_at(pixels), camera, HERE, SIZE)
        np.testing.assert_array_equal(found, np.floor(pixels))


def test_what_is_behind_outside_or_no_number_is_not_seen():
    inside = points_at(np.array([[240.5, 320.5]]))[0]
    points = np.array(
        [
            -inside,
            [0, 0, 0],
            [np.nan, 0, 5],
            [0, np.inf, 5],
            inside,
            points_at(np.array([[240.0, 640.5]]))[0],
            points_at(np.array([[-0.5, 320.0]]))[0],
        ]
    )
    rows, pixels = pixels_of(points.astype(np.float32), camera_from_info(info()), HERE, SIZE)
    assert rows.tolist() == [4]
    assert pixels.tolist() == [[240, 320]]


def test_points_far_to_the_side_do_not_come_back_into_the_image():
    # With this lens the polynomial turns back at 0.85 and is zero again near 1.47.
    camera = camera_from_info(info('plumb_bob', (-0.46, 0, 0, 0, 0)))
    side = np.array([[1.4, 0.0, 1.0], [-1.3, 0.2, 1.0], [0.3, 0.2, 1.0]])
    bent = [through_the_lens(point, 'plumb_bob', (-0.46, 0, 0, 0, 0)) for point in side]
    assert all(0 < column < 640 and 0 < row < 480 for column, row in bent)
    rows, _ = pixels_of(side, camera, HERE, SIZE)
    assert rows.tolist() == [2]


@given(
    st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1),
    st.integers(0, 1000),
)  # fmt: skip
def test_no_lens_puts_a_pixel_outside_of_the_image(k1, k2, p1, p2, k3, seed):
    points = np.random.default_rng(seed).normal(size=(100, 3)) * [4, 4, 2]
    camera = Camera(K, 640, 480, 'plumb_bob', (k1, k2, p1, p2, k3))
    rows, pixels = pixels_of(points, camera, HERE, SIZE)
    assert len(rows) == len(pixels)
    assert ((pixels >= 0) & (pixels < SIZE)).all()
    assert (points[rows, 2] > 0).all()


def test_a_part_of_the_image_and_binning_move_the_centre():
    part = SimpleNamespace(x_offset=100, y_offset=60, width=320, height=240)
    camera = camera_from_info(info(roi=part, binning_x=2, binning_y=2))
    assert (camera.width, camera.height) == (160, 120)
    whole = np.array([[180.5, 260.5]])
    _, pixels = pixels_of(points_at(whole), camera, HERE, (120, 160))
    assert pixels.tolist() == [[(180 - 60) // 2, (260 - 100) // 2]]


def test_a_rectified_image_is_described_by_p_and_r():
    turn = np.array([[np.cos(0.1), 0, np.sin(0.1)], [0, 1, 0], [-np.sin(0.1), 0, np.cos(0.1)]])
    p = np.array([[300.0, 0, 310, -30], [0, 300, 230, 0], [0, 0, 1, 0]])
    camera = camera_from_info(
        info('unknown model', [1, 2], r=turn.ravel(), p=p.ravel()), rectified=True
    )
    point = np.array([[0.4, -0.3, 6.0]])
    column, row, depth = p @ [*(turn @ point[0]), 1]
    _, pixels = pixels_of(point, camera, HERE, SIZE)
    assert pixels.tolist() == [[int(row / depth), int(column / depth)]]


NUMBER = st.floats(width=64) | st.sampled_from([0.0, 1.0, -1.0, 1e300, 400.0])


@given(
    st.lists(NUMBER, min_size=9, max_size=9), st.lists(NUMBER, max_size=14),
    st.lists(NUMBER, min_size=9, max_size=9), st.lists(NUMBER, min_size=12, max_size=12),
    st.sampled_from([*MODELS, '', 'x']), st.booleans(), st.booleans(), st.integers(0, 1 << 32),
)  # fmt: skip
def test_whatever_a_calibration_says_it_is_used_or_refused(k, d, r, p, model, sane, rectified, n):
    if sane:
        k, p = K.ravel(), [*K[0], 0.1, *K[1], n % 7, *K[2], 0]
    part = SimpleNamespace(x_offset=n % 9999, y_offset=n, width=n % 3, height=n % 700)
    message = info(model, d, k=k, r=r, p=p, roi=part, binning_x=n % 3, binning_y=n % 5)
    points = np.random.default_rng(n).normal(size=(20, 3)) * [3, 3, 9]
    try:
        camera = camera_from_info(message, rectified)
    except CalibrationError:
        return
    rows, pixels = pixels_of(points.astype(np.float32), camera, HERE, SIZE)
    assert len(rows) == len(pixels) <= 20
    assert ((pixels >= 0) & (pixels < SIZE)).all()


@pytest.mark.parametrize(
    ('message', 'text'),
    [
        (info(k=np.zeros(9)), 'not calibrated'),
        (info(k=np.full(9, np.nan)), 'finite'),
        (info('thin_prism', [0.1, 0.2]), "distortion_model is 'thin_prism'"),
        (info('', [0.1, 0.2]), 'distortion_model is'),
        (info('plumb_bob', [np.nan, 0, 0, 0, 0]), 'finite'),
        (info(k=[1.0, 2.0]), 'expected 9'),
        (info(k=[400.0, 0, 320, 0, 400, 240, 0, 0, 0]), 'last row'),
    ],
)
def test_a_calibration_that_cannot_be_used_says_what_to_do(message, text):
    with pytest.raises(CalibrationError, match=text) as caught:
        camera_from_info(message)
    assert caught.value.fix


def test_a_rectified_image_without_p_is_not_calibrated():
    with pytest.raises(CalibrationError, match='not calibrated'):
        camera_from_info(info(p=np.zeros(12)), rectified=True)


def test_a_rectification_that_is_no_number_is_refused():
    with pytest.raises(CalibrationError, match='not finite'):
        camera_from_info(info(r=np.full(9, np.nan)), rectified=True)


def test_a_pose_is_read_as_static_transforms_are_written():
    np.testing.assert_allclose(parse_pose(POSE), FROM_LIDAR, atol=1e-12)
    np.testing.assert_allclose(parse_pose('1, 2, 3, 0, 0, 0, 2'), [
        [1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1],
    ])  # fmt: skip


@pytest.mark.parametrize('text', ['', '1 2 3', '1 2 3 0 0 0 0', '1 2 3 0 0 0 nan', 'a b c d e f g'])
def test_what_is_no_pose_is_refused(text):
    with pytest.raises(ConfigError, match='camera_extrinsics'):
        parse_pose(text)


def test_a_calibration_belongs_to_images_of_one_size():
    camera = Camera(MATRIX, 48, 24)
    camera.check_size(24, 48)
    with pytest.raises(CalibrationError, match='48 x 24'):
        camera.check_size(48, 24)
