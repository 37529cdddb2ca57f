# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings with a camera through ``pointata evaluate``, and KITTI as such a recording."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from camera_bags import PERIOD_NS, START_NS, labels_of, write_camera_bag
from camera_bundle_samples import (
    CLASSES,
    POSE,
    drawn_image,
    surroundings,
    view,
    write_camera_bundle,
)
from hypothesis import given
from hypothesis import strategies as st

from pointata_core.bundles.bundle import load_camera_bundle
from pointata_core.bundles.camera_manifest import CameraPreparation
from pointata_core.datasets.camera.class_maps import to_classes
from pointata_core.datasets.camera.simulated_recording import SEED, TASK
from pointata_core.datasets.scenes.kitti_raw import write_kitti_bag
from pointata_core.errors import BagError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.evaluation.report.page import write_report
from pointata_core.inference.camera_pairing import RecentImages
from pointata_core.inference.camera_session import CameraSession
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.image_message import (
    ENCODINGS,
    ImageRejectReason,
    RejectedImage,
    decode_compressed_image,
    decode_image,
)
from pointata_core.simulation.camera.frames import simulate_camera

MAIN = [sys.executable, '-m', 'pointata_core.cli.main']


@pytest.fixture(scope='module')
def bundle(tmp_path_factory) -> Path:
    return write_camera_bundle(tmp_path_factory.mktemp('camera') / 'small')


def digest_of(bundle: Path, count: int, without: tuple[int, ...] = ()) -> str:
    """What a session answers to the clouds of `write_camera_bag`."""
    session, digest = CameraSession(load_camera_bundle(bundle)), LabelDigest()
    for number in range(count):
        stamp_ns = START_NS + number * PERIOD_NS
        seen = None if number in without else view(number)
        digest.add(stamp_ns, session.step(surroundings(number), stamp_ns, view=seen).labels)
    return digest.hexdigest()


def evaluate(bag: Path, bundle: Path, **options):
    return evaluate_bag(bag, bundle=bundle, device='cpu', **options)


# ---------------------------------------------------------------------- evaluation


@pytest.mark.parametrize('late_ns', [0, PERIOD_NS + 1], ids=['at once', 'recorded later'])
def test_every_cloud_is_answered_with_its_image(tmp_path, bundle, late_ns):
    bag = write_camera_bag(tmp_path / 'bag', late_ns=late_ns, image_delay_ns=7_000_000)
    results = evaluate(bag, bundle)
    assert results.frames_predicted == 4
    assert results.labels_sha256 == digest_of(bundle, 4)
    assert results.camera['clouds'] == 4
    assert results.notes == ()


def test_clouds_without_an_image_in_time_are_answered_by_the_lidar(tmp_path, bundle):
    bag = write_camera_bag(tmp_path / 'bag', without=(1, 3))
    results = evaluate(bag, bundle)
    assert results.labels_sha256 == digest_of(bundle, 4, without=(1, 3))
    assert results.camera['clouds'] == 2
    assert any('2 of 4 clouds' in note and '2 missing' in note for note in results.notes)
    alone = evaluate(bag, bundle, image_topic='none')
    assert alone.labels_sha256 == digest_of(bundle, 4, without=(0, 1, 2, 3))
    assert alone.camera is None


def test_the_tolerance_decides_which_image_belongs_to_a_cloud(tmp_path, bundle):
    bag = write_camera_bag(tmp_path / 'bag', image_delay_ns=30_000_000)
    assert evaluate(bag, bundle, image_tolerance_s=0.02).camera is None
    assert evaluate(bag, bundle, image_tolerance_s=0.04).camera['clouds'] == 4


def test_points_in_the_image_are_scored_by_themselves(tmp_path, bundle):
    bag = write_camera_bag(tmp_path / 'bag', count=2)
    results = evaluate(bag, bundle, labels_field='label')
    session, matrix = CameraSession(load_camera_bundle(bundle)), ConfusionMatrix(CLASSES)
    for number in range(2):
        answer = session.step(surroundings(number), number + 1, view=view(number))
        matrix.add(labels_of(number)[answer.seen], answer.labels[answer.seen])
    assert results.camera['segmentation'] == matrix.score()
    assert results.segmentation.points == 800
    assert results.camera['points'] == matrix.score().points


