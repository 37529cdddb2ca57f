# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A node with a camera bundle, its camera and its clouds, all over DDS."""

from __future__ import annotations

import io
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from camera_bundle_samples import (
    FROM_LIDAR,
    HEIGHT,
    MATRIX,
    POSE,
    WIDTH,
    drawn_image,
    surroundings,
    view,
    write_camera_bundle,
)
from geometry_msgs.msg import TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from node_harness import Bench
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from benchmarks.robustness.ros_graph import (
    LATCHED,
    PERIOD_NS,
    RELIABLE_ALL,
    START_NS,
    cloud,
    wait_until,
)
from pointata_core.bundles.bundle import load_camera_bundle
from pointata_core.bundles.camera_manifest import CameraPreparation
from pointata_core.datasets.scenes.kitti_raw import write_kitti_bag
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.inference.camera_calibration import Camera
from pointata_core.inference.camera_session import CameraSession
from pointata_core.inference.frames import CameraView
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.point_cloud2 import decode_labels
from pointata_ros.camera.pairs import CameraPairs

pytestmark = pytest.mark.ros
WARN = 1
# Long enough for a busy machine; an image that comes ends it at once.
PATIENT = {'image_wait': 1.0, 'policy': 'block'}


@pytest.fixture(scope='module')
def bundle(tmp_path_factory) -> Path:
    return write_camera_bundle(tmp_path_factory.mktemp('camera') / 'small')


def header_at(stamp_ns: int, frame_id: str = 'camera') -> Header:
    header = Header(frame_id=frame_id)
    header.stamp.sec, header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return header


def image_at(stamp_ns: int, pixels: np.ndarray, encoding: str = 'rgb8') -> Image:
    height, width = pixels.shape[:2]
    message = Image(header=header_at(stamp_ns), height=height, width=width, encoding=encoding)
    message.step = width * pixels.shape[2]
    message.data.frombytes(np.ascontiguousarray(pixels).tobytes())
    return message


def info_at(stamp_ns: int, **changes) -> CameraInfo:
    values = {
        'height': HEIGHT,
        'width': WIDTH,
        'distortion_model': 'plumb_bob',
        'd': [0.0] * 5,
        'k': MATRIX.ravel(),
        'r': np.eye(3).ravel(),
        'p': np.pad(MATRIX, ((0, 0), (0, 1))).ravel(),
    }
    return CameraInfo(header=header_at(stamp_ns), **(values | changes))


class Rig:
    """A LiDAR and a camera that publish to a node."""

    def __init__(self, bench: Bench, base: str = '', image_type: type = Image) -> None:
        self.bench, self.number = bench, 0
        self.answers = bench.collect(f'{base}output/segmentation', PointCloud2)
        self._publish = {
            name: self._publisher(kind, f'{base}input/{name}')
            for name, kind in (
                ('points', PointCloud2), ('image', image_type), ('camera_info', CameraInfo),
            )
        }  # fmt: skip

    def _publisher(self, kind: type, name: str):
        topic = self.bench.topic(name)
        publisher = self.bench._client.node.create_publisher(kind, topic, RELIABLE_ALL)
        wait_until(publisher.get_subscription_count, f'the node to subscribe to {name}')
        heard = [one for one in self.bench.node.subscriptions if one.topic_name == topic]
        wait_until(lambda: heard[0].get_publisher_count(), f'the node to see {name}')
        return publisher.publish

    def send(self, name: str, message) -> None:
        self._publish[name](message)

    def shoot(self, image=None, info=None) -> np.ndarray:
        """Send calibration, image and cloud of a moment; returns the labels of the answer."""
        stamp_ns = START_NS + self.number * PERIOD_NS
        self.send('camera_info', info_at(stamp_ns) if info is None else info)
        image = image_at(stamp_ns, drawn_image(self.number)) if image is None else image
        if image is not False:
            self.send('image', image)
            node = self.bench.node
            wait_until(
                lambda: sum(s.pairs.snapshot().images for s in node.streams) > 0, 'the image'
            )
        return self.scan()

    def scan(self) -> np.ndarray:
        """Send the cloud of the moment."""
        stamp_ns = START_NS + self.number * PERIOD_NS
        self.number += 1
        self.send('points', cloud(surroundings(self.number - 1), stamp_ns))
        return decode_labels(self.answers.wait_for(self.number)[-1], 'class_id')


