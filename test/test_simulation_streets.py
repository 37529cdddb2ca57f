# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Streets of all kinds: ground that rolls, flush sidewalks, mirrored light, drops of rain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointata_core.simulation import NO_CLASS, SENSORS, SensorModel
from pointata_core.simulation.scanning import scan
from pointata_core.simulation.scenes import street_plan
from pointata_core.simulation.scenes.countries import COUNTRIES
from pointata_core.simulation.scenes.ground import Ground, rolling
from pointata_core.simulation.scenes.street import street
from pointata_core.simulation.scenes.world import World
from pointata_core.simulation.sensing.artefacts import drops, late
from pointata_core.simulation.sensing.returns import receive
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id

COARSE = SENSORS['hdl64'].with_columns(180)


def one_kind(monkeypatch: pytest.MonkeyPatch, name: str, seed: int) -> World:
    """A street of one kind."""
    monkeypatch.setattr(street_plan, 'COUNTRIES', {name: COUNTRIES[name]})
    return street(np.random.default_rng(seed), 0.1)


def shares(world: World) -> np.ndarray:
    """Share of the points of one scan by class."""
    frame = scan(world, COARSE, COARSE.directions(), 0.0, np.random.default_rng(0))
    known = frame.label[frame.label != NO_CLASS]
    return np.bincount(known, minlength=len(SEGMENTATION_CLASSES)) / len(known)


def mean_shares(monkeypatch: pytest.MonkeyPatch, name: str) -> dict[str, float]:
    """Mean over some streets of one kind."""
    mean = np.mean([shares(one_kind(monkeypatch, name, seed)) for seed in range(3)], 0)
    return dict(zip(SEGMENTATION_CLASSES, mean.tolist()))


def test_each_kind_of_street_shows_what_it_is_named_after(monkeypatch):
    highway, old_town, suburb = (
        mean_shares(monkeypatch, name) for name in ('highway', 'old_town', 'suburb')
    )
    assert highway['road'] > 0.3
    assert highway['sidewalk'] < 0.02
    assert highway['building'] < 0.1
    assert old_town['building'] > 0.3
    assert old_town['terrain'] < suburb['terrain']
    assert suburb['terrain'] > 0.1


@pytest.mark.parametrize('name', COUNTRIES)
def test_streets_of_all_kinds_are_drawn_and_scanned(monkeypatch, name):
    found = shares(one_kind(monkeypatch, name, 11))
    assert found[class_id('road')] > 0.02


def test_ground_beside_the_road_rolls():
    spread = []
    for seed in range(6):
        ground = street(np.random.default_rng(seed), 0.1).ground
        x, y = np.meshgrid(np.linspace(-30, 30, 40), np.linspace(-30, 30, 40))
        z = ground.height(x, y).ravel()
        plane = np.column_stack([x.ravel(), y.ravel(), np.ones(z.size)])
        spread.append(np.std(z - plane @ np.linalg.lstsq(plane, z, rcond=None)[0]))
    assert 0.05 < np.median(spread) < 1.0


def test_rays_stop_at_the_first_of_two_ridges():
    waves = np.array([(1.5, 2 * np.pi / 20, 0.0, -np.pi / 2)])  # crests at x = 10, 30, ...
    heights = rolling((241, 241), (-60.0, -60.0), 0.5, (0.0, 0.0), waves)
    flat = np.zeros((10, 10), np.uint8)
    ground = Ground(flat, flat > 0, (-60.0, -60.0), 12.0, 0.0, heights, 0.5, np.ones(15))
    origin = np.array([0.0, 0.0, 0.0])
    elevation = np.linspace(-0.3, 0.12, 200)
    rays = np.stack([np.cos(elevation), 0 * elevation, np.sin(elevation)]).astype(np.float32)
    t = ground.cast(origin, rays, 60.0)
    met = np.isfinite(t)
    x, z = t * rays[0], t * rays[2]
    np.testing.assert_allclose(z[met], ground.height(x, 0 * x)[met], atol=2e-3)
    assert x[met].max() < 10.2  # nothing behind the first crest is seen from below its top
    assert met[elevation < 0.1].all()


def test_light_that_took_a_detour_comes_late_in_patches_and_shows_no_class():
    world = replace(street(np.random.default_rng(1), 0.1), rain=0.0)
    below = late_points = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        frame = scan(world, SENSORS['hdl64'], SENSORS['hdl64'].directions(), 0.0, rng)
        x, y, z = (frame.points @ frame.pose[:3, :3].T + frame.pose[:3, 3]).T
        ghost = frame.label == NO_CLASS
        late_points += ghost.sum()
        below += np.count_nonzero(z[ghost] < world.ground.height(x, y)[ghost] - 0.3)
        assert not frame.instance[ghost].any()
        near = np.hypot(frame.points[:, 0], frame.points[:, 1]) < 30
        real = z[~ghost & near] - world.ground.height(x, y)[~ghost & near]
        assert np.mean(real < -0.3) < 1e-3
    assert below > 50
    assert late_points < 0.01 * 8 * SENSORS['hdl64'].rays


def test_late_light_needs_a_mirror_and_stays_in_range():
    sensor = SENSORS['vlp16']
    ray = np.arange(sensor.rays)
    distance = np.full(sensor.rays, 98.0, np.float32)
    for mirrors in (np.zeros(sensor.rays), np.ones(sensor.rays)):
        for seed in range(5):
            extra = late(sensor, ray, distance, mirrors, np.random.default_rng(seed))
            assert (distance + extra < sensor.max_range).all()
            assert mirrors.any() or not extra.any()


def test_rain_returns_near_the_sensor():
    world = replace(street(np.random.default_rng(1), 0.1), rain=0.02)
    frame = scan(world, COARSE, COARSE.directions(), 0.0, np.random.default_rng(0))
    share = np.mean(frame.label == NO_CLASS)
    assert 0.003 < share < 0.03
    met = drops(COARSE, 0.02, np.random.default_rng(0))
    assert np.isfinite(met).mean() == pytest.approx(0.02, rel=0.2)
    assert met.min() >= COARSE.min_range
    assert np.median(met[np.isfinite(met)]) < 6.0


def received(sensor: SensorModel, reflectivity: float, distance: float, cosine: float) -> tuple:
    """Share of returns, and their mean intensity."""
    count = 4000
    full = [np.full(count, value, np.float32) for value in (distance, reflectivity, cosine)]
    got = receive(sensor, np.arange(count), *full, np.zeros(count, bool), np.random.default_rng(0))
    return len(got.ray) / count, float(got.intensity.mean()) if len(got.ray) else 0.0


def test_intensity_follows_material_angle_and_gain():
    sensor = replace(SENSORS['hdl64'], dropout=0.0)
    assert received(sensor, 0.6, 10, 1.0)[1] > 1.8 * received(sensor, 0.3, 10, 1.0)[1]
    straight, slant = (received(sensor, 0.3, 10, cosine)[1] for cosine in (1.0, 0.2))
    assert 0.8 < slant / straight < 0.95
    corrected = replace(sensor, angular=0.8)
    assert received(corrected, 0.3, 10, 0.2)[1] < 0.5 * received(corrected, 0.3, 10, 1.0)[1]
    assert received(replace(sensor, gain=0.5), 0.3, 10, 1.0)[1] < 0.5 * straight
    # Asphalt seen at a grazing angle fades; what is darker still is not returned.
    assert received(sensor, 0.25, 40, 0.04)[1] < 0.4 * straight
    assert received(sensor, 0.03, 60, 0.1)[0] < 0.2 < 0.9 < received(sensor, 0.4, 60, 0.9)[0]
