# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of what things cost: time, memory, parameters."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.tables.markdown import millions, milliseconds, table
from benchmarks.tables.results import Results

LIVE = {
    '124k points, 10 Hz': 'HDL-64E, 124k points',
    '124k points, 10 Hz, 6144 voxels': 'the same, `max_voxels: 6144`',
    '124k points, 10 Hz, earlier bundle': 'the same, the bundle before, float32',
    '27k points, 20 Hz': 'RS-16, 27k points',
    '27k points, 20 Hz, 6144 voxels': 'the same, `max_voxels: 6144`',
}
"""Rows of ``node.json`` that describe the node of today, and the bundle before in the same hour."""

LONG = {
    'ten minutes: 124k points, 10 Hz': 'HDL-64E, 124k points',
    'ten minutes: 27k points, 20 Hz, bfloat16': 'RS-16, 27k points, bfloat16',
    'ten minutes: 27k points, 20 Hz': 'RS-16, 27k points',
}
"""Rows of long runs, of earlier bundles."""

STAGES = {
    'queue': 'wait for the worker',
    'decode': 'decode the message',
    'transform': 'look up the motion of the sensor',
    'prepare': 'points to voxels',
    'geometry': 'tokens, patches, neighbours',
    'network': 'network',
    'propagate': 'predictions of voxels to points',
    'publish': 'encode and publish',
    'total': 'from arrival to publication',
}


def node_latency(results: Results) -> str:
    """The live node over DDS, from arrival to publication; processor time of a received cloud."""
    rows = []
    for name, what in LIVE.items():
        live = results('node')[name]['live']
        latency = live['latency_ms']['total']
        rows.append((
            what,
            f'{live["rate"]:g} Hz',
            f'{live["published"]:,} of {live["received"]:,}',
            *(milliseconds(latency[point]) for point in ('p50', 'p99', 'max')),
            milliseconds(live['node_cpu_ms_per_cloud']),
        ))  # fmt: skip
    header = ('clouds', 'rate', 'published', 'p50', 'p99', 'longest', 'CPU')
    return table(header, rows)


def node_stages(results: Results) -> str:
    """Stages of one 124k-point cloud in the live node."""
    latency = results('node')['124k points, 10 Hz']['live']['latency_ms']
    rows = [
        (what, *(milliseconds(latency[stage][point]) for point in ('p50', 'p99', 'max')))
        for stage, what in STAGES.items()
    ]
    return table(('stage', 'p50', 'p99', 'longest'), rows)


def node_steps(results: Results) -> str:
    """Offline time of a 124k-point cloud after each optimisation, one thread per operation."""
    steps = [(n, r) for n, r in results('node').items() if n.startswith('step ')]
    rows = [
        (name.partition(': ')[2], milliseconds(run['offline']['latency_ms']['total']['p50']))
        for name, run in steps
    ]
    return table(('after', 'p50'), rows)


def node_memory(results: Results) -> str:
    """Resident memory of the live node during ten minutes."""
    rows = []
    for name, what in LONG.items():
        memory = results('node')[name]['live']['resources']['anonymous_mib']
        rows.append(
            (what, f'{memory["highest"]:.0f} MiB', f'{memory["per_minute"]:.2f} MiB a minute')
        )
    return table(('clouds', 'allocated memory at most', 'growth after the first minute'), rows)


def streaming(results: Results) -> str:
    """One streaming step against recomputing the window, and how equal both are."""
    found = results('streaming')
    frames, timings = found['settings']['window'], found['timings']
    ratios, equality = found['times_cheaper_than'], found['equality_max_abs_logits']
    rows = [
        ('one streaming step', milliseconds(timings['step']['median_ms']), ''),
        (
            f'the window of {frames} frames, recomputed',
            milliseconds(timings['window']['median_ms']),
            f'{ratios["window"]["median_ms"]:.0f} times',
        ),
        (
            'the same with the geometry of earlier frames kept',
            milliseconds(timings['window_geometry_kept']['median_ms']),
            f'{ratios["window_geometry_kept"]["median_ms"]:.0f} times',
        ),
        (
            f'largest difference of any logit over {equality["frames"]} frames',
            f'{equality["step_against_whole_sequence"]:.1e}',
            '',
        ),
        ('state of the stream', f'{found["state_bytes"]:,} bytes', ''),
    ]
    return table(('what', 'median or value', 'of a step'), rows)


