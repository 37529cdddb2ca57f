# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulator's camera: calibration, visibility, textures, light and determinism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointata_core.datasets.camera.projection import project
from pointata_core.errors import ConfigError
from pointata_core.simulation.camera.domains import DOMAINS, CameraDomain, rings
from pointata_core.simulation.camera.frames import SKY, photograph, simulate_camera
from pointata_core.simulation.camera.light import STYLES
from pointata_core.simulation.camera.materials import PALETTES, albedo, hashed, noise
from pointata_core.simulation.camera.model import CameraModel, upright
from pointata_core.simulation.camera.surfaces import look
from pointata_core.simulation.scanning import scan
from pointata_core.simulation.scenes.street_plan import City
from pointata_core.simulation.scenes.world import EgoPath, World
from pointata_core.simulation.sensing.ray_casting import cast, first_hits
from pointata_core.simulation.solids import EMPTY, ShapeBuilder, concatenate, rotation_from_rpy
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id

SMALL = CameraModel(width=96, height=64, view_deg=60.0, position=(0.3, -0.1, -0.2), pitch_deg=3.0)
LIDAR = rings('few', 24, -14.0, 4.0, columns=360, max_range=80.0, range_noise=0.005)
DAY = CameraDomain('small', 'day', LIDAR, SMALL, lidar_height=1.8)


@pytest.fixture(scope='module')
def frames():
    return [frame for seed in (3, 5, 10) for frame in simulate_camera(DAY, seed, 1)]


def test_a_known_point_falls_on_its_pixel():
    camera = CameraModel(width=200, height=100, view_deg=90.0, position=(1.0, 0.5, -0.25))
    assert camera.focal == pytest.approx(100.0)
    # 10 m ahead of the camera, 2 m to its left and 1 m above it: 20 pixels left, 10 up.
    pixels, depth = camera.project(np.array([[11.0, 2.5, 0.75], [-5.0, 0.5, 0.0]]))
    np.testing.assert_allclose(pixels[0], [50 - 10, 100 - 20])
    assert depth[0] == pytest.approx(10.0)
    assert depth[1] < 0 and np.isnan(pixels[1]).all()
    assert camera.inside(pixels).tolist() == [True, False]


def test_a_camera_that_looks_down_sees_level_points_above_its_middle():
    pixels, _ = CameraModel(position=(0, 0, 0), pitch_deg=10).project(np.array([[10.0, 0, 0]]))
    camera = CameraModel()
    rise = camera.focal * np.tan(np.radians(10))
    np.testing.assert_allclose(pixels[0], [camera.height / 2 - rise, camera.width / 2])


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=3), st.floats(-30, 30), st.floats(-9, 9))
def test_projection_is_that_of_the_loaders(point, yaw, roll):
    camera = replace(SMALL, yaw_deg=yaw, roll_deg=roll)
    points = np.array([point])
    found, depth = camera.project(points)
    expected, other = project(points, camera.intrinsics, camera.extrinsics)
    np.testing.assert_allclose(depth, other, atol=1e-9)
    if abs(depth[0]) > 1e-6:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


def test_each_ray_of_the_grid_passes_the_middle_of_its_pixel():
    rays = SMALL.grid.directions().reshape(3, -1).T.astype(np.float64)
    in_lidar = 7.0 * rays @ SMALL.pose[:3, :3].T + SMALL.pose[:3, 3]
    pixels, _ = SMALL.project(in_lidar)
    pixels = upright(pixels.reshape(SMALL.height, SMALL.width, 2))
    rows, columns = np.mgrid[: SMALL.height, : SMALL.width] + 0.5
    np.testing.assert_allclose(pixels, np.stack([rows, columns], -1), atol=1e-4)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [({'width': 4}, '4 x 64'), ({'view_deg': 170.0}, 'view_deg'), ({'max_range': 0}, 'max_range')],
)
def test_bad_cameras_are_explained(change, reason):
    with pytest.raises(ConfigError, match=reason):
        replace(SMALL, **change)


def test_unknown_names_are_explained():
    for call, known in (
        (lambda: simulate_camera('dusk', 1, 1), 'city_b'),
        (lambda: replace(DAY, style='fog'), 'rain'),
        (lambda: replace(DAY, palette='pink'), 'brick'),
        (lambda: simulate_camera('day', 1, 0), 'frames is 0'),
    ):
        with pytest.raises(ConfigError, match=known):
            call()


def shape_of(add) -> object:
    builder = ShapeBuilder(class_id('building'))
    add(builder)
    return builder.build()


