# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples for a network, our own format, and the import of foreign pickles."""

from __future__ import annotations

import json
from dataclasses import replace

import camera_datasets as layouts
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.datasets.camera.exported import FrameWriter, export_frames, exported_frames
from pointata_core.datasets.camera.frames import CameraFrame
from pointata_core.datasets.camera.sample_config import PUBLISHED, SampleConfig
from pointata_core.datasets.camera.samples import (
    CameraSamples,
    class_counts,
    make_sample,
    voxelise,
)
from pointata_core.datasets.camera.semantickitti_camera import semantickitti_camera
from pointata_core.errors import ConfigError, PointataError

TASK = 'a2d2_semantickitti'


def marked_frame(count=300, height=40, width=124, seed=0) -> CameraFrame:
    """Each point's pixel is painted with a colour that says which point it is."""
    rng = np.random.default_rng(seed)
    cells = np.stack(np.unravel_index(rng.permutation(height * width)[:count], (height, width)), 1)
    image = np.zeros((height, width, 3), np.uint8)
    number = np.arange(1, count + 1)
    image[cells[:, 0], cells[:, 1]] = np.stack([number // 256, number % 256, number * 0], 1)
    return CameraFrame(
        'marked',
        image,
        rng.uniform(-20, 20, (count, 3)).astype(np.float32),
        (cells + rng.uniform(0.01, 0.99, cells.shape)).astype(np.float32),
        np.arange(count),
    )


PLAIN = SampleConfig().without_chance()


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
def test_each_point_keeps_its_own_pixel_label_and_place(seed, crop, draw):
    """Whatever is cropped, mirrored, drawn or dropped."""
    frame = marked_frame()
    config = SampleConfig(
        bottom_crop=(60, 30) if crop else None, points=200 if draw else None, jitter=0.0,
        grid=700, crop_points=10,
    )  # fmt: skip
    sample = make_sample(frame, config, np.random.default_rng(seed))
    colours = np.rint(sample.image * 255).astype(int)[:, sample.pixels[:, 0], sample.pixels[:, 1]]
    assert (colours[0] * 256 + colours[1] - 1).tolist() == sample.source.tolist()
    assert sample.labels.tolist() == sample.source.tolist()
    assert len(sample.coordinates) == len(sample.pixels) > 0
    assert ((sample.coordinates >= 0) & (sample.coordinates < 700)).all()
    assert sample.image.dtype == np.float32
    assert sample.image.shape == ((3, 30, 60) if crop else (3, 40, 124))


def test_without_chance_nothing_moves():
    frame = marked_frame()
    first, second = (make_sample(frame, PLAIN, np.random.default_rng(s)) for s in (0, 1))
    assert np.array_equal(first.coordinates, second.coordinates)
    expected = np.floor((frame.points.astype(float) - frame.points.min(0)) / 0.05)
    assert np.abs(first.coordinates - expected).max() <= 1
    assert np.array_equal(first.pixels, np.floor(frame.pixels))
    assert np.array_equal(first.image, frame.image.transpose(2, 0, 1).astype(np.float32) / 255)
    assert len(first.source) == len(frame.points)


@given(st.integers(0, 10_000))
def test_turning_and_mirroring_keep_distances(seed):
    points = np.random.default_rng(seed).uniform(-30, 30, (40, 3))
    config = SampleConfig(noise=0.0)
    cells, inside = voxelise(points, config, np.random.default_rng(seed))
    assert inside.all()

    def distances(rows):
        return np.linalg.norm(rows[:, None] - rows[None], axis=2)

    # Flooring moves each coordinate by less than one voxel.
    assert np.abs(distances(cells) * 0.05 - distances(points)).max() < 0.05 * np.sqrt(12)


def test_mirroring_takes_the_named_axis_half_of_the_time():
    points = np.array([[0.0, 0, 0], [10, 1, 2], [3, 10, 1]])
    for axis, column in (('x', 0), ('y', 1)):
        config = replace(PLAIN, flip_axis=axis)
        flips = 0
        plain, _ = voxelise(points, PLAIN, np.random.default_rng(0))
        for seed in range(60):
            cells, _ = voxelise(points, config, np.random.default_rng(seed))
            same = np.abs(cells - plain).max() == 0
            if not same:
                mirrored = plain.copy()
                mirrored[:, column] = plain[:, column].max() - plain[:, column]
                assert np.abs(cells - mirrored).max() <= 1
            flips += not same
        assert 15 < flips < 45


def test_a_cloud_larger_than_the_grid_is_cut_at_random_places():
    points = np.linspace([0, 0, 0], [50, 1, 1], 1000)
    config = replace(PLAIN, grid=400, shift=True)
    firsts = set()
    for seed in range(8):
        cells, inside = voxelise(points, config, np.random.default_rng(seed))
        assert 350 < inside.sum() < 450
        firsts.add(int(np.argmax(inside)))
        assert (cells[inside] < 400).all()
    assert len(firsts) > 3


def test_resizing_floors_before_it_scales():
    image = np.zeros((900, 1600, 3), np.uint8)
    pixels = np.array([[3.9, 7.9], [899.9, 1599.9]], np.float32)
    frame = CameraFrame('one', image, np.zeros((2, 3), np.float32), pixels)
    config = PUBLISHED['nuscenes_lidarseg'].without_chance()
    sample = make_sample(frame, config, np.random.default_rng(0))
    assert sample.image.shape == (3, 225, 400)
    assert sample.pixels.tolist() == [[0, 1], [224, 399]]
    assert sample.labels is None


def test_jitter_keeps_colours_in_range_and_changes_them():
    frame = marked_frame(seed=1)
    bright = replace(frame, image=layouts_image(frame.image.shape))
    config = replace(PLAIN, jitter=0.4)
    plain = make_sample(bright, PLAIN, np.random.default_rng(0)).image
    means = []
    for seed in range(30):
        image = make_sample(bright, config, np.random.default_rng(seed)).image
        assert image.min() >= 0 and image.max() <= 1
        means.append(image.mean() / plain.mean())
    assert min(means) < 0.8 and max(means) > 1.15
    assert min(means) > 0.59 and max(means) < 1.41


def layouts_image(shape) -> np.ndarray:
    return np.random.default_rng(0).integers(60, 160, shape, dtype=np.uint8)


@pytest.fixture(scope='module')
def kitti(tmp_path_factory):
    root = tmp_path_factory.mktemp('kitti')
    layouts.write_kitti_sequence(root / 'sequences' / '07', scans=3, points=3000)
    return semantickitti_camera(root, 'val', TASK)


def test_samples_repeat_for_the_same_epoch_only(kitti):
    config = SampleConfig(bottom_crop=(60, 30), crop_points=20)
    samples, again = CameraSamples(kitti, config, seed=3), CameraSamples(kitti, config, seed=3)
    assert np.array_equal(samples[1].coordinates, again[1].coordinates)
    again.epoch = 1
    assert not np.array_equal(samples[1].image, again[1].image)
    assert len(samples) == 3
    with pytest.raises(IndexError):
        samples[3]


def test_a_frame_without_a_crop_gives_way_to_another(kitti):
    def read(name, count):
        return lambda rng: replace(marked_frame(count), name=name)

    samples = CameraSamples(kitti, SampleConfig(bottom_crop=(100, 35), crop_points=50))
    samples.frames = type(kitti)(
        'two',
        'train',
        TASK,
        'semantickitti',
        [('poor', read('poor', 5)), ('rich', read('rich', 300))],
    )
    assert samples[0].name == 'rich'
    samples.frames = type(kitti)('one', 'train', TASK, 'semantickitti', [('poor', read('poor', 5))])
    with pytest.raises(PointataError, match='crop'):
        samples[0]
    samples.config = SampleConfig(bottom_crop=(200, 35))
    with pytest.raises(PointataError, match='200 x 35'):
        samples[0]


def test_pseudo_labels_follow_their_points(kitti):
    class Numbered:
        def labels(self, frame, points):
            assert points == len(kitti[kitti.names.index(frame)].points)
            return np.arange(points), -np.arange(points)

    config = SampleConfig(bottom_crop=(60, 30), crop_points=20, points=200)
    sample = CameraSamples(kitti, config, pseudo_labels=Numbered())[0]
    assert sample.image_pseudo_labels.tolist() == sample.source.tolist()
    assert (-sample.cloud_pseudo_labels).tolist() == sample.source.tolist()


def test_classes_are_counted_over_all_frames(kitti):
    labels = np.concatenate([kitti[i].labels for i in range(len(kitti))])
    expected = [int((labels == number).sum()) for number in range(10)]
    assert class_counts(kitti).tolist() == expected
    assert sum(expected) < len(labels)


@pytest.mark.parametrize(
    'bad',
    [{'voxel_m': 0}, {'jitter': 1.0}, {'points': 0}, {'resize': (4, 4), 'bottom_crop': (4, 4)}],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ConfigError):
        SampleConfig(**bad)


# -- our own format


def test_exported_frames_are_the_same(kitti, tmp_path):
    assert export_frames(kitti, tmp_path / 'out') == 0
    copy = exported_frames(tmp_path / 'out', TASK)
    assert (copy.name, copy.split, copy.names) == (kitti.name, kitti.split, kitti.names)
    for index in range(len(kitti)):
        for name, expected in vars(kitti[index]).items():
            np.testing.assert_array_equal(getattr(copy[index], name), expected)
    other = exported_frames(tmp_path / 'out', 'virtual_kitti_semantickitti')
    assert other.classes != copy.classes
    assert not np.array_equal(other[0].labels, copy[0].labels)


def test_overfull_frames_are_left_out(kitti, tmp_path):
    sizes = [len(kitti[i].points) for i in range(3)]
    assert export_frames(kitti, tmp_path, max_points=min(sizes)) == 2
    assert exported_frames(tmp_path, TASK).names == (kitti.names[int(np.argmin(sizes))],)


def test_an_interrupted_export_has_no_index(tmp_path):
    with pytest.raises(RuntimeError), FrameWriter(tmp_path, 'x', 'train', 'a2d2') as writer:
        writer.add('one', np.zeros((1, 3)), np.ones((1, 2)), None, [])
        raise RuntimeError
    with pytest.raises(PointataError, match=r'index\.json'):
        exported_frames(tmp_path, TASK)


@pytest.mark.parametrize(
    ('key', 'value'),
    [('format', 9), ('frames', [{'name': 'a'}]), ('label_set', None), ('frames', 3)],
)
def test_a_damaged_index_is_named(kitti, tmp_path, key, value):
    export_frames(kitti, tmp_path)
    index = json.loads((tmp_path / 'index.json').read_text())
    (tmp_path / 'index.json').write_text(json.dumps(index | {key: value}))
    with pytest.raises(PointataError, match=r'index\.json|None'):
        exported_frames(tmp_path, TASK)


@pytest.mark.parametrize('path', ['../outside.npz', '/outside.npz', 'frames/../../x.npz'])
def test_an_index_cannot_point_out_of_its_folder(kitti, tmp_path, path):
    export_frames(kitti, tmp_path)
    index = json.loads((tmp_path / 'index.json').read_text())
    for field, value in (('file', path), ('images', [path])):
        bad = {**index, 'frames': [{**index['frames'][0], field: value}]}
        (tmp_path / 'index.json').write_text(json.dumps(bad))
        with pytest.raises(PointataError, match='out of the folder'):
            exported_frames(tmp_path, TASK)


def test_a_damaged_archive_is_named(kitti, tmp_path):
    export_frames(kitti, tmp_path)
    (tmp_path / 'frames' / '000000.npz').write_bytes(b'PK')
    np.savez(tmp_path / 'frames' / '000001.npz', points=np.zeros((3, 3)), pixels=np.zeros((2, 2)))
    frames = exported_frames(tmp_path, TASK)
    for index in (0, 1):
        with pytest.raises(PointataError, match=f'00000{index}.npz'):
            frames[index]
    with pytest.raises(PointataError, match='another folder'):
        FrameWriter(tmp_path, 'x', 'train', 'a2d2')
