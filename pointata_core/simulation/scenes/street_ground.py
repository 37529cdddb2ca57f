# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground of a street: carriageway, verges, sidewalks, lawns, paved lots, banks and paint."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pointata_core.simulation.scenes.ground import Ground, rolling
from pointata_core.simulation.scenes.street_plan import StreetPlan
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id

WIDTH = 70.0
"""Metres of ground on each side of the x axis."""

_CELL, _SPACING = 0.2, 0.5
_ROAD, _SIDEWALK, _TERRAIN = (class_id(name) for name in ('road', 'sidewalk', 'terrain'))


def lay_ground(rng: np.random.Generator, plan: StreetPlan) -> Ground:
    """Draw the ground of a street."""
    origin = (plan.begin, -WIDTH)
    size = (int((plan.end - plan.begin) / _CELL), int(2 * WIDTH / _CELL))
    x, lateral = _lateral(plan, origin, size, _CELL)
    classes = np.full(size, _TERRAIN, np.uint8)
    raised = np.ones(size, bool)
    _pave_street(plan, x, lateral, classes, raised)
    for side in (-1, 1):
        _pave_lots(rng, plan, side, x, lateral, classes, raised)
    reflectivity = np.full(len(SEGMENTATION_CLASSES), 0.3, np.float32)
    reflectivity[_ROAD] = rng.uniform(0.22, 0.35)
    reflectivity[_SIDEWALK] = reflectivity[_ROAD] + rng.uniform(0.0, 0.1)
    reflectivity[_TERRAIN] = rng.uniform(0.29, 0.42)
    return Ground(
        classes,
        raised,
        origin,
        _CELL,
        plan.kerb,
        _heights(rng, plan, origin),
        _SPACING,
        reflectivity,
        grass=float(rng.uniform(0.0, 0.15)),
        tone=_tone(rng, plan, x, lateral, classes),
    )


def _lateral(
    plan: StreetPlan, origin: tuple[float, float], size: tuple[int, int], cell: float
) -> tuple[np.ndarray, np.ndarray]:
    """Map x (U, 1) and distance (U, V) to the left of the centre line at the middle of cells."""
    x = origin[0] + (np.arange(size[0], dtype=np.float32)[:, None] + 0.5) * cell
    y = origin[1] + (np.arange(size[1], dtype=np.float32)[None, :] + 0.5) * cell
    return x, (y - plan.line.y(x)) * np.cos(plan.line.yaw(x))


def _pave_street(
    plan: StreetPlan,
    x: np.ndarray,
    lateral: np.ndarray,
    classes: np.ndarray,
    raised: np.ndarray,
) -> None:
    away = np.abs(lateral)
    road = (away < plan.half_road) & (away >= plan.median)
    walk = (away >= plan.half_road + plan.verge) & (away < plan.border)
    if plan.crossing is not None:
        across = np.abs(x - plan.crossing)
        road |= np.broadcast_to(across < plan.half_crossing, road.shape)
        beside = (across < plan.half_crossing + max(plan.sidewalk, 0.5)) & (away > plan.border)
        walk |= beside & (across >= plan.half_crossing) & (plan.sidewalk > 0)
    classes[walk] = _SIDEWALK
    classes[road] = _ROAD
    raised[road] = False


def _pave_lots(
    rng: np.random.Generator,
    plan: StreetPlan,
    side: int,
    x: np.ndarray,
    lateral: np.ndarray,
    classes: np.ndarray,
    raised: np.ndarray,
) -> None:
    """Paved yards, drives and parking places among the grass, with ragged edges."""
    away, first = lateral * side, plan.begin
    at = plan.begin
    while at < plan.end:
        run = rng.uniform(4, 22)
        green = plan.greenery
        shares = [0.05 + 0.8 * green, 0.65 - 0.53 * green, 0.3 - 0.27 * green]
        if not plan.sidewalk:
            shares = [0.94, 0.0, 0.06]
        paving = rng.choice([_TERRAIN, _SIDEWALK, _ROAD], p=shares)
        depth, drive, width = rng.uniform(4, 20), rng.random() < 0.6, rng.uniform(2.8, 5.0)
        rows = slice(int((at - first) / _CELL), int((at + run - first) / _CELL) + 1)
        at += run
        if paving == _TERRAIN:
            continue
        part = away[rows]
        lot = (part >= plan.border) & (part < plan.border + depth)
        classes[rows][lot & (classes[rows] == _TERRAIN)] = paving
        if paving == _ROAD and drive:  # the drive crosses verge and sidewalk
            path = (part >= plan.half_road) & (part < plan.border + 0.3)
            path &= x[rows] - x[rows][0] < width
            raised[rows][path] = False
            classes[rows][path & (classes[rows] == _TERRAIN)] = (
                _SIDEWALK if plan.sidewalk else _ROAD
            )


