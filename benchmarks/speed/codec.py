# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Time the PointCloud2 codec on a full HDL-64 scan.

Inside the timer: ``decode`` with intensity (checks, copies, finite mask), or ``encode_fields`` plus
``fill_message`` into a rosbags message. Random coordinates, one thread, memory warm.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_typestore

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.cloud_encoding import (
    EncodedCloud,
    encode_fields,
    fill_message,
    xyz_columns,
)
from pointata_core.io.messages.point_cloud2 import decode

FLOATS = [('x', 'f4'), ('y', 'f4'), ('z', 'f4'), ('intensity', 'f4')]
# Name -> (fields, bytes per point, big-endian, rows)
LAYOUTS = {
    'xyzi float32, step 16': (FLOATS, 16, False, 1),
    'xyzi float32, step 18 (unaligned)': (FLOATS, 18, False, 1),
    'xyzi float32, step 48': (FLOATS, 48, False, 1),
    'xyzi float32, big-endian': (FLOATS, 16, True, 1),
    'xyz float64, intensity uint16': (
        [('x', 'f8'), ('y', 'f8'), ('z', 'f8'), ('intensity', 'u2')], 26, False, 1,
    ),
    'xyzi float32, 4 rows with padding': (FLOATS, 16, False, 4),
}  # fmt: skip
DATATYPES = {'u2': 4, 'f4': 7, 'f8': 8}


def make_message(
    types: dict, points: int, fields: list, step: int, big_endian: bool, rows: int
) -> Any:
    """Build a message with random finite values."""
    generator = np.random.default_rng(0)
    order = '>' if big_endian else '<'
    names = [name for name, _ in fields]
    formats = [order + kind for _, kind in fields]
    offsets = np.cumsum([0, *(np.dtype(kind).itemsize for _, kind in fields)])[:-1].tolist()
    record = np.dtype({'names': names, 'formats': formats, 'offsets': offsets, 'itemsize': step})
    width, row_step = points // rows, points // rows * step + (64 if rows > 1 else 0)
    data = np.zeros(rows * row_step, np.uint8)
    for row in range(rows):
        records = data[row * row_step :][: width * step].view(record)
        for name in names:
            records[name] = generator.uniform(0, 80, width)
    stamp = types['builtin_interfaces/msg/Time'](sec=1, nanosec=0)
    field_type = types['sensor_msgs/msg/PointField']
    return types['sensor_msgs/msg/PointCloud2'](
        header=types['std_msgs/msg/Header'](stamp=stamp, frame_id='lidar'),
        height=rows, width=width, is_bigendian=big_endian, point_step=step, row_step=row_step,
        fields=[
            field_type(name=name, offset=offset, datatype=DATATYPES[kind], count=1)
            for (name, kind), offset in zip(fields, offsets, strict=True)
        ],
        data=data, is_dense=True,
    )  # fmt: skip


def measure(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Percentiles over the repeats after a warm-up."""
    for _ in range(20):
        work()
    times_ms = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times_ms.append(1e3 * (time.perf_counter() - start))
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    return {'p50_ms': round(p50, 3), 'p95_ms': round(p95, 3), 'p99_ms': round(p99, 3)}


def run(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    types = get_typestore(Stores.ROS2_JAZZY).types
    results: dict[str, dict] = {'decode': {}, 'encode': {}}
    for name, layout in LAYOUTS.items():
        message = make_message(types, options.points, *layout)
        assert isinstance(decode(message), Cloud), decode(message)
        results['decode'][name] = measure(partial(decode, message), options.repeats)
    cloud = decode(message)
    assert isinstance(cloud, Cloud), cloud
    columns: list[tuple[str, np.ndarray]] = [
        *xyz_columns(cloud.points),
        ('class_id', np.zeros(len(cloud), np.uint16)),
        ('probability', np.ones(len(cloud), np.float32)),
    ]
    header, field_type = message.header, types['sensor_msgs/msg/PointField']

    def encode(reuse: EncodedCloud | None) -> None:
        fill_message(message, encode_fields(columns, reuse=reuse), header, field_type)

    for name, reuse in {'fresh memory': None, 'reused memory': encode_fields(columns)}.items():
        results['encode'][f'segmentation cloud, step 20, {name}'] = measure(
            partial(encode, reuse), options.repeats
        )
    for kind in ('decode', 'encode'):
        for name, figures in results[kind].items():
            print(f'{kind}  {name:48s} p50 {figures["p50_ms"]:.3f}  p99 {figures["p99_ms"]:.3f} ms')
    write_results(options.output, settings_of(options, 'points', 'repeats'), **results)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('codec', __doc__, repeats=3)
    line.add_argument('--points', type=int, default=124_668)
    line.add_argument('--repeats', type=int, default=300)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
