# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes as a sensor scans them, and in colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('embreex', reason='ray casting needs the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')

from pointata_core.shapes import generate
from pointata_core.shapes.colours import with_part_colours
from pointata_core.shapes.rendering import (
    ProceduralSource,
    RayCaster,
    RenderSettings,
    cameras_around,
    image_of_parts,
    image_of_points,
    render,
    render_shape,
    write_renderings,
)
from pointata_core.shapes.rendering.scans import sample_scan
from pointata_core.shapes.shape import Scan, Shape

COLOUR = RenderSettings(views=6, size=32, points=300, colour=True)


def cube() -> Shape:
    """Edges of 1; the faces of the side x = 0.5 are red, all others blue."""
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    quads = [(4, 6, 7, 5), (0, 1, 3, 2), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [(a, b, c) for a, b, c, _ in quads] + [(a, c, d) for a, _, c, d in quads]
    colour = np.tile(np.array([0, 0, 200], np.uint8), (12, 1))
    colour[[0, 6]] = (200, 0, 0)
    part = np.array([0, *[1] * 5, 0, *[1] * 5], np.uint8)
    return Shape(
        corners.astype(np.float32), np.array(faces, np.int32), part, ('front', 'rest'), 'cube',
        'cube', face_colour=colour,
    )  # fmt: skip


def grid(columns: int) -> np.ndarray:
    """Rays along -x, from side to side."""
    across = np.linspace(-0.19, 0.19, columns)
    y, z = np.meshgrid(across, across)
    return np.stack([np.full(y.size, -1.0), y.ravel(), z.ravel()], axis=1)


def scanned(columns: int = 20, origin: tuple[float, float, float] = (3, 0, 0)) -> Shape:
    return replace(cube(), scan=Scan(np.array(origin, np.float32), grid(columns)))


def test_a_scan_lies_where_its_rays_first_meet_the_shape():
    shape = scanned()
    found = sample_scan(shape, RayCaster(shape), 300, np.random.default_rng(0))
    assert found.points.shape == (300, 3) and found.points.dtype == np.float32
    np.testing.assert_allclose(found.points[:, 0], 0.5, atol=1e-5)  # the near side alone
    assert set(found.part.tolist()) == {0}
    np.testing.assert_allclose(np.abs(found.normals[:, 0]), 1, atol=1e-6)
    directions = found.points - shape.scan.origin
    slopes = directions[:, 1:] / -directions[:, :1]
    steps = (slopes + 0.19) / (0.38 / 19)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)  # each is one of the rays


def test_too_few_hits_are_repeated_evenly_and_of_too_many_none_twice():
    rng = np.random.default_rng(0)
    few = scanned(3)
    count = np.unique(sample_scan(few, RayCaster(few), 90, rng).points, axis=0, return_counts=True)
    assert count[1].tolist() == [10] * 9
    many = scanned(20)
    assert len(np.unique(sample_scan(many, RayCaster(many), 90, rng).points, axis=0)) == 90


def test_a_scan_that_meets_nothing_is_an_error():
    shape = scanned(origin=(3, 9, 0))
    with pytest.raises(ValueError, match='no ray of the scan meets cube'):
        sample_scan(shape, RayCaster(shape), 10, np.random.default_rng(0))


def test_points_of_a_rendered_scan_are_the_scan_and_have_pixels():
    rendered = render_shape(scanned(), COLOUR)
    np.testing.assert_allclose(rendered.points[:, 0], 0.5, atol=1e-5)
    seen = rendered.visible.mean(axis=1)
    towards = rendered.cameras.eyes[:, 0] > 2
    assert (seen[towards] == 1).all() and (seen[~towards] < 0.2).all()


def test_colours_of_faces_are_shown_under_the_light():
    settings = replace(COLOUR, crease_degrees=0.0)
    found = render(cube(), cameras_around(settings), settings)
    assert found.images.shape == (6, 32, 32, 3)
    seen = found.face >= 0
    assert (found.images[~seen] == 255).all()
    front = seen & np.isin(found.face, [0, 6])
    assert front.any() and (found.images[front][:, 1:] == 0).all()
    assert (found.images[front][:, 0] > 50).all() and (found.images[front][:, 0] <= 200).all()
    assert (found.images[seen & ~front][:, :2] == 0).all()


def test_without_colour_images_are_grey_whatever_the_colours():
    settings = replace(COLOUR, colour=False)
    cameras = cameras_around(settings)
    plain = render(replace(cube(), face_colour=None), cameras, settings).images
    assert plain.shape == (6, 32, 32)
    np.testing.assert_array_equal(render(cube(), cameras, settings).images, plain)
    # A shape without colours is grey in colour images as well.
    colour = render(replace(cube(), face_colour=None), cameras, COLOUR).images
    np.testing.assert_array_equal(colour, np.repeat(plain[..., None], 3, axis=-1))


def test_parts_of_a_shape_have_colours_that_its_name_decides():
    shape = with_part_colours(generate('chair', 3))
    again = with_part_colours(generate('chair', 3))
    np.testing.assert_array_equal(shape.face_colour, again.face_colour)
    for part in np.unique(shape.face_part):
        assert len(np.unique(shape.face_colour[shape.face_part == part], axis=0)) == 1
    other = with_part_colours(generate('chair', 4))
    assert not np.array_equal(shape.face_colour[0], other.face_colour[0])


def test_coloured_shards_are_read_as_they_were_written(tmp_path):
    source = ProceduralSource('mug', 5)
    folder = write_renderings(tmp_path, [source], COLOUR, progress=False)
    expected = render_shape(source.load(), COLOUR)
    np.testing.assert_array_equal(folder[0].images, expected.images)
    assert len(np.unique(expected.images.reshape(-1, 3), axis=0)) > 5
    assert image_of_points(folder[0], 2).shape == (32, 32, 3)
    assert image_of_parts(source.load(), folder.cameras, COLOUR).shape == (6, 32, 32, 3)