def _heights(rng: np.random.Generator, plan: StreetPlan, origin: tuple[float, float]) -> np.ndarray:
    """Long waves under everything; camber on the road; banks, ditches and bumps beside it."""
    size = (int((plan.end - plan.begin) / _SPACING) + 1, int(2 * WIDTH / _SPACING) + 1)
    steep = rng.choice([0.006, 0.02, 0.05], p=[0.4, 0.4, 0.2])
    slope = (float(rng.normal(0, steep)), float(rng.normal(0, 0.012)))
    waves = [
        (rng.uniform(0, top), *rng.normal(0, 2 * np.pi / length, 2), rng.uniform(0, 6.28))
        for top, length in ((0.5, 130), (0.12, 50), (0.03, 14))
    ]
    z = rolling(size, origin, _SPACING, slope, np.array(waves))
    _, lateral = _lateral(plan, origin, size, _SPACING)
    away = np.abs(lateral)
    z -= np.float32(rng.uniform(0, 0.03)) * np.minimum(away, plan.half_road)
    bumps = _noise(rng, size, 6.0) + 0.5 * _noise(rng, size, 2.0)
    roughness = rng.uniform(0.01, 0.12) * (1.0 if plan.greenery > 0.5 else 0.4)
    z += np.float32(roughness) * bumps * np.clip((away - plan.border) / 3, 0, 1)
    for side, rise in zip((-1, 1), plan.bank):
        beyond = lateral * side - plan.border - rng.uniform(0.2, 3.0)
        if plan.sidewalk:
            rise = min(rise, 1.2)
        run = max(abs(rise) * rng.uniform(1.6, 6.0), 1.0)
        share = np.clip(beyond / run, 0, 1)
        z += np.float32(rise) * share * share * (3 - 2 * share)
        if rise and rng.random() < 0.4:  # a ditch between road and bank
            z -= np.float32(rng.uniform(0.1, 0.6)) * np.exp(-(((beyond - 1.2) / 0.8) ** 2))
    return z.astype(np.float32)


def _noise(rng: np.random.Generator, size: tuple[int, int], length: float) -> np.ndarray:
    """Smooth noise of deviation 1 that changes over ``length`` metres."""
    step = max(1, round(length / _SPACING))
    coarse = rng.standard_normal((size[0] // step + 2, size[1] // step + 2)).astype(np.float32)
    return ndimage.zoom(coarse, step, order=1)[: size[0], : size[1]] * np.float32(1.5)


def _tone(
    rng: np.random.Generator,
    plan: StreetPlan,
    x: np.ndarray,
    lateral: np.ndarray,
    classes: np.ndarray,
) -> np.ndarray:
    """Patches darker and brighter than the rest, and the paint on the road."""
    size = classes.shape
    coarse = rng.standard_normal((size[0] // 12 + 1, size[1] // 12 + 1)).astype(np.float32)
    tone = np.repeat(np.repeat(coarse, 12, 0), 12, 1)[: size[0], : size[1]]
    tone = 1 + np.float32(rng.uniform(0.03, 0.12)) * tone
    road = classes == _ROAD
    dashes = np.mod(x, 9.0) < 3.0
    paint = np.abs(lateral) < 0.1
    paint = paint & (dashes | (rng.random() < 0.3))
    if rng.random() < 0.6:  # edge lines
        paint |= np.abs(np.abs(lateral) - plan.half_road + 0.35) < 0.1
    if plan.half_road > 6:
        lane = (plan.half_road - plan.median) / max(1, round((plan.half_road - plan.median) / 3.5))
        between = np.abs(np.mod(np.abs(lateral) - plan.median + lane / 2, lane) - lane / 2)
        paint |= (between < 0.1) & dashes
    if plan.crossing is not None and rng.random() < 0.5:  # a zebra crossing
        at = plan.crossing + plan.half_crossing + 1.0
        paint |= (x > at) & (x < at + 3.0) & (np.mod(lateral, 1.0) < 0.5)
    tone[paint & road] = rng.uniform(1.3, 1.95)
    return np.clip(128 * tone, 20, 255).astype(np.uint8)