def second_sensor(results: Results) -> str:
    """Memory that a second sensor adds to a node, and what a second node would take."""
    found = results('second_sensor')
    names = {
        'one_node_one_input': 'one node, one input',
        'one_node_two_inputs': 'one node, two inputs',
        'two_nodes_one_input_each': 'two nodes, one input each',
    }
    kinds = ('rss_mib', 'pss_mib')
    rows = [
        (what, *(f'{found["medians"][name][kind]:.0f} MiB' for kind in kinds))
        for name, what in names.items()
    ]
    added = found['second_sensor_mib']
    rows += [
        (f'added by a second {what}', *(f'{added[kind][key]:.0f} MiB' for kind in kinds))
        for key, what in (('as_a_second_input', 'input'), ('as_a_second_node', 'node'))
    ]
    return table(('memory', 'resident', 'shared pages counted once'), rows)


def composition(results: Results) -> str:
    """Ways of a cloud into the node."""
    names = {
        'two_processes': 'topic, driver in another process',
        'one_process': 'topic, driver in the process and executor of the node',
        'hand_over': '`hand_over`, no topic',
    }
    ways = results('composition')['ways']
    rows = [
        (
            what,
            f'{ways[way]["received"]} of {ways[way]["sent"]}',
            *(
                milliseconds(ways[way][kind].get(key))
                for kind, key in (
                    ('transfer_ms', 'p50'),
                    ('transfer_ms', 'p95'),
                    ('driver_ms', 'p50'),
                )
            ),
        )
        for way, what in names.items()
    ]
    head = ('way', 'arrived', 'transfer, median', '95 %', 'time of the driver, median')
    return table(head, rows)


def operators(results: Results) -> str:
    """Operators on point clouds, one thread."""
    rows = [
        (name, *(milliseconds(row[key]) for key in ('median_ms', 'fastest_ms', 'slowest_ms')))
        for name, row in results('operators')['rows'].items()
    ]
    return table(('operator', 'median', 'fastest', 'slowest'), rows)


def codec(results: Results) -> str:
    """Decoding and encoding of PointCloud2 messages."""
    found = results('codec')
    rows = [
        (f'{way}: {name}', *(milliseconds(row[f'{point}_ms']) for point in ('p50', 'p95', 'p99')))
        for way in ('decode', 'encode')
        for name, row in found[way].items()
    ]
    return table((f'message of {found["settings"]["points"]:,} points', 'p50', 'p95', 'p99'), rows)


def transport_costs(results: Results) -> str:
    """Alignment losses: the source once, then a step forward and backward; peak memory."""
    names = {
        'l2': '`l2`',
        'mmd': '`mmd`',
        'otdd, no labels': '`otdd`, no label distance',
        'otdd, gaussian': '`otdd`, Gaussian',
        'otdd, exact': '`otdd`, exact',
    }
    rows = []
    for name, what in names.items():
        row = results('transport')['rows'][name]
        rows.append((
            what, _cost([row['source']]),
            *(_cost(row[batch].values()) for batch in ('all classes', 'one class')),
        ))  # fmt: skip
    header = ('loss', 'source, once', 'step, all classes in the batch', 'step, one class')
    return table(header, rows)


def _cost(parts: Iterable[dict]) -> str:
    parts = list(parts)
    memory = max(part.get('memory_mib', 0) for part in parts)
    return f'{milliseconds(sum(part["ms"] for part in parts))} ({memory:.0f} MiB)'


