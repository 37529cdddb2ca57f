# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes per minute and images per second of the pre-training data, on one core.

    python -m benchmarks shapes [--shapes 140] [--rendered 14]

Shapes are drawn from all families in turn. The timer of ``images`` holds rendering and nothing
else, the one of ``maps`` the point-to-pixel maps of 8,192 points; ``shard`` is the whole way from
seed to compressed file. CPU time of the process is what to compare on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.shapes import FAMILIES, generate, sample_surface
from pointata_core.shapes.rendering import (
    RayCaster,
    RenderSettings,
    cameras_around,
    point_pixels,
    procedural_sources,
    render,
    write_renderings,
)

SIZES = (96, 224)
Result = TypeVar('Result')


def timed(work: Callable[[], Result]) -> tuple[Result, tuple[float, float]]:
    """Result of one call, and its wall seconds and CPU seconds."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - start, time.process_time() - start_cpu)


def measure_shapes(count: int) -> dict[str, float | int]:
    """Draw and sample ``count`` shapes, families in turn."""
    import numpy as np

    generate('chair', 0)  # imports
    drawing, sampling, faces = [], [], []
    for source in procedural_sources(count, 5000):
        shape, spent = timed(source.load)
        drawing.append(spent)
        rng = np.random.default_rng(0)
        sampling.append(timed(partial(sample_surface, shape, 8192, rng))[1])
        faces.append(len(shape.faces))
    wall, cpu = (sum(column) for column in zip(*drawing, strict=True))
    return {
        'shapes': count,
        'families': len(FAMILIES),
        'faces_p50': statistics.median(faces),
        'shapes_per_minute': round(60 * count / wall),
        'shapes_per_cpu_minute': round(60 * count / cpu),
        'draw_cpu_ms_p50': round(1e3 * statistics.median(c for _, c in drawing), 2),
        'sample_8192_cpu_ms_p50': round(1e3 * statistics.median(c for _, c in sampling), 2),
    }


def measure_images(count: int, size: int) -> dict[str, float | int]:
    """Render 20 views of ``count`` shapes and find 8,192 points in them."""
    import numpy as np

    settings = RenderSettings(size=size)
    cameras = cameras_around(settings)
    families = tuple(FAMILIES)[:: max(1, len(FAMILIES) // count)]
    images, maps = [], []
    for source in procedural_sources(count, 6000, families):
        shape = source.load()
        caster = RayCaster(shape)
        points = sample_surface(shape, settings.points, np.random.default_rng(0)).points
        images.append(timed(partial(render, shape, cameras, settings, caster))[1])
        maps.append(timed(partial(point_pixels, points, cameras, caster, settings.tolerance))[1])
    with tempfile.TemporaryDirectory() as folder:
        sources = procedural_sources(count, 7000, families)
        _, whole = timed(lambda: write_renderings(folder, sources, settings, progress=False))
        stored = sum(path.stat().st_size for path in Path(folder).iterdir())
    wall, cpu = (sum(column) for column in zip(*images, strict=True))
    return {
        'size': size,
        'views': len(cameras),
        'shapes': count,
        'views_per_second': round(len(cameras) * count / wall, 1),
        'views_per_cpu_second': round(len(cameras) * count / cpu, 1),
        'map_cpu_ms_per_shape': round(1e3 * sum(c for _, c in maps) / count, 1),
        'shard_shapes_per_cpu_minute': round(60 * count / whole[1], 1),
        'shard_kilobytes_per_shape': round(stored / count / 1e3, 1),
    }


def run(arguments: argparse.Namespace) -> None:
    """Measure, print and write."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, really
    shapes = measure_shapes(arguments.shapes)
    images = [measure_images(arguments.rendered, size) for size in SIZES]
    print(json.dumps({'shapes': shapes, 'images': images}, indent=2))
    settings = settings_of(arguments, 'shapes', 'rendered') | {'cores_used': 1}
    write_results(
        arguments.output, settings, shapes=shapes, images=images, peak_memory_bytes=peak_rss_bytes()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('shapes', __doc__, shapes=4, rendered=1)
    line.add_argument('--shapes', type=int, default=140)
    line.add_argument('--rendered', type=int, default=14)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