def test_the_report_shows_answers_and_truth_over_the_images(tmp_path, bundle):
    bag = write_camera_bag(tmp_path / 'bag', count=3)
    results = evaluate(bag, bundle, labels_field='label')
    page = write_report(results, tmp_path / 'report').read_text()
    assert page.count('class="overlay"') == 6
    files = sorted(path.name for path in (tmp_path / 'report').glob('camera_*.png'))
    assert files == sorted(f'camera_{n}{kind}.png' for n in range(3) for kind in ('', '_truth'))
    shown = re.search(r'data-key="camera\.points" data-value="(\d+)"', page)[1]
    stored = json.loads((tmp_path / 'report' / 'results.json').read_text())
    assert int(shown) == stored['camera']['points'] > 0
    again = evaluate(bag, bundle, image_topic='none')
    write_report(again, tmp_path / 'report')
    assert not list((tmp_path / 'report').glob('camera_*.png'))


def test_points_are_drawn_where_the_camera_sees_them_in_the_colours_of_their_classes():
    import io

    from matplotlib.image import imread

    from pointata_core.evaluation.colours import colour_of
    from pointata_core.evaluation.report.overlays import overlay

    grey = np.full((30, 40, 3), 100, np.uint8)
    pixels = np.array([[5, 6], [20, 30], [20, 30]])
    drawn = overlay(grey, pixels, np.array([0, 1, 2], np.uint16), CLASSES, np.array([1.0, 2, 9]))
    shown = np.round(imread(io.BytesIO(drawn))[..., :3] * 255).astype(int)
    assert shown.shape == (480, 640, 3), 'small images are enlarged'
    assert tuple(shown[5 * 16, 6 * 16]) == colour_of(CLASSES[0], 0)
    assert tuple(shown[20 * 16, 30 * 16]) == colour_of(CLASSES[1], 1), 'the nearest point is seen'
    assert (shown[0, 0] == 55).all()


@pytest.mark.parametrize(
    ('options', 'how', 'text'),
    [
        ({'with_tf': False}, {}, 'where the camera is'),
        ({}, {'image_topic': '/points'}, 'holds'),
        ({}, {'image_topic': '/nothing'}, 'no topic'),
        (
            {'change_info': lambda m: dataclasses.replace(m, k=np.zeros(9))},
            {},
            '/camera/camera_info: the camera is not calibrated',
        ),
        (
            {'change_info': lambda m: dataclasses.replace(m, width=99)},
            {},
            'calibration is for 99 x 24',
        ),
    ],
    ids=['no transform', 'no image', 'unknown topic', 'uncalibrated', 'other size'],
)
def test_a_camera_that_cannot_be_used_says_why_and_what_to_do(tmp_path, bundle, options, how, text):
    bag = write_camera_bag(tmp_path / 'bag', count=2, **options)
    with pytest.raises(BagError, match=text) as caught:
        evaluate(bag, bundle, **how)
    assert caught.value.fix


def test_the_mounting_may_be_given_by_hand(tmp_path, bundle):
    bag = write_camera_bag(tmp_path / 'bag', with_tf=False)
    results = evaluate(bag, bundle, camera_extrinsics=POSE)
    assert results.labels_sha256 == digest_of(bundle, 4)


def test_damaged_images_are_counted_and_their_clouds_answered(tmp_path, bundle):
    def cut(message):
        return dataclasses.replace(message, data=message.data[:-10])

    results = evaluate(write_camera_bag(tmp_path / 'bag', change_image=cut), bundle)
    assert results.frames_predicted == 4 and results.camera is None
    assert any('4 undecodable.truncated' in note for note in results.notes)


def test_images_that_are_rectified_are_told_by_their_topic(tmp_path, bundle):
    def bent(message):
        return dataclasses.replace(message, d=np.array([-0.9, 0.5, 0.0, 0.0, 0.0]))

    raw = write_camera_bag(tmp_path / 'raw', change_info=bent)
    straight = write_camera_bag(tmp_path / 'rect', change_info=bent, images='/camera/image_rect')
    assert evaluate(straight, bundle).labels_sha256 == digest_of(bundle, 4)
    assert evaluate(raw, bundle).labels_sha256 != digest_of(bundle, 4)


def test_a_bag_without_a_camera_is_evaluated_too(tmp_path, bundle):
    bag = write_camera_bag(tmp_path / 'bag', without=range(4))
    assert evaluate(bag, bundle).labels_sha256 == digest_of(bundle, 4, without=range(4))


# ---------------------------------------------------------------------- KITTI


@pytest.fixture(scope='module')
def kitti_bag(data_root, tmp_path_factory) -> Path:
    folder = data_root / 'kitti_raw_10f'
    if not folder.is_dir():
        pytest.skip(f'no KITTI drive: {folder} is absent')
    output = tmp_path_factory.mktemp('kitti') / 'bag'
    words = [*MAIN, 'data', 'bag', 'kitti', '--root', str(folder), '--output', str(output)]
    subprocess.run(words, check=True, capture_output=True)
    return output


