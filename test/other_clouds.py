# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds in other messages than PointCloud2, and recordings of them."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import zstandard
from PIL import Image
from small_bags import PERIOD_NS, START_NS, Frame, cloud_message, header, room

from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.camera_messages import camera_info
from pointata_core.io.messages.message_types import (
    COMPRESSED_CLOUD,
    COMPRESSED_IMAGE,
    IMAGE,
    make_typestore,
)

TYPES = make_typestore()[0].types
COUNT = 3


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
    if data is None and form == 'draco':
        data = draco(one.points)
    elif data is None:
        data = zlib.compress(raw) if form == 'zlib' else zstandard.ZstdCompressor().compress(raw)
    return TYPES[COMPRESSED_CLOUD](
        header=plain.header, height=plain.height, width=plain.width, fields=plain.fields,
        is_bigendian=plain.is_bigendian, point_step=plain.point_step, row_step=plain.row_step,
        compressed_data=np.frombuffer(data, np.uint8), is_dense=plain.is_dense, format=form,
    )  # fmt: skip


def draco(points: np.ndarray, **attributes) -> bytes:
    """Points as point_cloud_transport's draco plugin sends them; skips without DracoPy."""
    encoder = pytest.importorskip('DracoPy')
    return encoder.encode(points.astype(np.float32), preserve_order=True, **attributes)


def depth_image(one: Frame, values: np.ndarray, encoding: str, pad: int = 0, big: bool = False):
    rows = values.astype(values.dtype.newbyteorder('>' if big else '<'))
    data = np.pad(rows.view(np.uint8).reshape(len(values), -1), ((0, 0), (0, pad)))
    return TYPES[IMAGE](
        header=header(TYPES, one), height=values.shape[0], width=values.shape[1],
        encoding=encoding, is_bigendian=int(big), step=data.shape[1], data=data.ravel(),
    )  # fmt: skip


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


def write(path, kind: str, messages, topic: str = '/cloud'):
    with BagWriter(path) as writer:
        writer.add_topic(topic, kind)
        for index, message in enumerate(messages):
            writer.write(topic, message, START_NS + index * PERIOD_NS)
    return path


def depth_bag(
    path, *, with_info: bool = True, focal: float = 60.0, packed: bool = False, metres: bool = False
):
    with BagWriter(path) as writer:
        matrix = np.array([[focal, 0, 15.5], [0, focal, 11.5], [0, 0, 1]])
        for index in range(COUNT):
            one = Frame(room(0), START_NS + index * PERIOD_NS, frame_id='optical')
            values = np.full((24, 32), 2000 + 10 * index, np.uint16)
            topic, message = '/camera/depth/image', depth_image(one, values, '16UC1')
            if metres:
                message = depth_image(one, (values / 1000).astype(np.float32), '32FC1')
            if packed:
                topic += '/compressedDepth'
                message = compressed_depth(one, values, '16UC1; compressedDepth rvl')
            writer.write(topic, message, one.stamp_ns)
            if with_info:
                info = camera_info(writer.types, one.stamp_ns, 'optical', matrix, (24, 32))
                writer.write('/camera/depth/camera_info', info, one.stamp_ns)
    return path
