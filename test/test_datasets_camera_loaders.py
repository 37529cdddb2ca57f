# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera and LiDAR data sets: projection, class maps, splits and public layouts."""

from __future__ import annotations

import json

import camera_datasets as layouts
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from pointata_core.datasets.camera import a2d2, nuscenes_lidarseg
from pointata_core.datasets.camera.a2d2 import rectify
from pointata_core.datasets.camera.class_maps import A2D2_CLASSES, tasks, to_classes
from pointata_core.datasets.camera.frames import CameraFrame, seen
from pointata_core.datasets.camera.projection import distort, project, rigid, visible
from pointata_core.datasets.camera.semantickitti_camera import semantickitti_camera
from pointata_core.datasets.camera.virtual_kitti import WEATHERS, virtual_kitti
from pointata_core.errors import ConfigError, PointataError

NUMBERS = st.floats(-5, 5)


@given(st.lists(NUMBERS, min_size=3, max_size=3), st.lists(NUMBERS, min_size=4, max_size=4))
def test_rigid_transform_is_that_of_its_quaternion(translation, quaternion):
    if np.linalg.norm(quaternion) < 1e-3:
        return
    w, x, y, z = quaternion
    expected = Rotation.from_quat([x, y, z, w]).as_matrix()
    found = rigid(translation, quaternion)
    np.testing.assert_allclose(found[:3, :3], expected, atol=1e-12)
    np.testing.assert_array_equal(found[:3, 3], translation)
    np.testing.assert_array_equal(found[3], [0, 0, 0, 1])


@pytest.mark.parametrize('quaternion', [[0, 0, 0, 0], [np.nan, 0, 0, 1], [1, 0, 0]])
def test_no_rotation_is_refused(quaternion):
    with pytest.raises(ValueError, match='rigid'):
        rigid([0, 0, 0], quaternion)


def test_projection_is_the_pinhole_camera():
    camera = np.array([[100.0, 0, 50], [0, 120, 40], [0, 0, 1]])
    points = np.array([[1.0, 2, 10], [0, 0, 5], [1, 1, -4], [1, 1, 0]])
    pixels, depth = project(points, camera)
    np.testing.assert_allclose(pixels[:2], [[120 * 2 / 10 + 40, 100 / 10 + 50], [40, 50]])
    assert np.isnan(pixels[2:]).all()
    np.testing.assert_array_equal(depth, points[:, 2])


def test_edges_of_an_image_are_outside():
    pixels = np.array([[0, 5], [5, 0], [10, 5], [5, 20], [0.01, 19.99], [np.nan, 5]])
    assert visible(pixels, 10, 20).tolist() == [False, False, False, False, True, False]


def test_rounding_cannot_carry_a_pixel_over_the_edge():
    pixels = np.array([[5, np.nextafter(20, 0)], [5, 19.9]])
    frame = seen('one', np.zeros((10, 20, 3), np.uint8), np.zeros((2, 3)), pixels, np.arange(2))
    assert frame.labels.tolist() == [1]


def test_no_distortion_changes_nothing():
    camera = np.array([[100.0, 0, 50], [0, 120, 40], [0, 0, 1]])
    pixels = np.random.default_rng(0).uniform(0, 80, (20, 2))
    np.testing.assert_allclose(distort(pixels, camera, camera, [0, 0, 0, 0, 0]), pixels)


def test_distortion_follows_brown_and_conrady():
    pixel = np.array([[30.0, 90.0]])
    camera, other = np.diag([100.0, 120, 1]), np.diag([90.0, 80, 1])
    x, y = 90 / 100, 30 / 120
    k1, k2, p1, p2, k3 = 0.1, -0.2, 0.03, -0.04, 0.05
    r = np.hypot(x, y)
    radial = 1 + k1 * r**2 + k2 * r**4 + k3 * r**6
    expected = [
        80 * (y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y),
        90 * (x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2)),
    ]
    found = distort(pixel, camera, other, [[k1, k2, p1, p2, k3]])
    np.testing.assert_allclose(found, [expected])


# -- class maps


def test_every_label_set_of_a_task_has_the_same_classes_in_the_same_order():
    for task in tasks().values():
        for members in task.members.values():
            assert tuple(members) == task.classes
            ids = [raw for raws in members.values() for raw in raws]
            assert len(ids) == len(set(ids)) and all(len(raws) for raws in members.values())
    assert [len(task.classes) for task in tasks().values()] == [6, 6, 6, 10]