def expected(bundle: Path, number: int, with_camera: bool = True) -> np.ndarray:
    session = CameraSession(load_camera_bundle(bundle))
    return session.step(surroundings(number), 1, view=view(number) if with_camera else None).labels


def bench_with(bundle: Path, **parameters) -> Bench:
    return Bench(
        bundle=str(bundle), device='cpu', diagnostics_period=0.1,
        **({'camera_extrinsics': POSE} | parameters),
    )  # fmt: skip


def test_every_cloud_is_answered_with_its_image(bundle):
    with bench_with(bundle, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        for number in range(3):
            np.testing.assert_array_equal(rig.shoot(), expected(bundle, number))
        status = bench.diagnostics('camera')
        assert (status['level'], status['message']) == (0, 'OK')
        assert (status['paired'], status['missing'], status['images_received']) == ('3', '0', '3')
        seen = CameraSession(load_camera_bundle(bundle)).step(surroundings(0), 1, view=view(0))
        assert int(status['points_with_camera']) > seen.points_with_camera
        assert bench.diagnostics('processing')['published'] == '3'
        assert 'input/image' in bench.wait_for_log('ready')


def test_without_images_the_lidar_answers_at_once_and_says_so(bundle):
    with bench_with(bundle) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        for number in range(2):
            np.testing.assert_array_equal(rig.scan(), expected(bundle, number, with_camera=False))
        status = wait_until(
            lambda: (one := bench.diagnostics('camera'))['missing'] == '2' and one, 'the count'
        )
        assert status['level'] == WARN
        assert 'LiDAR alone' in status['message'] and 'no image has arrived' in status['message']
        bench.wait_for_log('labelled by the LiDAR alone')
        # The first image that fits puts it right.
        np.testing.assert_array_equal(rig.shoot(), expected(bundle, 2))
        wait_until(lambda: bench.diagnostics('camera')['message'] == 'OK', 'the end of it')


def test_images_that_come_after_the_answer_are_counted_as_late(bundle):
    with bench_with(bundle) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        rig.scan()
        rig.send('image', image_at(START_NS, drawn_image(0)))
        wait_until(lambda: bench.diagnostics('camera')['late'] == '1', 'the late image')
        assert bench.diagnostics('camera')['missing'] == '1'


def test_images_of_another_time_are_not_taken(bundle):
    with bench_with(bundle, image_tolerance=0.03) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        old = image_at(START_NS - 40_000_000, drawn_image(0))
        np.testing.assert_array_equal(rig.shoot(old), expected(bundle, 0, with_camera=False))
        message = wait_until(
            lambda: (one := bench.diagnostics('camera'))['missing'] == '1' and one, 'the count'
        )['message']
        assert '40 ms behind' in message and 'image_tolerance is 30 ms' in message


@pytest.mark.parametrize(
    ('image', 'info', 'count', 'text'),
    [
        (
            partial(
                image_at, pixels=np.zeros((HEIGHT, WIDTH, 1), np.uint8), encoding='bayer_gbrg8'
            ),
            None,
            'undecodable',
            'bayer_gbrg8',
        ),
        (
            lambda stamp: Image(
                header=header_at(stamp), height=9, width=9, encoding='rgb8', step=27
            ),
            None,
            'undecodable',
            'truncated',
        ),
        (None, partial(info_at, k=np.zeros(9)), 'uncalibrated', 'camera_info: the camera is not'),
        (None, partial(info_at, distortion_model='x', d=[0.1]), 'uncalibrated', "model is 'x'"),
        (None, partial(info_at, width=7), 'uncalibrated', 'calibration is for 7 x 24'),
    ],
    ids=['bayer', 'cut', 'zero K', 'unknown model', 'other size'],
)
def test_what_the_camera_gets_wrong_is_counted_and_the_lidar_answers(
    bundle, image, info, count, text
):
    with bench_with(bundle, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        answer = rig.shoot(
            None if image is None else image(START_NS), None if info is None else info(START_NS)
        )
        np.testing.assert_array_equal(answer, expected(bundle, 0, with_camera=False))
        status = wait_until(
            lambda: (one := bench.diagnostics('camera'))[count] == '1' and one, count
        )
        assert status['level'] == WARN and text in status['message']
        bench.wait_for_log(text)
        np.testing.assert_array_equal(rig.shoot(), expected(bundle, 1))


def test_the_mounting_comes_from_tf(bundle):
    with bench_with(bundle, camera_extrinsics='', transform_timeout=0.05, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        np.testing.assert_array_equal(rig.shoot(), expected(bundle, 0, with_camera=False))
        wait_until(lambda: bench.diagnostics('camera')['no_transform'] == '1', 'the count')
        stamped = TransformStamped(header=header_at(START_NS, 'camera'), child_frame_id='lidar')
        x, y, z, *turn = map(float, POSE.split())
        place, rotation = stamped.transform.translation, stamped.transform.rotation
        place.x, place.y, place.z = x, y, z
        rotation.x, rotation.y, rotation.z, rotation.w = turn
        publisher = bench._client.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        publisher.publish(TFMessage(transforms=[stamped]))
        mountings = bench.node._mountings
        wait_until(lambda: mountings._find('camera', 'lidar')[0] is not None, 'the transform')
        np.testing.assert_array_equal(rig.shoot(), expected(bundle, 1))


def test_with_a_fixed_frame_the_motion_between_cloud_and_image_is_taken_out(bundle):
    parameters = {'fixed_frame': 'map', 'camera_extrinsics': '', 'transform_timeout': 5.0}
    with bench_with(bundle, **parameters, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        x, y, z, *turn = map(float, POSE.split())
        mounting = TransformStamped(header=header_at(START_NS, 'camera'), child_frame_id='lidar')
        place, rotation = mounting.transform.translation, mounting.transform.rotation
        place.x, place.y, place.z = x, y, z
        rotation.x, rotation.y, rotation.z, rotation.w = turn
        # Ten metres per second ahead; the camera hangs from the map.
        poses = []
        for number in range(2):
            stamp_ns = START_NS + number * PERIOD_NS
            pose = TransformStamped(header=header_at(stamp_ns, 'map'), child_frame_id='camera')
            ahead = np.array([number, 0.0, 0.0]) + np.linalg.inv(FROM_LIDAR)[:3, 3]
            place = pose.transform.translation
            place.x, place.y, place.z = map(float, ahead)
            # The inverse of the mounting's rotation.
            rotation = pose.transform.rotation
            rotation.x, rotation.y, rotation.z = (-one for one in turn[:3])
            rotation.w = turn[3]
            poses.append(pose)
        for topic, transforms in (('/tf_static', [mounting]), ('/tf', poses)):
            publisher = bench._client.node.create_publisher(TFMessage, topic, LATCHED)
            wait_until(publisher.get_subscription_count, f'the node to hear {topic}')
            publisher.publish(TFMessage(transforms=transforms))
        answer = rig.shoot(image_at(START_NS + 20_000_000, drawn_image(0)))
        moved = np.eye(4)
        moved[0, 3] = -0.2
        seen = CameraView(drawn_image(0), Camera(MATRIX, WIDTH, HEIGHT), FROM_LIDAR @ moved)
        session = CameraSession(load_camera_bundle(bundle))
        wanted = session.step(surroundings(0), 1, view=seen).labels
        assert (answer == wanted).mean() > 0.98
        assert (wanted != expected(bundle, 0)).any()


def test_under_block_no_cloud_loses_its_image_however_far_the_camera_is_ahead(bundle):
    count = 60
    with bench_with(bundle, queue_size=2, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        session = CameraSession(load_camera_bundle(bundle))
        rig.send('camera_info', info_at(START_NS))
        # Held up, so that the middleware has everything before the second cloud has its turn.
        original = bench.stream.session.step
        gate = threading.Event()
        bench.stream.session.step = lambda *a, **k: gate.wait(60) and original(*a, **k)
        for number in range(count):
            stamp_ns = START_NS + number * PERIOD_NS
            # Three images for each cloud, the one of its moment in the middle.
            for offset in (-1, 0, 1):
                shown = drawn_image(number) if offset == 0 else drawn_image(1000 + offset)
                rig.send('image', image_at(stamp_ns + offset * 33_000_000, shown))
            rig.send('points', cloud(surroundings(number), stamp_ns))
        gate.set()
        for number, answer in enumerate(rig.answers.wait_for(count)):
            wanted = session.step(surroundings(number), number + 1, view=view(number)).labels
            np.testing.assert_array_equal(decode_labels(answer, 'class_id'), wanted)
        assert bench.stream.pairs.snapshot().counts['paired'] == count


def test_compressed_images_are_understood_on_request(bundle):
    from PIL import Image as Pillow

    with bench_with(bundle, image_transport='compressed', **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench, image_type=CompressedImage)
        packed = io.BytesIO()
        Pillow.fromarray(drawn_image(0)).save(packed, 'PNG')
        message = CompressedImage(header=header_at(START_NS), format='png')
        message.data.frombytes(packed.getvalue())
        np.testing.assert_array_equal(rig.shoot(message), expected(bundle, 0))
        message = CompressedImage(header=header_at(START_NS + PERIOD_NS), format='png')
        message.data.frombytes(packed.getvalue()[:50])
        answer = rig.shoot(message)
        np.testing.assert_array_equal(answer, expected(bundle, 1, with_camera=False))


def test_inputs_have_cameras_of_their_own(bundle):
    with bench_with(bundle, inputs=['front', 'rear'], **PATIENT) as bench:
        bench.wait_for_state('active')
        front, rear = Rig(bench, 'front/'), Rig(bench, 'rear/')
        np.testing.assert_array_equal(front.shoot(), expected(bundle, 0))
        np.testing.assert_array_equal(rear.scan(), expected(bundle, 0, with_camera=False))
        wait_until(lambda: bench.diagnostics('rear/camera')['missing'] == '1', 'the count')
        assert bench.diagnostics('front/camera')['paired'] == '1'


def test_deactivation_and_another_bundle_of_the_kind_go_on_with_the_camera(bundle, tmp_path):
    other = write_camera_bundle(tmp_path / 'other', name='other')
    with bench_with(bundle, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        rig.shoot()
        assert bench.set(bundle=str(other))[0].successful
        assert bench.load_skill().success
        np.testing.assert_array_equal(rig.shoot(), expected(bundle, 1))
        assert bench.change('deactivate') and bench.change('activate')
        again = Rig(bench)
        np.testing.assert_array_equal(again.shoot(), expected(bundle, 0))
        assert bench.diagnostics('model')['bundle'] == 'other'


def test_a_bundle_of_the_other_kind_is_refused_while_the_node_is_active(bundle, untrained_bundle):
    with bench_with(bundle) as bench:
        bench.wait_for_state('active')
        assert bench.set(bundle=str(untrained_bundle))[0].successful
        response = bench.load_skill()
        assert not response.success and 'other kind' in response.message
        np.testing.assert_array_equal(Rig(bench).scan(), expected(bundle, 0, with_camera=False))
        assert bench.change('deactivate') and bench.change('cleanup')
        assert bench.change('configure') and bench.change('activate')
        assert bench.diagnostics('model')['bundle'] == 'untrained'
        heard = [one.topic_name for one in bench.node.subscriptions]
        assert bench.topic('input/points') in heard
        assert bench.topic('input/image') not in heard


def test_a_pose_that_is_none_is_refused_by_name(bundle):
    with bench_with(bundle, autostart=False) as bench:
        result = bench.set(camera_extrinsics='1 2 3')[0]
        assert not result.successful and 'camera_extrinsics' in result.reason


def test_a_kitti_drive_goes_through_the_node_as_through_evaluation(data_root, tmp_path):
    folder = data_root / 'kitti_raw_10f'
    if not folder.is_dir():
        pytest.skip(f'no KITTI drive: {folder} is absent')
    bag = tmp_path / 'bag'
    write_kitti_bag(folder, bag)
    coarse = write_camera_bundle(
        tmp_path / 'coarse', preparation=CameraPreparation(0.5, resize=(310, 94))
    )
    # Evaluated offline, the images are rectified by the name of their topic.
    offline = evaluate_bag(bag, bundle=coarse, device='cpu')
    parameters = {'camera_extrinsics': '', 'image_rectified': True, 'transform_timeout': 5.0}
    with bench_with(coarse, **parameters, **PATIENT) as bench:
        bench.wait_for_state('active')
        rig = Rig(bench)
        tf = bench._client.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        publish = {
            '/velodyne_points': (PointCloud2, partial(rig.send, 'points')),
            '/camera/image_rect': (Image, partial(rig.send, 'image')),
            '/camera/camera_info': (CameraInfo, partial(rig.send, 'camera_info')),
            '/tf_static': (TFMessage, tf.publish),
        }
        with BagReader(bag) as reader:
            for topic, _, data in reader.raw_messages():
                kind, send = publish[topic]
                send(deserialize_message(data, kind))
        digest = LabelDigest()
        for answer in rig.answers.wait_for(10):
            stamp = answer.header.stamp
            stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
            digest.add(stamp_ns, decode_labels(answer, 'class_id'))
        status = wait_until(
            lambda: (one := bench.diagnostics('camera'))['paired'] == '10' and one, 'ten pairs'
        )
        assert (status['missing'], status['message']) == ('0', 'OK')
        assert bench.diagnostics('processing')['published'] == '10'
    assert digest.hexdigest() == offline.labels_sha256
    assert int(status['points_with_camera']) == offline.camera['points']


# ---------------------------------------------------------------------- pairing


def test_a_cloud_that_waits_keeps_its_image_however_many_follow():
    pairs = CameraPairs(lambda: 1e-9)
    first = pairs.expect(5)
    for stamp in range(500):
        pairs.arrived(stamp, f'image {stamp}')
    assert pairs.take(first) == (5, 'image 5')


def test_waiting_for_an_image_ends_when_it_comes_or_when_time_is_up():
    pairs = CameraPairs(lambda: 1e-9)
    assert pairs.take(pairs.expect(10)) is None
    assert pairs.take(pairs.expect(20, wait_s=0.05)) is None
    waiting = pairs.expect(30, wait_s=120.0)
    threading.Timer(0.05, pairs.arrived, (30, 'image')).start()
    assert pairs.take(waiting) == (30, 'image')
    pairs.arrived(10, 'late')
    assert pairs.snapshot().counts['late'] == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=30), st.integers(0, 5))
def test_whatever_the_order_a_cloud_gets_the_nearest_image_that_came(events, tolerance):
    pairs = CameraPairs(lambda: tolerance * 1e-9)
    clouds, images = [], []
    for is_cloud, stamp in events:
        if is_cloud:
            clouds.append(pairs.expect(stamp))
        else:
            images.append(stamp)
            pairs.arrived(stamp, stamp)
    for one in clouds:
        near = [abs(i - one.stamp_ns) for i in images if abs(i - one.stamp_ns) <= tolerance]
        found = pairs.take(one)
        assert (found is None) == (not near)
        assert found is None or abs(found[0] - one.stamp_ns) == min(near)
