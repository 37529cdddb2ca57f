# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bird's-eye images show the right point, at the right place, in the right colour."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from pointata_core.evaluation.colours import colours_of_labels, palette
from pointata_core.evaluation.report.images import (
    bird_eye_view,
    common_extent,
    nice_length,
    rasterise,
)
from pointata_core.taxonomy import SEGMENTATION_CLASSES, SEGMENTATION_COLOURS

RED, BLUE = (255, 0, 0), (0, 0, 255)


def seen_at(image: np.ndarray, x: float, y: float, extent: float) -> tuple[int, ...]:
    """Colour of the pixel that shows (x, y); x runs upwards, y to the left."""
    scale = len(image) / (2 * extent)
    return tuple(image[int((extent - x) * scale), int((extent - y) * scale)].tolist())


def test_forward_is_up_and_left_is_left():
    points = np.array([[8, 0, 0], [0, 8, 0]], np.float32)
    image = rasterise(points, np.array([RED, BLUE], np.uint8), 10.0, pixels=100)
    rows, columns = np.nonzero(image[..., 3])
    red = image[rows, columns, 0] == 255
    assert rows[red].max() < 50 <= rows[~red].min() + 1
    assert columns[~red].max() < 50 <= columns[red].min() + 1


@given(st.permutations([0, 1, 2, 3]))
def test_the_highest_point_is_seen_whatever_the_order(order):
    points = np.array([[1, 1, z] for z in (0, 1, 2, 3)], np.float32)[order]
    colours = np.array([[z, 0, 0] for z in (10, 20, 30, 40)], np.uint8)[order]
    image = rasterise(points, colours, 5.0, pixels=50)
    assert seen_at(image, 1, 1, 5.0) == (40, 0, 0, 255)


def test_points_outside_or_not_finite_are_left_out():
    points = np.array([[np.nan, 0, 0], [0, np.inf, 0], [99, 0, 0], [0, 0, np.nan]], np.float32)
    image = rasterise(points, np.full((4, 3), 200, np.uint8), 10.0, pixels=20)
    assert not image.any()


def test_a_point_on_the_very_border_stays_inside():
    edge = np.float32(np.nextafter(np.float32(10), np.float32(0)))
    points = np.array([[-edge, -edge, 0], [edge, edge, 0]], np.float32)
    image = rasterise(points, np.full((2, 3), 9, np.uint8), 10.0, pixels=20)
    assert image[0, 0, 3] == image[-1, -1, 3] == 255


def test_view_shows_class_colours_and_hides_ceilings():
    at = {name: SEGMENTATION_CLASSES.index(name) for name in ('car', 'ceiling')}
    grid = np.stack(np.meshgrid(np.linspace(2, 6, 60), np.linspace(2, 6, 60)), -1).reshape(-1, 2)
    points = np.c_[grid, np.zeros(len(grid))].astype(np.float32)
    roof = points + np.float32(3) * np.eye(3, dtype=np.float32)[2]
    labels = np.repeat(np.array([at['car'], at['ceiling']], np.uint16), len(points))
    png = bird_eye_view(np.r_[points, roof], labels, SEGMENTATION_CLASSES, 10.0, 't = 0 s')
    image = (imread(io.BytesIO(png))[..., :3] * 255).round().astype(int)
    colours = {tuple(c) for c in image.reshape(-1, 3).tolist()}
    assert SEGMENTATION_COLOURS[at['car']] in colours
    assert SEGMENTATION_COLOURS[at['ceiling']] not in colours


def test_every_class_of_any_bundle_has_its_own_colour():
    ours = palette(SEGMENTATION_CLASSES)
    assert [tuple(c) for c in ours[:-1].tolist()] == list(SEGMENTATION_COLOURS)
    foreign = palette([f'thing {i}' for i in range(40)])
    assert len({tuple(c) for c in foreign.tolist()}) == 41


def test_unlabelled_points_are_grey_whatever_their_number():
    colours = colours_of_labels(np.array([0, 15, 65535], np.uint16), SEGMENTATION_CLASSES)
    assert colours[1].tolist() == colours[2].tolist() == [90, 90, 90]
    assert colours[0].tolist() == list(SEGMENTATION_COLOURS[0])


@given(st.floats(1e-3, 1e6))
def test_scale_bars_have_round_lengths_that_fit(limit):
    length = nice_length(limit)
    assert limit / 2.5 * (1 - 1e-6) <= length <= limit * (1 + 1e-6)
    digits = length / 10 ** np.floor(np.log10(length) + 1e-9)
    assert min(abs(digits - d) for d in (1, 2, 5)) < 1e-6


@pytest.mark.parametrize('clouds', [[], [np.empty((0, 3))], [np.full((5, 3), np.nan)]])
def test_extent_of_nothing_is_defined(clouds):
    assert 2.0 <= common_extent(clouds) <= 60.0