@pytest.mark.parametrize(
    ('task', 'label_set', 'raw', 'name'),
    [
        ('nuscenes_lidarseg', 'nuscenes', 2, 'vehicle'),
        ('nuscenes_lidarseg', 'nuscenes', 16, 'vegetation'),
        ('nuscenes_lidarseg', 'nuscenes', 7, None),
        ('virtual_kitti_semantickitti', 'virtual_kitti', 9, 'object'),
        ('virtual_kitti_semantickitti', 'virtual_kitti', 12, None),
        ('virtual_kitti_semantickitti', 'virtual_kitti', 99, None),
        ('virtual_kitti_semantickitti', 'semantickitti', 252, 'car'),
        ('virtual_kitti_semantickitti', 'semantickitti', 48, None),
        ('a2d2_semantickitti', 'semantickitti', 255, 'bike'),
        ('a2d2_semantickitti', 'a2d2', A2D2_CLASSES.index('Small vehicles 2'), 'bike'),
        ('a2d2_semantickitti', 'a2d2', A2D2_CLASSES.index('Traffic sign 3'), 'other-objects'),
        ('a2d2_semantickitti', 'a2d2', A2D2_CLASSES.index('Ego car'), 'car'),
        ('a2d2_semantickitti', 'a2d2', A2D2_CLASSES.index('Utility vehicle 1'), None),
        ('a2d2_semantickitti', 'a2d2', 55, None),
    ],
)
def test_raw_labels_become_the_published_classes(task, label_set, raw, name):
    expected = -100 if name is None else tasks()[task].classes.index(name)
    assert to_classes(np.array([raw]), task, label_set).tolist() == [expected]


def test_sizes_of_the_a2d2_classes_are_the_published_ones():
    members = tasks()['a2d2_semantickitti'].members['a2d2']
    assert {name: len(ids) for name, ids in members.items()} == {
        'car': 5, 'truck': 3, 'bike': 7, 'person': 3, 'road': 8, 'parking': 1, 'sidewalk': 2,
        'building': 1, 'nature': 1, 'other-objects': 17,
    }  # fmt: skip
    assert len(A2D2_CLASSES) == 55


def test_a_task_of_other_labels_is_refused():
    with pytest.raises(ConfigError, match='nuscenes_lidarseg'):
        to_classes(np.zeros(1, int), 'nuscenes_lidarseg', 'a2d2')
    with pytest.raises(ConfigError, match='no task'):
        to_classes(np.zeros(1, int), 'mars', 'a2d2')


# -- SemanticKITTI


@pytest.fixture
def kitti(tmp_path):
    layouts.write_kitti_sequence(tmp_path / 'dataset' / 'sequences' / '07')
    return tmp_path


def test_semantickitti_keeps_what_the_camera_sees(kitti):
    frames = semantickitti_camera(kitti, 'val', 'a2d2_semantickitti')
    assert frames.names == ('07/000000', '07/000001')
    frame = frames[1]
    points = layouts.cloud(400, 1).astype(np.float64)
    packed = np.fromfile(kitti / 'dataset/sequences/07/labels/000001.label', '<u4')
    expected, pixels, labels = [], [], []
    for point, label in zip(points, packed & 0xFFFF):
        x, y, z = layouts.KITTI_P2 @ [*(layouts.KITTI_TR @ [*point, 1]), 1]
        if point[0] > 0 and z > 0 and 0 < x / z < 124 and 0 < y / z < 40:
            expected.append(point)
            pixels.append([y / z, x / z])
            labels.append({10: 0, 252: 0, 40: 4, 50: 7, 70: 8}.get(int(label), -100))
    assert 10 < len(expected) < 390
    np.testing.assert_allclose(frame.points, expected, rtol=1e-6)
    np.testing.assert_allclose(frame.pixels, pixels, rtol=1e-4, atol=1e-4)
    assert frame.labels.tolist() == labels
    assert frame.image.shape == (40, 124, 3)


def test_semantickitti_without_labels_has_none(tmp_path):
    layouts.write_kitti_sequence(tmp_path / 'sequences' / '07', labels=False)
    assert semantickitti_camera(tmp_path, 'val', 'a2d2_semantickitti')[0].labels is None


