# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in other messages: Livox, compressed, depth images; as messages and as recordings."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from other_clouds import (
    COUNT,
    TYPES,
    compressed,
    compressed_depth,
    depth_bag,
    depth_image,
    draco,
    frame,
    livox,
    pack_rvl,
    write,
)
from small_bags import START_NS, Frame, room, write_bag

from pointata_core.errors import BagError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.inference.placement import OPTICAL
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
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

CAMERA = Intrinsics(60.0, 50.0, 15.5, 11.5)


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
    points = frame(1).points
    strength = np.arange(300, dtype=np.float32)[:, None]
    data = draco(points, generic_attributes={1: strength})
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
