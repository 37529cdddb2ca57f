# SPDX-License-Identifier: Apache-2.0
"""Clouds in other messages: Livox, compressed, depth images; as messages and as recordings."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from small_bags import PERIOD_NS, START_NS, Frame, cloud_message, header, room, write_bag

from pointata_core.errors import BagError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.inference.placement import OPTICAL
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.camera_messages import camera_info
from pointata_core.io.messages.cloud_conversion import CLOUD_TYPES, to_point_cloud
from pointata_core.io.messages.depth_image import Intrinsics
from pointata_core.io.messages.livox_cloud import read_livox
from pointata_core.io.messages.message_types import (
    COMPRESSED_CLOUD,
    COMPRESSED_IMAGE,
    IMAGE,
    LIVOX_CLOUDS,
    POINT_CLOUD,
    make_typestore,
)
from pointata_core.io.messages.point_cloud2 import decode
from pointata_core.io.messages.rvl import decode_rvl
from pointata_core.io.messages.stamps import stamp_of

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


# --- Livox from bytes ----------------------------------------------------------------------------


@given(
    count=st.integers(0, 5),
    frame_id=st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=9),
    ros1=st.booleans(),
)
def test_livox_bytes_are_read_as_rosbags_reads_them(count, frame_id, ros1):
    kind = LIVOX_CLOUDS[0]
    store = make_typestore(ros1=ros1)[0]
    message = livox(Frame(room(0, count), START_NS + 7, frame_id=frame_id), kind)
    if ros1:
        stamp = store.types['builtin_interfaces/msg/Time'](START_NS // 10**9, 7)
        message.header = store.types['std_msgs/msg/Header'](3, stamp, frame_id)
    write = store.serialize_ros1 if ros1 else store.serialize_cdr
    read = read_livox(bytes(write(message, kind)), ros1=ros1)
    assert (read.width, read.header.frame_id, stamp_of(read)) == (count, frame_id, START_NS + 7)
    for name, values in read.points.items():
        assert values.tolist() == [getattr(point, name) for point in message.points]


@given(data=st.binary(max_size=120), ros1=st.booleans())
@example(data=b'\0', ros1=False)
def test_noise_is_no_livox_message(data, ros1):
    try:
        assert read_livox(data, ros1=ros1).width >= 0
    except ValueError as error:
        assert str(error)


# --- compressed depth ----------------------------------------------------------------------------


def pack_rvl(pixels: np.ndarray) -> bytes:
    """Written after the description in Wilson's paper."""
    nibbles: list[int] = []

    def put(value: int) -> None:
        while value >= 8:
            nibbles.append(8 | value & 7)
            value >>= 3
        nibbles.append(value)

    values, previous, at = pixels.ravel().tolist(), 0, 0
    while at < len(values):
        zeros = next((n for n, v in enumerate(values[at:]) if v), len(values) - at)
        at += zeros
        run = next((n for n, v in enumerate(values[at:]) if not v), len(values) - at)
        put(zeros)
        put(run)
        for value in values[at : at + run]:
            put(2 * (value - previous) if value >= previous else 2 * (previous - value) - 1)
            previous = value
        at += run
    nibbles += [0] * (-len(nibbles) % 8)
    words = [
        int(''.join(f'{n:x}' for n in nibbles[i : i + 8]), 16) for i in range(0, len(nibbles), 8)
    ]
    return np.array([pixels.shape[1], pixels.shape[0], *words], '<u4').tobytes()


@given(
    pixels=arrays(
        np.uint16, st.tuples(st.integers(1, 6), st.integers(1, 6)),
        elements=st.sampled_from([0, 0, 1, 999, 1000, 65535]),
    )
)  # fmt: skip
def test_rvl_gives_the_pixels_back(pixels):
    np.testing.assert_array_equal(decode_rvl(pack_rvl(pixels), 36), pixels)


@given(data=st.binary(max_size=60), width=st.integers(0, 9), height=st.integers(0, 9))
def test_noise_is_no_rvl_image(data, width, height):
    try:
        found = decode_rvl(np.array([width, height], '<u4').tobytes() + data, 64)
        assert found.shape == (height, width)
    except ValueError as error:
        assert str(error)