@pytest.mark.parametrize(
    ('harm', 'name'),
    [
        (lambda f: (f / 'image_2/000000.png').unlink(), '000000.png'),
        (lambda f: (f / 'image_2/000000.png').write_bytes(b'no image'), '000000.png'),
        (lambda f: (f / 'velodyne/000000.bin').write_bytes(b'12345'), '000000.bin'),
        (lambda f: (f / 'labels/000000.label').write_bytes(b'1234'), '000000.label'),
        (lambda f: (f / 'labels/000000.label').unlink(), '000000.label'),
        (lambda f: (f / 'calib.txt').write_text('P2: 1 2 3'), 'calib.txt'),
        (lambda f: (f / 'calib.txt').write_text('P2: ' + '1 ' * 12), 'calib.txt'),
    ],
)
def test_damaged_semantickitti_is_named(kitti, harm, name):
    harm(kitti / 'dataset' / 'sequences' / '07')
    with pytest.raises(PointataError, match=name):
        semantickitti_camera(kitti, 'val', 'a2d2_semantickitti')[0]


def test_missing_sequences_and_splits_are_named(kitti):
    with pytest.raises(PointataError, match='08'):
        semantickitti_camera(kitti, 'test', 'a2d2_semantickitti')
    with pytest.raises(PointataError, match='train_labelled'):
        semantickitti_camera(kitti, 'other', 'a2d2_semantickitti')


@pytest.mark.data
def test_real_scan_lies_in_the_real_image(data_root):
    """At depth edges of the image the LiDAR's depth changes, too: the projection fits."""
    folder = data_root / 'kitti_raw_10f'
    if not folder.is_dir():
        pytest.skip(f'no recording {folder}')
    calibration = {}
    for line in (folder / 'calib.txt').read_text().splitlines():
        key, colon, numbers = line.partition(':')
        if colon and not key.startswith('#'):
            calibration[key] = np.array(numbers.split(), float)
    transform = np.eye(4)
    transform[:3] = calibration['Tr_velo_to_cam'].reshape(3, 4)
    rotation = np.eye(4)
    rotation[:3, :3] = calibration['R_rect_00'].reshape(3, 3)
    camera = calibration['P_rect_02'].reshape(3, 4)
    points = np.fromfile(folder / 'velodyne' / '0000000000.bin', '<f4').reshape(-1, 4)[:, :3]
    image = np.asarray(Image.open(folder / 'image_02' / '0000000000.png'))
    points = points[points[:, 0] > 0]

    def agreement(shift: int) -> float:
        """Mean image gradient at points whose depth jumps to the next one of the ring."""
        pixels, depth = project(points, camera, rotation @ transform)
        frame = seen('real', image, points, pixels + [0, shift], depth * 1000)
        grey = image.astype(float).mean(2)
        edges = np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
        jump = np.abs(np.diff(frame.labels / 1000, prepend=0)) > 1.0
        row, column = frame.pixels[jump].astype(int).T
        return float(np.maximum(edges[row, column], edges[row, np.maximum(column - 1, 0)]).mean())

    pixels, _ = project(points, camera, rotation @ transform)
    inside = visible(pixels, *image.shape[:2])
    assert 15_000 < inside.sum() < 25_000
    assert agreement(0) > 1.1 * max(agreement(-40), agreement(40))


# -- Virtual KITTI


@pytest.fixture(scope='module')
def virtual(tmp_path_factory):
    root = tmp_path_factory.mktemp('virtual')
    layouts.write_virtual_kitti(root)
    return root


def test_virtual_kitti_sees_every_point_where_it_was_drawn(virtual):
    frames = virtual_kitti(virtual, weather='clone')
    assert len(frames) == 5 and frames.names[1] == '0002/00007'
    frame = frames[1]
    rng = np.random.default_rng(2)
    rng.uniform(2, 60, 300)
    column, row = rng.uniform(1, 1241, 300), rng.uniform(1, 374, 300)
    assert len(frame.points) == 300
    np.testing.assert_allclose(frame.pixels, np.column_stack([row, column]), atol=1e-2)
    raw = np.load(virtual / 'vkitti3d_npy/0002/00007.npy')[:, 6]
    table = {0: 0, 3: 1, 4: 2, 9: 3, 11: 5}
    assert frame.labels.tolist() == [table.get(int(label), -100) for label in raw]


def test_virtual_kitti_shows_any_weather(virtual):
    frames = virtual_kitti(virtual)
    folder = virtual / 'vkitti_1.3.1_rgb' / '0001'
    images = {w: np.asarray(Image.open(folder / w / '00007.png')) for w in WEATHERS}
    rng, shown = np.random.default_rng(0), set()
    for _ in range(25):
        image = frames.frame(0, rng).image
        shown.add(next(w for w, p in images.items() if np.array_equal(p, image)))
    assert shown == set(WEATHERS)
    with pytest.raises(PointataError, match='overcast'):
        virtual_kitti(virtual, weather='hail')
    with pytest.raises(PointataError, match='Choose one of train'):
        virtual_kitti(virtual, 'test')


# -- A2D2