def still_world(shapes) -> World:
    path = EgoPath(np.zeros((3, 3)), 1.0, 1.8, 0.0, 0.0, np.zeros(4))
    return World('test', shapes, None, (), (), path)


def test_what_stands_in_front_hides_what_is_behind():
    # The LiDAR, 0.6 m above the camera, sees the far wall over a low one that bars the camera's
    # view of it. The point on the low wall itself is seen.
    low = shape_of(lambda b: b.box((6, 0, 1.0), (0.1, 5, 0.6), label=class_id('fence')))
    far = shape_of(lambda b: b.box((12, 0, 2.0), (0.1, 5, 2.0)))
    camera = CameraModel(width=64, height=64, view_deg=80.0, position=(0, 0, -0.6))
    domain = replace(DAY, camera=camera, lidar=rings('one', 40, -20, 5, columns=720, max_range=50))
    world = still_world(concatenate([low, far]))
    rng = np.random.default_rng(0)
    frame = scan(world, domain.lidar, domain.lidar.directions(), 0.0, rng)
    seen = photograph(world, frame, 0.0, domain, 0, rng)
    z, fence = frame.points[:, 2] + 1.8, frame.label == class_id('fence')
    inside = camera.inside(seen.pixels)
    # The camera at 1.2 m looks over the fence, 1.6 m high at 5.9 m, at 2.0 m and more at 11.9 m.
    assert seen.visible[fence & inside & (frame.points[:, 0] < 6)].all()
    high, hidden = ~fence & inside & (z > 2.15), ~fence & inside & (z < 1.85)
    assert high.sum() > 20 and hidden.sum() > 20
    assert seen.visible[high].all() and not seen.visible[hidden].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_single_rays_meet_what_the_grid_meets(seed):
    rng = np.random.default_rng(seed)
    builder = ShapeBuilder()
    for _ in range(12):
        centre, half = rng.uniform([2, -8, -4], [25, 8, 4]), rng.uniform(0.05, 2.5, 3)
        turn = rotation_from_rpy(*rng.uniform(-3, 3, 3))
        builder.box(centre, half, turn)
        builder.ellipsoid(rng.uniform([2, -8, -4], [25, 8, 4]), half, turn)
        builder.cylinder(rng.uniform([2, -8, -4], [25, 8, 4]), half[0], half[1], turn)
        builder.capsule(centre, rng.uniform([2, -8, -4], [25, 8, 4]), 0.2)
    shapes, grid = builder.build(), CameraModel(width=40, height=30).grid
    directions = grid.directions()
    hits = cast(shapes, grid, directions, rng)
    distance, owner = first_hits(shapes, directions.reshape(3, -1), np.full(1200, 99.0), rng)
    np.testing.assert_allclose(distance, hits.distance.reshape(-1), rtol=1e-5)
    same = owner == hits.shape.reshape(-1)
    assert same.mean() > 0.999  # two shapes may touch
    none, _ = first_hits(EMPTY, directions.reshape(3, -1), np.full(1200, 99.0), rng)
    assert np.isinf(none).all()


def test_pixels_show_the_class_of_the_points_that_fall_on_them(frames):
    agreed = total = interior_agreed = interior = 0
    for frame in frames:
        row, column = np.floor(frame.pixels[frame.visible]).astype(int).T
        label = frame.lidar.label[frame.visible]
        same = frame.classes[row, column] == label
        padded = np.pad(frame.classes, 1, mode='edge')
        around = np.stack([padded[row + r, column + c] for r in range(3) for c in range(3)])
        uniform = (around == around[0]).all(axis=0)
        agreed, total = agreed + same.sum(), total + len(same)
        interior_agreed, interior = interior_agreed + same[uniform].sum(), interior + uniform.sum()
    assert total > 1000 and interior > 500
    assert agreed / total > 0.93
    # Away from edges only noise and foliage are left.
    assert interior_agreed / interior > 0.99


def test_depth_at_a_pixel_is_that_of_the_points_that_fall_on_it(frames):
    for frame in frames:
        points = frame.lidar.points[frame.visible]
        row, column = np.floor(frame.pixels[frame.visible]).astype(int).T
        away = np.linalg.norm(points - np.array(SMALL.position), axis=1)
        building = frame.lidar.label[frame.visible] == class_id('building')
        error = np.abs(frame.depth[row, column] - away)[building] / away[building]
        assert np.median(error) < 0.02
        assert np.array_equal(frame.classes == SKY, np.isinf(frame.depth))