def simulator(results: Results) -> str:
    """The LiDAR simulator: time of a scan on one core."""
    rows = [
        (
            row['scene'],
            f'`{row["sensor"]}`',
            f'{row["points_per_frame"]:,}',
            milliseconds(row['frame_ms_p50']),
            f'{row["million_rays_per_second"]:.1f}',
        )
        for row in results('simulator')['rows']
    ]
    return table(('scene', 'sensor', 'points of a scan', 'p50', 'million rays a second'), rows)


def shapes(results: Results) -> str:
    """Procedural shapes and their images, on one core."""
    found = results('shapes')
    shapes = found['shapes']
    rows = [
        (
            f'shapes drawn, all {shapes["families"]} families in turn',
            f'{shapes["shapes_per_cpu_minute"]:,} a minute',
        )
    ]
    for image in found['images']:
        size, views = image['size'], image['views']
        pixels = f'{size} × {size}'
        rows += [
            (f'views of {pixels} rendered', f'{image["views_per_cpu_second"]:.0f} a second'),
            (
                f'point-to-pixel maps of {views} views of {pixels}',
                f'{milliseconds(image["map_cpu_ms_per_shape"])} a shape',
            ),
            (
                f'from seed to shard, {views} views of {pixels}',
                f'{image["shard_shapes_per_cpu_minute"]:.0f} shapes a minute',
            ),
        ]
    return table(('work', 'rate'), rows)


def sparse(results: Results) -> str:
    """The sparse 3D U-Net in plain torch."""
    rows = [
        (
            f'{row["voxels"]:,}',
            milliseconds(row['rulebooks']['median_ms']),
            milliseconds(row['inference']['median_ms']),
            f'{row["inference_memory_mib"]:.0f} MiB',
            milliseconds(row['training']['median_ms']),
            f'{row["training_memory_mib"]:.0f} MiB',
        )
        for row in results('sparse')['rows']
    ]
    header = ('voxels', 'rulebooks', 'inference', 'memory', 'training step', 'memory')
    return table(header, rows)


def camera_live(results: Results) -> str:
    """Camera and LiDAR networks on one cloud, with and without an image."""
    found = results('camera_live')
    width, height = found['settings']['image']
    names = {
        'full': f'full network, image of {width} × {height}',
        'full_resized': 'full network, image resized',
        'small': 'small network, image resized',
    }
    columns = {'lidar': 'LiDAR alone', 'camera': 'with image', 'second_thread': 'second thread'}
    rows = [
        (what, *(milliseconds(found['results'][name]['modes'][column]['total']['median'])
                 for column in columns))
        for name, what in names.items()
    ]  # fmt: skip
    return table((f'cloud of {found["settings"]["points"]:,} points', *columns.values()), rows)


def network_costs(results: Results) -> str:
    """Parameters and FLOPs of backbones and image encoders."""
    rows = [
        (
            size['network'],
            size['input'],
            millions(size['parameters']),
            f'{size["flops"] / 1e9:.2f}',
            f'{size["flops"] / 2e9:.2f}',
        )
        for size in results('pretraining_costs')['sizes']
    ]
    header = (
        'network', 'input', 'parameters', 'GFLOPs (2 per multiply-add)', 'G multiply-adds',
    )  # fmt: skip
    return table(header, rows)


def network_costs_published(results: Results) -> str:
    """The same as other authors state it."""
    rows = [
        (row['network'], f'{row["parameters_millions"]} M', row['gflops'], row['source'])
        for row in results('pretraining_costs')['published']
    ]
    return table(('published', 'parameters', '"GFLOPs"', 'source'), rows)


TABLES = {
    'node-latency': node_latency,
    'node-stages': node_stages,
    'node-steps': node_steps,
    'node-memory': node_memory,
    'streaming': streaming,
    'second-sensor': second_sensor,
    'composition': composition,
    'operators': operators,
    'codec': codec,
    'transport-costs': transport_costs,
    'simulator': simulator,
    'shapes': shapes,
    'sparse-convolution': sparse,
    'camera-live': camera_live,
    'network-costs': network_costs,
    'network-costs-published': network_costs_published,
}
"""By the name that documents use."""
