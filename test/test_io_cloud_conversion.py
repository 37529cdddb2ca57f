# SPDX-License-Identifier: Apache-2.0
"""Clouds in other messages: Livox, compressed, depth images; as messages and as recordings."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from small_bags import PERIOD_NS, START_NS, Frame, cloud_message, header, room, write_bag

from pointata_core.errors import BagError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.inference.placement import OPTICAL
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.camera_messages import camera_info
from pointata_core.io.messages.cloud_conversion import (
    CLOUD_TYPES,
    Intrinsics,
    to_point_cloud,
)
from pointata_core.io.messages.message_types import (
    COMPRESSED_CLOUD,
    IMAGE,
    LIVOX_CLOUDS,
    POINT_CLOUD,
    make_typestore,
)
from pointata_core.io.messages.point_cloud2 import decode

TYPES = make_typestore()[0].types
COUNT = 3
CAMERA = Intrinsics(60.0, 50.0, 15.5, 11.5)


def frame(index: int) -> Frame:
    return Frame(room(index, 300), START_NS + index * PERIOD_NS)


def livox(one: Frame, kind: str):
    point = TYPES[kind.replace('CustomMsg', 'CustomPoint')]
    return TYPES[kind](
        header=header(TYPES, one),
        timebase=one.stamp_ns,
        point_num=len(one.points),
        lidar_id=0,
        rsvd=np.zeros(3, np.uint8),
        points=[
            point(
                offset_time=1000 * number, x=x, y=y, z=z,
                reflectivity=number % 256, tag=16, line=number % 4,
            )
            for number, (x, y, z) in enumerate(one.points.tolist())
        ],
    )  # fmt: skip


def compressed(one: Frame, form: str, data: bytes | None = None):
    plain = cloud_message(TYPES, one, False)
    raw = plain.data.tobytes()
    if data is None:
        data = zlib.compress(raw) if form == 'zlib' else zstandard.ZstdCompressor().compress(raw)
    return TYPES[COMPRESSED_CLOUD](
        header=plain.header, height=plain.height, width=plain.width, fields=plain.fields,
        is_bigendian=plain.is_bigendian, point_step=plain.point_step, row_step=plain.row_step,
        compressed_data=np.frombuffer(data, np.uint8), is_dense=plain.is_dense, format=form,
    )  # fmt: skip


def depth_image(one: Frame, values: np.ndarray, encoding: str, pad: int = 0, big: bool = False):
    rows = values.astype(values.dtype.newbyteorder('>' if big else '<'))
    data = np.pad(rows.view(np.uint8).reshape(len(values), -1), ((0, 0), (0, pad)))
    return TYPES[IMAGE](
        header=header(TYPES, one), height=values.shape[0], width=values.shape[1],
        encoding=encoding, is_bigendian=int(big), step=data.shape[1], data=data.ravel(),
    )  # fmt: skip


def cloud_of(message, kind: str, intrinsics=None) -> Cloud:
    cloud = decode(
        to_point_cloud(message, kind, intrinsics), wanted_features=('intensity', 'line', 'tag')
    )
    assert isinstance(cloud, Cloud)
    return cloud


@pytest.mark.parametrize('kind', LIVOX_CLOUDS)
def test_livox_message_is_its_points(kind):
    cloud = cloud_of(livox(frame(1), kind), kind)
    np.testing.assert_array_equal(cloud.points, frame(1).points)
    assert cloud.stamp_ns == frame(1).stamp_ns
    assert cloud.frame_id == 'lidar'
    np.testing.assert_array_equal(cloud.features['line'], np.arange(300) % 4)
    assert set(cloud.features['tag']) == {16}
    assert 't' in cloud.fields


@pytest.mark.parametrize('form', ['zstd', 'zlib'])
def test_compressed_cloud_is_the_one_that_was_packed(form):
    cloud = cloud_of(compressed(frame(1), form), COMPRESSED_CLOUD)
    np.testing.assert_array_equal(cloud.points, frame(1).points)


def test_draco_cloud_keeps_its_points_and_fields():
    draco = pytest.importorskip('DracoPy')
    points = frame(1).points
    strength = np.arange(300, dtype=np.float32)[:, None]
    data = draco.encode(points, preserve_order=True, generic_attributes={1: strength})
    message = compressed(frame(1), 'draco', data)
    field = TYPES['sensor_msgs/msg/PointField']
    message.fields.append(field(name='intensity', offset=12, datatype=7, count=1))
    cloud = cloud_of(message, COMPRESSED_CLOUD)
    np.testing.assert_allclose(cloud.points, points, atol=0.01)
    np.testing.assert_allclose(cloud.features['intensity'], strength[:, 0], atol=0.1)


@pytest.mark.parametrize('pad', [0, 6])
@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize(('encoding', 'dtype', 'unit'), [('16UC1', 'u2', 1e-3), ('32FC1', 'f4', 1)])
def test_depth_image_is_projected_and_placed_with_z_up(encoding, dtype, unit, pad, big):
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 6.0, (24, 32))
    depth[3, 4] = 0
    values = (depth / unit).round().astype(dtype) if dtype == 'u2' else depth.astype(dtype)
    if dtype == 'f4':
        values[5, 6] = np.nan
    cloud = cloud_of(depth_image(frame(0), values, encoding, pad, big), IMAGE, CAMERA)
    assert (cloud.height, cloud.width) == (24, 32)
    assert not cloud.finite[3 * 32 + 4]
    v, u = 20, 9
    metres = float(values[v, u]) * unit
    optical = np.array([(u - 15.5) / 60 * metres, (v - 11.5) / 50 * metres, metres])
    point = cloud.points[v * 32 + u]
    np.testing.assert_allclose(point, optical, atol=1e-5)
    (placed,) = OPTICAL.apply(point[None])
    np.testing.assert_allclose(placed, optical[[2, 0, 1]] * (1, -1, -1), atol=1e-5)


@pytest.mark.parametrize(
    ('message', 'kind'),
    [
        (compressed(frame(0), 'zstd', b'noise'), COMPRESSED_CLOUD),
        (compressed(frame(0), 'middle-out'), COMPRESSED_CLOUD),
        (compressed(frame(0), 'zlib', b''), COMPRESSED_CLOUD),
        (depth_image(frame(0), np.ones((2, 2), np.uint8), 'rgb8'), IMAGE),
        (SimpleNamespace(points=[SimpleNamespace(x='?')]), LIVOX_CLOUDS[0]),
        (SimpleNamespace(), 'std_msgs/msg/String'),
    ],
)
def test_message_without_a_cloud_is_rejected_with_a_reason(message, kind):
    found = to_point_cloud(message, kind, CAMERA)
    if not isinstance(found, Rejected):
        found = decode(found)
    assert isinstance(found, Rejected)
    assert found.detail


def test_compressed_cloud_of_too_many_bytes_is_rejected_before_it_is_unpacked():
    message = compressed(frame(0), 'zstd')
    found = to_point_cloud(message, COMPRESSED_CLOUD, limits=CloudLimits(max_bytes=100))
    assert isinstance(found, Rejected)
    assert 'at most 100' in found.detail


@given(data=st.binary(max_size=200), form=st.sampled_from(['zstd', 'zlib', 'draco', '']))
def test_noise_in_compressed_clouds_never_raises(data, form):
    if form == 'draco':
        pytest.importorskip('DracoPy')
    found = to_point_cloud(compressed(frame(0), form, data), COMPRESSED_CLOUD)
    assert isinstance(found if isinstance(found, Rejected) else decode(found), (Rejected, Cloud))


# --- recordings ----------------------------------------------------------------------------------


def write(path, kind: str, messages, topic: str = '/cloud'):
    with BagWriter(path) as writer:
        writer.add_topic(topic, kind)
        for index, message in enumerate(messages):
            writer.write(topic, message, START_NS + index * PERIOD_NS)
    return path


@pytest.mark.parametrize('kind', [LIVOX_CLOUDS[0], COMPRESSED_CLOUD])
def test_recording_of_other_clouds_is_labelled_as_one_of_point_clouds(
    untrained_bundle, tmp_path, kind
):
    recorded = [frame(index) for index in range(COUNT)]
    make = livox if kind in LIVOX_CLOUDS else (lambda one, _: compressed(one, 'zstd'))
    other = write(tmp_path / 'other', kind, [make(one, kind) for one in recorded])
    plain = write_bag(tmp_path / 'plain', recorded)
    results = evaluate_bag(other, bundle=untrained_bundle)
    assert results.frames_predicted == COUNT
    assert results.labels_sha256 == evaluate_bag(plain, bundle=untrained_bundle).labels_sha256
    with BagReader(other) as reader:
        assert reader.select_point_topic(types=CLOUD_TYPES) == '/cloud'
        with pytest.raises(BagError, match=POINT_CLOUD):
            reader.select_point_topic()


def depth_bag(path, *, with_info: bool = True, focal: float = 60.0):
    with BagWriter(path) as writer:
        matrix = np.array([[focal, 0, 15.5], [0, focal, 11.5], [0, 0, 1]])
        for index in range(COUNT):
            one = Frame(room(0), START_NS + index * PERIOD_NS, frame_id='optical')
            values = np.full((24, 32), 2000 + 10 * index, np.uint16)
            writer.write('/camera/depth/image', depth_image(one, values, '16UC1'), one.stamp_ns)
            if with_info:
                info = camera_info(writer.types, one.stamp_ns, 'optical', matrix, (24, 32))
                writer.write('/camera/depth/camera_info', info, one.stamp_ns)
    return path


def test_recording_of_depth_images_is_labelled(untrained_bundle, tmp_path):
    results = evaluate_bag(depth_bag(tmp_path / 'bag'), bundle=untrained_bundle)
    assert results.topic == '/camera/depth/image'
    assert results.frames_predicted == COUNT
    assert results.labels_per_cloud['median'] == 24 * 32


@pytest.mark.parametrize(
    ('options', 'words'), [({'with_info': False}, 'camera_info'), ({'focal': 0.0}, 'focal lengths')]
)
def test_depth_images_without_a_calibration_are_refused(untrained_bundle, tmp_path, options, words):
    bag = depth_bag(tmp_path / 'bag', **options)
    with pytest.raises(BagError, match=words) as caught:
        evaluate_bag(bag, bundle=untrained_bundle)
    assert caught.value.fix