def test_points_behind_the_camera_or_beside_the_image_are_not_visible(frames):
    for frame in frames:
        assert not frame.visible[frame.lidar.points[:, 0] < 0].any()
        assert SMALL.inside(frame.pixels[frame.visible]).all()
        assert 0 < frame.visible.sum() < len(frame.visible)


def test_the_same_seed_gives_the_same_frames_and_another_one_others(frames):
    again = next(iter(simulate_camera(DAY, 3, 1)))
    for name in ('image', 'classes', 'depth', 'visible'):
        assert np.array_equal(getattr(again, name), getattr(frames[0], name)), name
    assert np.array_equal(again.pixels, frames[0].pixels, equal_nan=True)
    assert np.array_equal(again.lidar.points, frames[0].lidar.points)
    assert not np.array_equal(frames[0].image, frames[1].image)


def test_styles_change_the_image_and_nothing_else(frames):
    day = frames[0]
    shown = {'day': day}
    for style in ('night', 'rain'):
        shown[style] = next(iter(simulate_camera(replace(DAY, style=style), 3, 1)))
        assert np.array_equal(shown[style].classes, day.classes)
        assert np.array_equal(shown[style].lidar.points, day.lidar.points)
    light = {name: frame.image.mean() for name, frame in shown.items()}
    assert light['night'] < 0.5 * light['day']
    colourful = {
        name: np.ptp(frame.image.astype(float), axis=2).mean() for name, frame in shown.items()
    }
    assert colourful['rain'] < 0.7 * colourful['day']
    assert set(STYLES) == set(shown)


def test_cities_change_streets_and_colours(frames):
    other = replace(DAY, palette='brick', city=City(greenery=(0, 0.1), breadth=1.6))
    frame = next(iter(simulate_camera(other, 3, 1)))
    assert not np.array_equal(frame.lidar.label, frames[0].lidar.label)
    painted = next(iter(simulate_camera(replace(DAY, palette='brick'), 3, 1)))
    assert np.array_equal(painted.classes, frames[0].classes)
    assert np.abs(painted.image.astype(int) - frames[0].image).mean() > 5


def test_domains_differ_in_what_they_are_made_for():
    day, night, other = (DOMAINS[name] for name in ('day', 'night', 'city_b'))
    assert (len(day.lidar.rows), len(night.lidar.rows)) == (64, 16)
    assert day.camera == night.camera and day.city == night.city
    assert day.style == other.style and day.camera != other.camera and other.city is not None


def test_every_class_has_colours_that_stay_with_the_place():
    builder = ShapeBuilder()
    for number in range(len(SEGMENTATION_CLASSES)):
        builder.box((8, 1.1 * (number - 7), 0), (0.3, 0.5, 1.0), label=number, instance=number)
    shapes, camera = builder.build(), CameraModel(width=128, height=32, view_deg=120)
    world = still_world(shapes)
    found = []
    for ahead in (0.0, 3.0):
        pose = np.eye(4)
        pose[0, 3] = ahead
        surfaces, _ = look(world, shapes, camera, pose, np.random.default_rng(0))
        colours = albedo(surfaces, PALETTES['plaster'], 5, 1 / camera.focal)
        assert ((colours >= 0) & (colours <= 1)).all()
        found.append([np.median(colours[surfaces.label == n], axis=0) for n in range(15)])
    np.testing.assert_allclose(found[0], found[1], atol=0.12)
    pairs = np.abs(np.array(found[0])[:, None] - np.array(found[0])[None]).sum(-1)
    assert np.median(pairs[np.triu_indices(15, 1)]) > 0.2


@given(st.integers(0, 2**31), st.integers(-(10**6), 10**6))
def test_noise_is_smooth_bounded_and_a_function_of_place_and_seed(seed, cell):
    places = cell + np.random.default_rng(seed % 97).uniform(0, 3, (50, 3))
    values = noise(places, 0.7, seed)
    assert ((values >= 0) & (values <= 1)).all()
    np.testing.assert_array_equal(values, noise(places, 0.7, seed))
    np.testing.assert_allclose(noise(places + 1e-4, 0.7, seed), values, atol=5e-3)


def test_hashed_numbers_are_spread_evenly():
    numbers = hashed(7, np.arange(20_000), np.arange(20_000) % 13)
    assert ((numbers >= 0) & (numbers < 1)).all()
    counts, _ = np.histogram(numbers, 20, (0, 1))
    assert counts.min() > 850 and counts.max() < 1150
    assert np.abs(hashed(8, np.arange(20_000)) - hashed(7, np.arange(20_000))).mean() > 0.3