@pytest.fixture
def audi(tmp_path):
    layouts.write_a2d2(tmp_path)
    return tmp_path


def test_a2d2_reads_labels_where_the_lens_saw_the_point(audi):
    frames = a2d2.a2d2(audi, 'test')
    assert frames.names == ('20180807_145028/000000091', '20180807_145028/000000092')
    frame = frames.raw_frame(0, np.random.default_rng(0))
    rectified, original = np.array(layouts.A2D2_RECTIFIED), np.array(layouts.A2D2_ORIGINAL)
    for pixel, label in zip(frame.pixels, frame.labels):
        _, column = distort(np.floor(pixel)[None], rectified, original, layouts.A2D2_DISTORTION)[0]
        stripe = int(np.rint(column)) // 12
        assert label == (55 if stripe == 15 else stripe)
    assert len(frame.points) == 200
    names = {A2D2_CLASSES[label] for label in frame.labels if label < 55}
    assert {'Car 3', 'Bicycle 1', 'Truck 1'} <= names
    np.testing.assert_array_equal(
        frames[0].labels, to_classes(frame.labels, 'a2d2_semantickitti', 'a2d2')
    )


def test_a2d2_images_are_rectified():
    lens = (np.array(layouts.A2D2_RECTIFIED), np.array(layouts.A2D2_ORIGINAL), (-0.25, 0.08))
    width, height = layouts.A2D2_SIZE
    rows, columns = np.mgrid[:height, :width]
    # A smooth image, so that interpolation says where it was read.
    image = np.stack([rows, columns, rows * 0], axis=-1).astype(np.uint8)
    found = rectify(image, lens)
    grid = np.stack([rows, columns], -1)[20:-20, 20:-20].reshape(-1, 2)
    where = distort(grid, *lens)
    np.testing.assert_allclose(found[20:-20, 20:-20, :2].reshape(-1, 2), where, atol=1.0)
    plain = (np.eye(3), np.eye(3), (0.0,))
    np.testing.assert_array_equal(rectify(image, plain), image)


def test_a2d2_frames_without_pixels_are_left_out(audi):
    stems = [path.stem for path in (audi / a2d2.TEST_DRIVE / 'lidar/cam_front_center').iterdir()]
    assert len(stems) == 3
    assert len(a2d2.a2d2(audi, 'test')) == 2


def test_a2d2_json_files_may_lie_beside_the_drives(tmp_path):
    layouts.write_a2d2(tmp_path / 'camera_lidar_semantic')
    name = 'cams_lidars.json'
    (tmp_path / 'camera_lidar_semantic' / name).rename(tmp_path / name)
    assert len(a2d2.a2d2(tmp_path, 'test')) == 2


@pytest.mark.parametrize('name', ['cams_lidars.json', 'class_list.json'])
@pytest.mark.parametrize('content', [None, '{', '{"#000001": "Moon"}'])
def test_damaged_a2d2_is_named(audi, name, content):
    (audi / name).unlink() if content is None else (audi / name).write_text(content)
    with pytest.raises(PointataError, match=name):
        a2d2.a2d2(audi, 'test')


def test_another_lens_is_refused(audi):
    config = json.loads((audi / 'cams_lidars.json').read_text())
    config['cameras']['front_center']['Lens'] = 'Fisheye'
    (audi / 'cams_lidars.json').write_text(json.dumps(config))
    with pytest.raises(PointataError, match='Fisheye'):
        a2d2.a2d2(audi, 'test')


# -- nuScenes

SCENES = [
    ('scene-0001', 'singapore-onenorth', 'Parked cars'),
    ('scene-0061', 'singapore-onenorth', 'Parked truck'),
    ('scene-0004', 'singapore-queenstown', 'Wait at light'),
    ('scene-0161', 'boston-seaport', 'Car overtaking'),
    ('scene-0003', 'boston-seaport', 'Peds'),
    ('scene-1059', 'singapore-hollandvillage', 'Night, lamps'),
    ('scene-1044', 'singapore-hollandvillage', 'Night, rain'),
    ('scene-0998', 'singapore-hollandvillage', 'NIGHT'),
]
EXPECTED = {
    'train_usa': {'scene-0161'},
    'test_usa': {'scene-0003'},
    'train_singapore': {'scene-0001', 'scene-0061', 'scene-0998'},
    'val_singapore': {'scene-0004', 'scene-1044'},
    'test_singapore': {'scene-1059'},
    'train_day': {'scene-0001', 'scene-0061', 'scene-0004', 'scene-0161'},
    'test_day': {'scene-0003'},
    'train_night': {'scene-0998'},
    'val_night': {'scene-1044'},
    'test_night': {'scene-1059'},
}