def test_a_kitti_drive_goes_through_evaluation_with_overlays(kitti_bag, tmp_path):
    coarse = write_camera_bundle(
        tmp_path / 'coarse', preparation=CameraPreparation(0.5, resize=(310, 94))
    )
    results = evaluate(kitti_bag, coarse)
    assert (results.frames, results.frames_predicted) == (10, 10)
    assert results.camera['clouds'] == 10
    # The camera looks forward and sees about 82 degrees: one seventh of the scan.
    assert 0.1 < results.camera['points'] / results.points < 0.2
    page = write_report(results, tmp_path / 'report').read_text()
    assert page.count('class="overlay"') == 6


def test_kitti_scans_keep_their_points_and_labels(tmp_path):
    folder = tmp_path / 'drive'
    for name in ('velodyne', 'image_2', 'labels'):
        (folder / name).mkdir(parents=True)
    from PIL import Image

    rows = np.random.default_rng(0).uniform(-9, 9, (50, 4)).astype(np.float32)
    rows.tofile(folder / 'velodyne' / '000000.bin')
    ids = np.arange(50, dtype=np.uint32) | (7 << 16)
    ids.tofile(folder / 'labels' / '000000.label')
    Image.fromarray(drawn_image(0)).save(folder / 'image_2' / '000000.png')
    (folder / 'calib.txt').write_text(
        'P2: 30 0 24 6 0 30 12 0 0 0 1 0\nTr: 0 -1 0 0 0 0 -1 -0.1 1 0 0 0\n'
    )
    assert write_kitti_bag(folder, tmp_path / 'bag') == 1
    with BagReader(tmp_path / 'bag') as bag:
        messages = {topic: message for topic, _, message in bag.messages()}
    from pointata_core.io.messages.point_cloud2 import decode, decode_labels

    np.testing.assert_array_equal(decode(messages['/velodyne_points']).points, rows[:, :3])
    labels = decode_labels(messages['/velodyne_points'], 'label')
    np.testing.assert_array_equal(labels, np.arange(50))
    np.testing.assert_array_equal(decode_image(messages['/camera/image_rect']), drawn_image(0))
    # The offset of the second camera: 6 / 30 m to the left of the first.
    place = messages['/tf_static'].transforms[0].transform.translation
    np.testing.assert_allclose([place.x, place.y, place.z], [0, 0.2, -0.1], atol=1e-12)


def test_a_simulated_drive_is_recorded_with_its_camera_and_truth(tmp_path, capsys):
    from pointata_core.cli.main import main
    from pointata_core.inference.camera_calibration import camera_from_info, pixels_of
    from pointata_core.io.messages.point_cloud2 import decode, decode_labels
    from pointata_core.io.transforms import TransformBuffer

    words = ['data', 'bag', 'night', '--output', str(tmp_path / 'night'), '--frames', '1']
    assert main([*words, '--json']) == 0
    assert json.loads(capsys.readouterr().out)['scans'] == 1
    with BagReader(tmp_path / 'night') as bag:
        messages = {topic: message for topic, _, message in bag.messages()}
        transforms = TransformBuffer.from_recording(bag)
    (frame,) = simulate_camera('night', SEED, 1, 10.0)
    image = decode_image(messages['/camera/image_raw'])
    np.testing.assert_array_equal(image, frame.image)
    cloud, labels = decode(messages['/points']), decode_labels(messages['/points'], 'label')
    camera = camera_from_info(messages['/camera/camera_info'])
    where = transforms.lookup('camera', 'lidar', 0)
    seen, pixels = pixels_of(cloud.points, camera, where, image.shape[:2])
    expected = np.floor(frame.pixels[seen])
    assert (np.abs(pixels - expected).max(axis=1) == 0).mean() > 0.99, 'up to rounding'
    # What stands in the way of nothing shows the class of its pixel, but for edges.
    free = np.flatnonzero(np.isin(seen, np.flatnonzero(frame.visible)))
    shown = frame.classes[pixels[free, 0], pixels[free, 1]]
    drawn = to_classes(np.where(shown == 255, 0, shown), TASK, 'simulated')
    agrees = drawn == labels[seen[free]].astype(np.int64)
    assert agrees[(shown != 255) & (labels[seen[free]] != 255)].mean() > 0.9


