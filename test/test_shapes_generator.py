# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The shape generator: closed meshes in the unit sphere, all parts, the same from the same seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pointata_core.errors import ConfigError
from pointata_core.shapes import FAMILIES, balanced_plan, generate, generate_many
from pointata_core.shapes.procedural.assembly import Assembly
from pointata_core.shapes.procedural.deformations import twist
from pointata_core.shapes.procedural.primitives import box, cylinder
from pointata_core.shapes.procedural.solids import Solid
from pointata_core.shapes.shape import face_areas

pytest.importorskip('manifold3d', reason='booleans need the extra `pretrain`')

ROOT = Path(__file__).resolve().parents[1]


def open_edges(faces):
    """Edges that do not lie between exactly two faces of the same sense of rotation."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    size = faces.max() + 1
    there, back = edges @ (size, 1), edges @ (1, size)
    repeated = len(there) - len(np.unique(there))
    return repeated + int((~np.isin(back, there)).sum())


def digest(shape):
    code = hashlib.sha256()
    for array in (shape.vertices, shape.faces, shape.face_part):
        code.update(np.ascontiguousarray(array).tobytes())
    return code.hexdigest()


def part_areas(mesh):
    areas = face_areas(mesh.vertices[mesh.faces])
    return np.bincount(mesh.face_part, areas)


@pytest.mark.parametrize('family', sorted(FAMILIES))
def test_members_are_closed_normalised_and_together_have_all_parts(family):
    parts = FAMILIES[family].parts
    seen = set()
    for seed in range(60):
        shape = generate(family, seed)
        assert np.isfinite(shape.vertices).all()
        assert open_edges(shape.faces) == 0
        assert Solid(shape.vertices.astype(float), shape.faces).volume > 0
        assert np.linalg.norm(shape.vertices, axis=1).max() == pytest.approx(1, abs=1e-5)
        middle = shape.vertices.min(axis=0) + shape.vertices.max(axis=0)
        np.testing.assert_allclose(middle, 0, atol=1e-5)
        assert len(shape.face_part) == len(shape.faces)
        assert (shape.family, shape.part_names, shape.group) == (
            family,
            parts,
            FAMILIES[family].group,
        )
        areas = part_areas(shape)
        assert len(areas) <= len(parts)
        seen |= set(np.flatnonzero(areas > 1e-5).tolist())
        if seed and len(seen) == len(parts):
            return
    pytest.fail(f'never seen: {[name for i, name in enumerate(parts) if i not in seen]}')


def test_the_families_are_many_and_of_several_groups():
    assert len(FAMILIES) >= 60
    groups = {family.group for family in FAMILIES.values()}
    assert {'abstract', 'furniture', 'vehicle', 'tool', 'figure'} <= groups


def test_a_shape_depends_on_family_and_seed_alone():
    wanted = [('chair', 3), ('human', 5), ('blob', 0)]
    first = [digest(generate(*item)) for item in wanted]
    list(generate_many(5, seed=11))
    again = [digest(generate(*item)) for item in reversed(wanted)]
    assert again[::-1] == first
    assert len({*first, digest(generate('chair', 4))}) == 4


def test_another_process_draws_the_same_shapes():
    program = (
        'import sys; sys.path[:0] = sys.argv[1:3]\n'
        'from test_shapes_generator import digest, generate\n'
        'print(digest(generate("quadruped", 7)), digest(generate("carved", 2)))\n'
    )
    command = [sys.executable, '-c', program, str(ROOT), str(ROOT / 'test')]
    printed = subprocess.check_output(command, text=True, timeout=240).split()
    assert printed == [digest(generate('quadruped', 7)), digest(generate('carved', 2))]


def test_members_of_a_family_differ_in_more_than_size():
    extents = np.array([np.ptp(generate('table', seed).vertices, axis=0) for seed in range(8)])
    assert (extents.std(axis=0) > 0.03).all()


def test_plans_are_balanced_and_do_not_overlap():
    first = balanced_plan(10, 0, ('chair', 'table', 'mug'))
    later = balanced_plan(10, 4, ('chair', 'table', 'mug'))
    counts = [sum(family == name for family, _ in first) for name in ('chair', 'table', 'mug')]
    assert sorted(counts) == [3, 3, 4]
    assert len(set(first)) == 10
    assert set(first) & set(later) == set()


@pytest.mark.parametrize(
    ('family', 'seed', 'words'), [('unicorn', 0, 'chair'), ('chair', -1, '-1')]
)
def test_wrong_requests_are_explained(family, seed, words):
    with pytest.raises(ConfigError, match=words):
        generate(family, seed)


def test_union_leaves_nothing_inside_and_keeps_parts():
    parts = Assembly(('left', 'right'))
    parts.add('left', box(1, 1, 1))
    parts.add('right', box(1, 1, 1).at(0.5, 0, 0))
    mesh = parts.build()
    # A block of 1.5 x 1 x 1, shrunk to the unit sphere; its coplanar sides may go to either part.
    half_diagonal = np.linalg.norm([1.5, 1, 1]) / 2
    areas = part_areas(mesh) * half_diagonal**2
    assert areas.sum() == pytest.approx(8, rel=1e-5)
    assert (areas >= 3 - 1e-4).all()
    assert open_edges(mesh.faces) == 0


def test_a_cut_takes_volume_and_labels_its_walls():
    parts = Assembly(('body', 'hole'))
    parts.add('body', box(2, 2, 2))
    parts.cut('hole', box(1, 1, 4))
    mesh = parts.build()
    scale = np.sqrt(3)
    assert Solid(mesh.vertices, mesh.faces).volume * scale**3 == pytest.approx(6, rel=1e-5)
    np.testing.assert_allclose(part_areas(mesh) * scale**2, [4 * 4 + 2 * 3, 4 * 2], rtol=1e-5)


def test_copies_are_mirrored_and_turned():
    parts = Assembly(('a', 'b'))
    parts.add_mirrored('a', cylinder(0.2, 1).at(0, 1, 0))
    parts.add_around('b', 3, box(0.2, 0.2, 0.2).at(1, 0, 0))
    mesh = parts.build()
    assert open_edges(mesh.faces) == 0
    area_a, area_b = part_areas(mesh)
    one = Assembly(('a', 'b'))
    one.add('a', cylinder(0.2, 1))
    one.add('b', box(0.2, 0.2, 0.2).at(9, 0, 0))
    single_a, single_b = part_areas(one.build())
    # Both assemblies are scaled, so compare a ratio: two cylinders to three boxes.
    assert area_a / area_b == pytest.approx(2 / 3 * single_a / single_b, rel=1e-4)


def test_deforming_refines_flat_faces_first():
    parts = Assembly(('bar',))
    parts.add('bar', box(0.2, 0.2, 2))
    plain = parts.build()
    twisted = parts.build([twist(2, 1.5)])
    assert len(twisted.faces) > 5 * len(plain.faces)
    assert open_edges(twisted.faces) == 0
    # The ends are turned against each other by 1.5 * 2: no face is left in the plane x = const.
    top = twisted.vertices[twisted.vertices[:, 2] > twisted.vertices[:, 2].max() - 1e-6]
    low = twisted.vertices[twisted.vertices[:, 2] < twisted.vertices[:, 2].min() + 1e-6]
    assert np.abs(top[:, 0]).max() != pytest.approx(np.abs(plain.vertices[:, 0]).max(), rel=1e-2)
    assert np.abs(top[:, 0]).max() == pytest.approx(np.abs(low[:, 0]).max(), rel=1e-2)


def test_an_open_solid_is_refused():
    closed = box(1, 1, 1)
    with pytest.raises(ValueError, match='body'):
        Assembly(('body',)).add('body', Solid(closed.vertices, closed.faces[:-1]))
