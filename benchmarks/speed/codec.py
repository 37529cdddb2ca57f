#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time the PointCloud2 codec on a full HDL-64 scan; writes ``benchmarks/results/codec.json``.

Inside the timer: ``decode`` with intensity (checks, copies, finite mask), or ``encode_fields`` plus
``fill_message`` into a rosbags message. Random coordinates, one thread, memory warm.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rosbags.typesys import Stores, get_typestore

from pointata_core.io.cloud import Cloud
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns
from pointata_core.io.messages.point_cloud2 import decode

POINTS = 124_668
REPEATS = 300
RESULT = Path(__file__).resolve().parents[1] / 'results' / 'codec.json'

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


def make_message(types: dict, fields: list, step: int, big_endian: bool, rows: int) -> object:
    """Build a message with random finite values."""
    generator = np.random.default_rng(0)
    order = '>' if big_endian else '<'
    names = [name for name, _ in fields]
    formats = [order + kind for _, kind in fields]
    offsets = np.cumsum([0, *(np.dtype(kind).itemsize for _, kind in fields)])[:-1].tolist()
    record = np.dtype({'names': names, 'formats': formats, 'offsets': offsets, 'itemsize': step})
    width, row_step = POINTS // rows, POINTS // rows * step + (64 if rows > 1 else 0)
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


def measure(work: Callable[[], object]) -> dict[str, float]:
    """Return percentiles over ``REPEATS`` runs after a warm-up."""
    for _ in range(20):
        work()
    times_ms = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times_ms.append(1e3 * (time.perf_counter() - start))
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99])
    return {'p50_ms': round(p50, 3), 'p95_ms': round(p95, 3), 'p99_ms': round(p99, 3)}


def main() -> None:
    """Measure, print and write."""
    load = os.getloadavg()[0]
    types = get_typestore(Stores.ROS2_JAZZY).types
    results: dict[str, dict] = {'decode': {}, 'encode': {}}
    for name, layout in LAYOUTS.items():
        message = make_message(types, *layout)
        assert isinstance(decode(message), Cloud), decode(message)
        results['decode'][name] = measure(lambda message=message: decode(message))
    cloud = decode(message)
    columns = [
        *xyz_columns(cloud.points),
        ('class_id', np.zeros(len(cloud), np.uint16)),
        ('probability', np.ones(len(cloud), np.float32)),
    ]
    reuse = encode_fields(columns)
    header, field_type = message.header, types['sensor_msgs/msg/PointField']
    for name, options in {'fresh memory': {}, 'reused memory': {'reuse': reuse}}.items():
        results['encode'][f'segmentation cloud, step 20, {name}'] = measure(
            lambda options=options: fill_message(
                message, encode_fields(columns, **options), header, field_type
            )
        )
    report = {
        'command': 'python -m benchmarks.speed.codec',
        'points': POINTS,
        'repeats': REPEATS,
        'machine': {
            'processor': _processor(),
            'python': platform.python_version(),
            'numpy': np.__version__,
            'load_average_1min': round(load, 1),  # above the number of cores, tails are not ours
        },
        **results,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=2) + '\n')
    for kind in ('decode', 'encode'):
        for name, figures in results[kind].items():
            print(f'{kind}  {name:48s} p50 {figures["p50_ms"]:.3f}  p99 {figures["p99_ms"]:.3f} ms')


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return f'{models[0]}, {len(models)} cores' if models else platform.processor()


if __name__ == '__main__':
    main()
