# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mesh files: four formats, layouts of ShapeNet and ModelNet, broken ones named and skipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pointata_core.errors import ConfigError
from pointata_core.shapes import (
    MeshError,
    find_meshes,
    generate,
    read_mesh,
    read_meshes,
)
from pointata_core.shapes.shape import face_areas

pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
trimesh = pytest.importorskip('trimesh', reason='mesh files need the extra `pretrain`')

TRIANGLE_OFF = 'OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n'
# Content -> what the reason must say.
BROKEN = {
    'model_normalized.obj': [
        (b'', 'no faces'),
        (b'v 0 0 0\nv 1 0 0\nv 0 1 0\n', 'no faces'),
        (b'v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n', 'not finite'),
        (b'v 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n', 'extent'),
        (b'v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n', 'area'),
        (b'v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n', ''),
        (b'\x00\xff\x13not a mesh at all\x80' * 9, ''),
        (None, 'No such file'),
    ]
}


def export(shape, path):
    mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        data if isinstance(data := mesh.export(file_type=path.suffix[1:]), bytes) else data.encode()
    )
    return path


def make_shapenet(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Fifty sound models of five categories in v1 and v2 naming, and eight broken ones."""
    synsets = {'03001627': 'chair', '04379243': 'table', '03797390': 'mug', '02876657': 'bottle',
               '02958343': 'car'}  # fmt: skip
    sound, broken = {}, {}
    for synset, family in synsets.items():
        for seed in range(10):
            suffix = ('.obj', '.ply', '.glb', '.off')[seed % 4]
            name = f'model{suffix}' if seed % 3 == 0 else f'models/model_normalized{suffix}'
            export(generate(family, 1000 + seed), root / synset / f'good{seed}' / name)
            sound[f'{family}/good{seed}'] = family
    for index, (content, reason) in enumerate(BROKEN['model_normalized.obj']):
        path = root / '03001627' / f'bad{index}' / 'models' / 'model_normalized.obj'
        path.parent.mkdir(parents=True)
        if content is not None:
            path.write_bytes(content)
        broken[f'chair/bad{index}'] = reason
    (root / 'README.txt').write_text('not a synset')
    return sound, broken


@pytest.mark.parametrize('suffix', ['.obj', '.off', '.ply', '.glb'])
def test_formats_keep_the_surface(tmp_path, suffix):
    shape = generate('chair', 1)
    read = read_mesh(export(shape, tmp_path / f'seat{suffix}'), family='chair')
    assert (read.name, read.family, read.part_names) == ('seat', 'chair', ('whole',))
    assert face_areas(read.triangles).sum() == pytest.approx(
        face_areas(shape.triangles).sum(), rel=1e-3
    )
    assert np.linalg.norm(read.vertices, axis=1).max() == pytest.approx(1, abs=1e-5)
    assert read.faces.dtype == np.int32


def test_the_up_axis_becomes_z_and_the_front_x(tmp_path):
    # ShapeNet: y up, front -z. A long nose to the front, a small one upwards.
    path = tmp_path / 'm.obj'
    path.write_text('v 0 0 0\nv 0 0 -4\nv 0 1 0\nv -2 0 0\nf 1 2 3\nf 1 3 4\n')
    vertices = read_mesh(path, up='y').vertices
    moved = vertices - vertices[0]
    scale = np.abs(moved).max() / 4
    np.testing.assert_allclose(moved[1:] / scale, [[4, 0, 0], [0, 0, 1], [0, 2, 0]], atol=1e-5)
    with pytest.raises(ConfigError, match="'x'"):
        read_mesh(path, up='x')


def test_polygons_become_triangles_and_scenes_one_mesh(tmp_path):
    path = tmp_path / 'square.obj'
    path.write_text('v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n')
    assert face_areas(read_mesh(path).triangles).sum() == pytest.approx(2)
    scene = trimesh.Scene()
    for place in (0, 3):
        part = trimesh.creation.box((1, 1, 1))
        scene.add_geometry(
            part, transform=trimesh.transformations.translation_matrix([place, 0, 0])
        )
    (tmp_path / 'two.glb').write_bytes(scene.export(file_type='glb'))
    extent = np.ptp(read_mesh(tmp_path / 'two.glb').vertices, axis=0)
    assert extent[0] / extent[2] == pytest.approx(4, rel=1e-4)


def test_off_files_of_modelnet_without_a_line_break_are_read(tmp_path):
    path = tmp_path / 'm.off'
    path.write_text(TRIANGLE_OFF.replace('OFF\n', 'OFF'))
    assert len(read_mesh(path).faces) == 1


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('m.off', TRIANGLE_OFF[:24].encode(), 'm.off'),
        ('m.ply', b'ply\nformat ascii 1.0\nelement vertex 3\n', 'm.ply'),
        ('m.glb', b'glTF\x02\x00\x00\x00', 'm.glb'),
        ('m.stl', b'solid', 'ending'),
        ('m.off', TRIANGLE_OFF.replace('3 0 1 2', '3 0 1 7').encode(), 'm.off'),
    ],
)
def test_broken_files_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=words) as error:
        read_mesh(tmp_path / name)
    assert str(tmp_path / name) in error.value.message
    assert error.value.fix


def test_too_large_meshes_are_refused(tmp_path):
    path = export(generate('gear', 0), tmp_path / 'gear.ply')
    with pytest.raises(MeshError, match='at most 10'):
        read_mesh(path, max_faces=10)


def test_a_shapenet_folder_is_read_and_its_broken_models_are_reported(tmp_path):
    sound, expected = make_shapenet(tmp_path)
    files = find_meshes(tmp_path)
    assert [file.name for file in files] == sorted([*sound, *expected])
    assert {file.up for file in files} == {'y'}
    broken = []
    shapes = list(read_meshes(files, broken))
    assert {shape.name: shape.family for shape in shapes} == sound
    assert {mesh.name for mesh in broken} == set(expected)
    for mesh in broken:
        assert expected[mesh.name] in mesh.reason
        assert Path(mesh.path).parts[-3] == mesh.name.split('/')[1]
    chair = next(shape for shape in shapes if shape.name == 'chair/good5')
    # What was drawn z-up was read as y-up: its old z is now its y, up to the sign.
    drawn = np.ptp(generate('chair', 1005).vertices, axis=0)
    np.testing.assert_allclose(np.ptp(chair.vertices, axis=0), drawn[[2, 0, 1]], atol=1e-4)


def test_taxonomy_of_the_data_set_wins(tmp_path):
    export(generate('mug', 0), tmp_path / '03797390' / 'a' / 'model.obj')
    (tmp_path / 'taxonomy.json').write_text(
        json.dumps([{'synsetId': '03797390', 'name': 'coffee mug,tankard', 'children': []}])
    )
    assert [file.name for file in find_meshes(tmp_path)] == ['coffee_mug/a']
    (tmp_path / 'taxonomy.json').write_text('{"a": 1}')
    with pytest.raises(ConfigError, match='taxonomy'):
        find_meshes(tmp_path)


def test_modelnet_folders_have_splits(tmp_path):
    for category, split, number in (
        ('chair', 'train', 1),
        ('chair', 'test', 2),
        ('desk', 'test', 1),
    ):
        path = tmp_path / category / split / f'{category}_{number:04d}.off'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TRIANGLE_OFF)
    files = find_meshes(tmp_path)
    assert [(file.name, file.split, file.up) for file in files] == [
        ('chair/chair_0001', 'train', 'z'),
        ('chair/chair_0002', 'test', 'z'),
        ('desk/desk_0001', 'test', 'z'),
    ]
    assert files[0].load().family == 'chair'


def test_any_other_folder_counts_every_mesh(tmp_path):
    export(generate('knife', 0), tmp_path / 'kitchen' / 'sharp.ply')
    export(generate('knife', 1), tmp_path / 'loose.OBJ'.lower())
    files = find_meshes(tmp_path, up='y')
    assert [(file.name, file.category) for file in files] == [
        ('kitchen/sharp.ply', 'kitchen'),
        ('loose.obj', tmp_path.name),
    ]
    assert files[0].up == 'y'


@pytest.mark.parametrize(('layout', 'words'), [('', 'no mesh'), ('scannet', 'scannet')])
def test_wrong_folders_are_explained(tmp_path, layout, words):
    with pytest.raises(ConfigError, match=words):
        find_meshes(tmp_path, layout)
    with pytest.raises(ConfigError, match='not a folder'):
        find_meshes(tmp_path / 'absent', layout)
