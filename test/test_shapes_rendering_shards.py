# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Image shards: what is read is what was written; interrupted runs continue; damage is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pointata_core.shapes import find_meshes, generate
from pointata_core.shapes.rendering import (
    ProceduralSource,
    RenderingFolder,
    RenderingShard,
    RenderingShardError,
    RenderSettings,
    cameras_around,
    contact_sheet,
    image_of_parts,
    image_of_points,
    procedural_sources,
    render_shape,
    write_png,
    write_renderings,
)

pytest.importorskip('embreex', reason='ray casting needs the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
pytest.importorskip('trimesh', reason='mesh files need the extra `pretrain`')

SETTINGS = RenderSettings(views=6, size=24, points=200)
SOURCES = procedural_sources(5, 0, ('chair', 'rocket', 'mug'))


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    return write_renderings(folder, SOURCES, SETTINGS, shard_size=2, progress=False)


def assert_same(first, second):
    for field in ('points', 'part', 'images', 'pixels'):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
        assert getattr(first, field).dtype == getattr(second, field).dtype
    np.testing.assert_allclose(first.normals, second.normals, atol=0.01)
    np.testing.assert_array_equal(first.cameras.view, second.cameras.view)
    np.testing.assert_array_equal(first.cameras.projection, second.cameras.projection)
    for field in ('family', 'group', 'name', 'part_names'):
        assert getattr(first, field) == getattr(second, field)


def test_shapes_come_back_as_they_were_made(written):
    assert len(written) == 5
    assert written.names == tuple(source.name for source in SOURCES)
    assert written.families == ('chair', 'rocket', 'mug', 'chair', 'rocket')
    assert written.settings == SETTINGS
    assert sorted(path.name for path in written.folder.iterdir()) == [
        f'images-{k:05d}.npz' for k in range(3)
    ]
    for index, source in enumerate(SOURCES):
        assert_same(written[index], render_shape(source.load(), SETTINGS))
    assert_same(written[-1], written[4])
    with pytest.raises(IndexError):
        written[5]
    assert [shape.name for shape in written] == list(written.names)


def test_normals_stay_unit_vectors(written):
    np.testing.assert_allclose(np.linalg.norm(written[2].normals, axis=1), 1, atol=1e-5)


def test_every_shape_has_hidden_and_visible_points_in_every_view(written):
    for shape in written:
        share = shape.visible.mean(axis=1)
        assert share.shape == (6,)
        assert (share > 0.05).all() and (share < 0.9).all()
        cells = shape.cells(8)
        assert cells.min() == -1 and cells.max() < 9
        np.testing.assert_array_equal(cells >= 0, shape.visible)


def test_a_second_run_keeps_complete_shards_and_makes_the_missing_one(tmp_path):
    write_renderings(tmp_path, SOURCES, SETTINGS, shard_size=2, progress=False)
    first, second, third = sorted(tmp_path.iterdir())
    before = second.read_bytes()
    second.unlink()
    kept = first.stat().st_mtime_ns
    again = write_renderings(tmp_path, SOURCES, SETTINGS, shard_size=2, progress=False)
    assert first.stat().st_mtime_ns == kept
    assert len(again) == 5 and third.exists()
    shard = RenderingShard(second)
    (tmp_path / 'other').write_bytes(before)
    for index in range(2):
        assert_same(shard[index], RenderingShard(tmp_path / 'other')[index])


def test_several_processes_write_the_same(tmp_path, written):
    other = write_renderings(tmp_path, SOURCES, SETTINGS, shard_size=3, processes=2, progress=False)
    assert len(other.shards) == 2
    for first, second in zip(written, other, strict=True):
        assert_same(first, second)


def test_other_settings_or_shapes_are_not_mixed_in(tmp_path, written):
    coarser = dataclasses.replace(SETTINGS, size=16)
    with pytest.raises(RenderingShardError, match='other settings'):
        write_renderings(written.folder, SOURCES, coarser, shard_size=2, progress=False)
    with pytest.raises(RenderingShardError, match='other sources'):
        write_renderings(written.folder, SOURCES[::-1], SETTINGS, shard_size=2, progress=False)
    with pytest.raises(RenderingShardError, match='does not belong'):
        write_renderings(written.folder, SOURCES[:2], SETTINGS, shard_size=2, progress=False)
    one = SOURCES[:1]
    write_renderings(tmp_path, one, SETTINGS, progress=False)
    shard = write_renderings(tmp_path / 'b', one, coarser, progress=False).shards[0]
    shard.path.rename(tmp_path / 'images-00001.npz')
    with pytest.raises(RenderingShardError, match='different settings'):
        RenderingFolder(tmp_path)


@pytest.mark.parametrize('keep', [0, 10, 0.5, 0.98])
def test_cut_shards_are_named(tmp_path, written, keep):
    content = written.shards[0].path.read_bytes()
    path = tmp_path / 'images-00000.npz'
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    with pytest.raises(RenderingShardError, match='images-00000') as error:
        RenderingFolder(tmp_path)
    assert error.value.fix


def test_damage_inside_is_found_when_the_shape_is_read(tmp_path, written):
    content = bytearray(written.shards[0].path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = bytes(40)
    path = tmp_path / 'images-00000.npz'
    path.write_bytes(content)
    with pytest.raises(RenderingShardError, match='images-00000'):
        [shape.name for shape in RenderingFolder(tmp_path)]


def test_other_files_are_not_taken_for_shards(tmp_path):
    with pytest.raises(RenderingShardError, match='holds no'):
        RenderingFolder(tmp_path)
    np.savez(tmp_path / 'images-00000.npz', metadata=np.arange(3))
    with pytest.raises(RenderingShardError, match='not a complete'):
        RenderingFolder(tmp_path)


def test_a_failed_shape_leaves_no_half_written_shard(tmp_path):
    class Trouble(RuntimeError):
        pass

    @dataclasses.dataclass(frozen=True)
    class Failing(ProceduralSource):
        def load(self):
            raise Trouble

    with pytest.raises(Trouble):
        write_renderings(tmp_path, [SOURCES[0], Failing('mug', 1)], SETTINGS, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_broken_meshes_are_skipped_and_named_in_the_shards(tmp_path):
    import trimesh

    root = tmp_path / 'shapenet'
    for index in range(3):
        shape = generate('airplane', index)
        path = root / '02691156' / f'plane{index}' / 'models' / 'model_normalized.obj'
        path.parent.mkdir(parents=True)
        if index == 1:
            path.write_text('v 0 0 0\nf 1 1 1\n')
        else:
            trimesh.Trimesh(shape.vertices, shape.faces, process=False).export(path)
    folder = write_renderings(tmp_path / 'out', find_meshes(root), SETTINGS, progress=False)
    assert folder.names == ('airplane/plane0', 'airplane/plane2')
    assert folder.families == ('airplane', 'airplane')
    (broken,) = folder.broken
    assert broken.name == 'airplane/plane1'
    assert 'extent' in broken.reason
    assert folder[1].visible.any(axis=1).all()


def test_a_contact_sheet_lays_images_out_row_by_row(tmp_path):
    from matplotlib.image import imread

    images = [np.full((4, 6), 10 * k, np.uint8) for k in range(5)]
    images[4] = np.full((4, 6, 3), (1, 2, 3), np.uint8)
    sheet = contact_sheet(images, columns=3)
    assert sheet.shape == (8, 18, 3)
    assert (sheet[:4, 12:] == 20).all()
    assert (sheet[4:, :6] == 30).all()
    assert (sheet[4:, 6:12] == (1, 2, 3)).all()
    assert (sheet[4:, 12:] == 255).all()
    path = write_png(tmp_path / 'sheet.png', sheet)
    np.testing.assert_array_equal(np.rint(imread(path)[..., :3] * 255), sheet)
    assert [p.name for p in tmp_path.iterdir()] == ['sheet.png']


def test_images_to_look_at_colour_parts_and_visible_points():
    shape = generate('chair', 0)
    cameras = cameras_around(SETTINGS)
    colours = image_of_parts(shape, cameras, SETTINGS)
    assert colours.shape == (6, 24, 24, 3)
    coloured = np.ptp(colours.astype(int), axis=-1) > 20
    assert (coloured.any(axis=(1, 2))).all()
    rendered = render_shape(shape, SETTINGS, cameras)
    marked = image_of_points(rendered, 0)
    changed = (marked != rendered.images[0][..., None]).any(-1)
    rows, columns = rendered.pixels[0, rendered.visible[0]].T
    assert changed[rows, columns].all()
    assert changed.sum() == len(set(zip(rows.tolist(), columns.tolist(), strict=True)))