def compressed_depth(one: Frame, pixels: np.ndarray, form: str, parameters=(0.0, 0.0)):
    if 'rvl' in form:
        packed = pack_rvl(pixels)
    else:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, 'PNG')
        packed = stream.getvalue()
    head = np.array([0], '<i4').tobytes() + np.array(parameters, '<f4').tobytes()
    data = np.frombuffer(head + packed, np.uint8)
    return TYPES[COMPRESSED_IMAGE](header=header(TYPES, one), format=form, data=data)


@pytest.mark.parametrize('form', ['compressedDepth', 'compressedDepth png', 'compressedDepth rvl'])
def test_compressed_depth_is_the_image_before_compression(form):
    values = np.random.default_rng(0).integers(400, 6000, (24, 32)).astype(np.uint16)
    values[3, :5] = 0
    message = compressed_depth(frame(0), values, f'16UC1; {form}')
    plain = cloud_of(depth_image(frame(0), values, '16UC1'), IMAGE, CAMERA)
    found = cloud_of(message, COMPRESSED_IMAGE, CAMERA)
    np.testing.assert_array_equal(found.points, plain.points)
    # Metres are stored as a / depth + b, rounded.
    inverse = np.where(values, 1e4 / np.maximum(values * 1e-3, 1e-9) + 1, 0).astype(np.uint16)
    message = compressed_depth(frame(0), inverse, f'32FC1; {form}', (1e4, 1.0))
    found = cloud_of(message, COMPRESSED_IMAGE, CAMERA)
    np.testing.assert_allclose(found.points, plain.points, rtol=2e-3)


def test_image_of_another_size_than_its_calibration_is_rejected():
    message = depth_image(frame(0), np.ones((24, 32), np.uint16), '16UC1')
    found = to_point_cloud(message, IMAGE, replace(CAMERA, width=64, height=48))
    assert isinstance(found, Rejected)
    assert '64 x 48' in found.detail


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


def depth_bag(path, *, with_info: bool = True, focal: float = 60.0, packed: bool = False):
    with BagWriter(path) as writer:
        matrix = np.array([[focal, 0, 15.5], [0, focal, 11.5], [0, 0, 1]])
        for index in range(COUNT):
            one = Frame(room(0), START_NS + index * PERIOD_NS, frame_id='optical')
            values = np.full((24, 32), 2000 + 10 * index, np.uint16)
            topic, message = '/camera/depth/image', depth_image(one, values, '16UC1')
            if packed:
                topic += '/compressedDepth'
                message = compressed_depth(one, values, '16UC1; compressedDepth rvl')
            writer.write(topic, message, one.stamp_ns)
            if with_info:
                info = camera_info(writer.types, one.stamp_ns, 'optical', matrix, (24, 32))
                writer.write('/camera/depth/camera_info', info, one.stamp_ns)
    return path


def test_recording_of_depth_images_is_labelled(untrained_bundle, tmp_path):
    results = evaluate_bag(depth_bag(tmp_path / 'bag'), bundle=untrained_bundle)
    assert results.topic == '/camera/depth/image'
    assert results.frames_predicted == COUNT
    assert results.labels_per_cloud['median'] == 24 * 32
    packed = evaluate_bag(depth_bag(tmp_path / 'packed', packed=True), bundle=untrained_bundle)
    assert packed.topic == '/camera/depth/image/compressedDepth'
    assert packed.labels_sha256 == results.labels_sha256


@pytest.mark.parametrize(
    ('options', 'words'), [({'with_info': False}, 'camera_info'), ({'focal': 0.0}, 'focal lengths')]
)
def test_depth_images_without_a_calibration_are_refused(untrained_bundle, tmp_path, options, words):
    bag = depth_bag(tmp_path / 'bag', **options)
    with pytest.raises(BagError, match=words) as caught:
        evaluate_bag(bag, bundle=untrained_bundle)
    assert caught.value.fix