@pytest.fixture(scope='module')
def nuscenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('nuscenes')
    layouts.write_nuscenes(root, SCENES)
    return root


@pytest.mark.parametrize('split', EXPECTED)
def test_nuscenes_scenes_fall_into_the_published_splits(nuscenes, split):
    frames = nuscenes_lidarseg.nuscenes_lidarseg(nuscenes, split)
    assert {name.split('/')[0] for name in frames.names} == EXPECTED[split]
    assert set(EXPECTED) == set(nuscenes_lidarseg.SPLITS)


def test_nuscenes_held_out_scenes_have_the_published_numbers():
    assert len(nuscenes_lidarseg.OFFICIAL_VALIDATION) == 150
    assert len(nuscenes_lidarseg.VALIDATION_NIGHT) == 15
    assert len(nuscenes_lidarseg.VALIDATION_SINGAPORE) == 69
    held_out = nuscenes_lidarseg.VALIDATION_NIGHT | nuscenes_lidarseg.VALIDATION_SINGAPORE
    assert not held_out & nuscenes_lidarseg.OFFICIAL_VALIDATION


def test_nuscenes_points_go_through_the_map_to_the_image(nuscenes):
    frame = nuscenes_lidarseg.nuscenes_lidarseg(nuscenes, 'train_usa')[0]
    scan = np.fromfile(nuscenes / 'samples/LIDAR_TOP/dscene-0161LIDAR_TOPTrue.pcd.bin', '<f4')
    fine = np.fromfile(nuscenes / 'lidarseg/v1.0-trainval/dscene-0161_lidarseg.bin', np.uint8)
    points, pixels, labels = [], [], []
    for (x, y, z, _, _), number in zip(scan.reshape(-1, 5).astype(float), fine):
        # By hand: the LiDAR's y is the vehicle's x; the camera stands 0.8 m ahead of the LiDAR and
        # the vehicle drove 1 m in between.
        forward, left, up = y + 0.9 - 1.7 - 1.0, -x, z + 1.8 - 1.5
        if forward > 0:
            row, column = 491 - 1266 * up / forward, 816 - 1266 * left / forward
            if 0 < row < 900 and 0 < column < 1600:
                points.append([x, y, z])
                pixels.append([row, column])
                coarse = [0, *layouts.NUSCENES_COARSE.values(), 0][number]
                table = {11: 1, 13: 2, 14: 3, 15: 4, 16: 5} | dict.fromkeys(
                    (2, 3, 4, 5, 6, 9, 10), 0
                )
                labels.append(table.get(coarse, -100))
    assert len(points) > 20
    np.testing.assert_allclose(frame.points, points, rtol=1e-6)
    np.testing.assert_allclose(frame.pixels, pixels, atol=0.01)
    assert frame.labels.tolist() == labels


def test_damaged_nuscenes_is_named(tmp_path):
    layouts.write_nuscenes(tmp_path, SCENES[:1])
    load = nuscenes_lidarseg.nuscenes_lidarseg
    with pytest.raises(PointataError, match='train_usa'):
        load(tmp_path, 'train_usa')
    with pytest.raises(PointataError, match='Choose one of train_usa'):
        load(tmp_path, 'train')
    label = tmp_path / 'lidarseg/v1.0-trainval/dscene-0001_lidarseg.bin'
    label.write_bytes(label.read_bytes()[:-1])
    with pytest.raises(PointataError, match='dscene-0001_lidarseg'):
        load(tmp_path, 'train_singapore')[0]
    (tmp_path / 'v1.0-trainval' / 'log.json').write_text('[]')
    with pytest.raises(PointataError, match='refer to each other'):
        load(tmp_path, 'train_singapore')
    (tmp_path / 'v1.0-trainval' / 'sensor.json').write_text('[')
    (tmp_path / 'v1.0-trainval' / 'log.json').unlink()
    with pytest.raises(PointataError, match=r'log\.json'):
        load(tmp_path, 'train_singapore')


def test_a_frame_that_does_not_fit_is_refused():
    image, points = np.zeros((4, 5, 3), np.uint8), np.zeros((2, 3), np.float32)
    pixels = np.ones((2, 2), np.float32)
    for bad in (
        {'image': image[..., 0]},
        {'points': points[:1]},
        {'labels': np.zeros(3, np.int64)},
        {'pixels': pixels * 4},
    ):
        with pytest.raises(ValueError, match='one'):
            CameraFrame(
                **({'name': 'one', 'image': image, 'points': points, 'pixels': pixels} | bad)
            )