@pytest.mark.parametrize('missing', ['velodyne', 'image_2', 'calib.txt'])
def test_what_is_missing_of_a_kitti_drive_is_named(tmp_path, missing):
    folder = tmp_path / 'drive'
    for name in {'velodyne', 'image_2'} - {missing}:
        (folder / name).mkdir(parents=True)
    if missing != 'velodyne':
        np.zeros(4, np.float32).tofile(folder / 'velodyne' / '0.bin')
    with pytest.raises(BagError, match=missing):
        write_kitti_bag(folder, tmp_path / 'bag')
    assert not (tmp_path / 'bag').exists()


# ---------------------------------------------------------------------- images


def image_message(pixels: np.ndarray, stored_as: str, padding: int = 0, **changes):
    """Any message with the fields of an Image; ``pixels`` are (H, W, C) as stored."""
    height, width, channels = pixels.shape
    rows = np.zeros((height, width * channels + padding), np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    values = {
        'height': height, 'width': width, 'encoding': stored_as,
        'step': rows.shape[1], 'data': rows.ravel(),
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


@given(
    st.sampled_from(sorted(ENCODINGS)), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5),
    st.integers(0, 99),
)  # fmt: skip
def test_pixels_of_all_encodings_come_out_as_red_green_blue(encoding, height, width, pad, seed):
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    if encoding == 'mono8':
        rgb = np.repeat(rgb[..., :1], 3, axis=2)
        stored = rgb[..., :1]
    else:
        stored = rgb if encoding.startswith('rgb') else rgb[..., ::-1]
        if len(encoding) == 5:
            stored = np.concatenate([stored, np.full((height, width, 1), 77, np.uint8)], axis=2)
    np.testing.assert_array_equal(decode_image(image_message(stored, encoding, pad)), rgb)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'encoding': 'bayer_rggb8'}, ImageRejectReason.UNSUPPORTED_ENCODING),
        ({'encoding': ''}, ImageRejectReason.UNSUPPORTED_ENCODING),
        ({'height': 0}, ImageRejectReason.EMPTY),
        ({'width': 0}, ImageRejectReason.EMPTY),
        ({'height': 1 << 31, 'width': 1 << 31}, ImageRejectReason.TOO_LARGE),
        ({'step': 3}, ImageRejectReason.BAD_STEP),
        ({'step': 0}, ImageRejectReason.BAD_STEP),
        ({'step': 1 << 31}, ImageRejectReason.TRUNCATED),
        ({'height': 99}, ImageRejectReason.TRUNCATED),
        ({'data': np.zeros(0, np.uint8)}, ImageRejectReason.TRUNCATED),
    ],
)
def test_malformed_images_are_refused_with_a_reason(changes, reason):
    found = decode_image(image_message(drawn_image(0), 'rgb8', **changes))
    assert isinstance(found, RejectedImage) and found.reason is reason


@given(
    st.integers(0, 1 << 32), st.integers(0, 1 << 32), st.integers(0, 1 << 32),
    st.sampled_from([*ENCODINGS, 'yuv422']), st.binary(max_size=64),
)  # fmt: skip
def test_whatever_the_header_says_nothing_is_raised(height, width, step, encoding, data):
    message = SimpleNamespace(
        height=height, width=width, step=step, encoding=encoding, data=np.frombuffer(data, np.uint8)
    )
    found = decode_image(message)
    assert isinstance(found, RejectedImage) or found.shape == (height, width, 3)


def test_compressed_images_are_unpacked_and_damaged_ones_refused():
    import io

    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(drawn_image(0)).save(packed, 'PNG')
    good = SimpleNamespace(format='png', data=packed.getvalue())
    np.testing.assert_array_equal(decode_compressed_image(good), drawn_image(0))
    bad = (packed.getvalue()[:60], b'', b'GIF89a' + bytes(40), b'\xff\xd8' + bytes(90))
    for data in bad:
        found = decode_compressed_image(SimpleNamespace(format='png', data=data))
        assert isinstance(found, RejectedImage) and found.reason is ImageRejectReason.DAMAGED


# ---------------------------------------------------------------------- pairing


@given(
    st.lists(st.integers(0, 100), max_size=12), st.integers(0, 100), st.integers(0, 30),
    st.integers(1, 12),
)  # fmt: skip
def test_the_nearest_of_the_last_images_is_found(stamps, stamp, tolerance, keep):
    images = RecentImages(keep)
    for one in stamps:
        images.add(one, one)
    kept = stamps[-keep:]
    near = [one for one in kept if abs(one - stamp) <= tolerance]
    found = images.nearest(stamp, tolerance)
    assert (found is None) == (not near)
    if near:
        assert abs(found[0] - stamp) == min(abs(one - stamp) for one in kept)
        assert found[0] == max(one for one in near if abs(one - stamp) == abs(found[0] - stamp))
    images.clear()
    assert images.nearest(stamp, tolerance) is None
