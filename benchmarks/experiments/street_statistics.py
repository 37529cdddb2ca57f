# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether simulated streets look like recorded ones: statistics of clouds, no network.

    python -m benchmarks street-statistics --data FOLDER [--streets 24] [--first-seed 800000]

``FOLDER`` holds ``sequences/SS/velodyne`` and ``labels`` of SemanticKITTI. Each statistic is taken
of every scan, then averaged over the scans of a drive. A row gives the mean of the drives, the
least and the largest drive, and the mean of the simulated scans; a simulated mean outside the
drives is marked. Shares are in per cent, lengths in metres, intensities in the scale of the data.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from benchmarks.tables.markdown import table
from pointata_core.errors import PointataError
from pointata_core.simulation import simulate
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED, labels_from_semantickitti

_RANGES = ((0, 10), (10, 20), (20, 40), (40, 80))
_ELEVATIONS = (-24, -20, -16, -12, -9, -7, -5, -4, -3, -2, -1, 0, 1, 2)
_OUTDOORS = SEGMENTATION_CLASSES[:11]
_GROUND = 3  # the first classes are ground
_CELL = 0.5

Cloud = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Points (N, 3), intensity (N,) and label (N,) as in the taxonomy, `UNLABELLED` for none."""


def recorded(folder: Path) -> Iterator[tuple[str, Cloud]]:
    """Drive and cloud of every scan of a folder in SemanticKITTI's form."""
    scans = sorted(folder.glob('sequences/*/velodyne/*.bin'))
    if not scans:
        raise PointataError(f'{folder}: no sequences/*/velodyne/*.bin', 'Give --data the folder')
    for scan in scans:
        values = np.fromfile(scan, '<f4').reshape(-1, 4)
        raw = np.fromfile(scan.parents[1] / 'labels' / f'{scan.stem}.label', '<u4')
        yield scan.parents[1].name, (values[:, :3], values[:, 3], labels_from_semantickitti(raw))


def simulated(scene: str, seeds: range) -> Iterator[tuple[str, Cloud]]:
    """Seed and cloud of the first scan of each simulated street."""
    for seed in seeds:
        frame = next(iter(simulate(scene, 'hdl64', seed, 0.1)))
        label = np.where(frame.label < len(SEGMENTATION_CLASSES), frame.label, UNLABELLED)
        yield str(seed), (frame.points, frame.intensity, label)


def statistics(cloud: Cloud) -> dict[str, float]:
    """The statistics of one cloud by name; what it does not show is left out."""
    points, intensity, label = cloud
    away = np.linalg.norm(points[:, :2], axis=1)
    height = _height_over_ground(points, label)
    result: dict[str, float] = {}
    for low, high in _RANGES:
        inside = (away >= low) & (away < high)
        known = inside & (label < len(_OUTDOORS))
        result[f'points, {low}–{high} m'] = 100 * inside.mean()
        for index, name in enumerate(_OUTDOORS):
            share = float((known & (label == index)).sum()) / max(1, int(known.sum()))
            result[f'share of {name}, {low}–{high} m'] = 100 * share
        result[f'upright cells, {low}–{high} m'] = 100 * _upright(points[inside])
    near = away < 40
    for index, name in enumerate(_OUTDOORS):
        mine = near & (label == index)
        if np.count_nonzero(mine) < 50:
            continue
        result[f'intensity of {name}, median'] = float(np.median(intensity[mine]))
        result[f'intensity of {name}, 90 %'] = float(np.quantile(intensity[mine], 0.9))
        if index >= _GROUND:
            for quantile in (0.1, 0.5, 0.9):
                value = float(np.quantile(height[mine], quantile))
                result[f'height of {name}, {100 * quantile:.0f} %'] = value
        else:
            result[f'roughness of {name}'] = _roughness(points[mine])
    for depth in (0.3, 1.0):
        result[f'more than {depth} m below ground'] = 100 * float(np.mean(height[near] < -depth))
    ground = near & (label < _GROUND)
    result |= _relief(points[ground])
    elevation = np.degrees(np.arctan2(points[:, 2], away))
    for low, high in itertools.pairwise(_ELEVATIONS):
        count = np.count_nonzero((elevation >= low) & (elevation < high))
        result[f'returns, {low}° to {high}°'] = count / 1000
    return result


def _height_over_ground(points: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(N,) above the median ground of the nearest cell of 1 m that shows ground."""
    ground = points[label < _GROUND]
    cells, inverse = np.unique(np.floor(ground[:, :2]).astype(int), axis=0, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind='stable')
    parts = np.split(ground[order, 2], np.cumsum(np.bincount(inverse.ravel()))[:-1])
    level = np.array([np.median(part) for part in parts])
    _, nearest = cKDTree(cells + 0.5).query(points[:, :2])
    return points[:, 2] - level[nearest]


def _cells(points: np.ndarray, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, lowest and highest z of every occupied cell."""
    _, cell = np.unique(np.floor(points[:, :2] / size), axis=0, return_inverse=True)
    cell = cell.ravel()
    count = np.bincount(cell)
    low, high = np.full(len(count), np.inf), np.full(len(count), -np.inf)
    np.minimum.at(low, cell, points[:, 2])
    np.maximum.at(high, cell, points[:, 2])
    return count, low, high


def _upright(points: np.ndarray) -> float:
    """Share of occupied cells in which points stand more than half a metre above each other."""
    if not len(points):
        return 0.0
    _, low, high = _cells(points, _CELL)
    return float(np.mean(high - low > 0.5))


def _roughness(points: np.ndarray) -> float:
    """Median height between lowest and highest point of cells with many points."""
    count, low, high = _cells(points, _CELL)
    dense = count >= 8
    return float(np.median((high - low)[dense])) if dense.any() else 0.0


def _relief(ground: np.ndarray) -> dict[str, float]:
    """How the ground within 40 m departs from the plane through that within 10 m."""
    away = np.linalg.norm(ground[:, :2], axis=1)
    close = ground[away < 10]
    plane, *_ = np.linalg.lstsq(
        np.column_stack([close[:, :2], np.ones(len(close))]), close[:, 2], rcond=None
    )
    residual = ground[:, 2] - ground[:, :2] @ plane[:2] - plane[2]
    result = {'height of the sensor': -float(plane[2])}
    for low, high in _RANGES[:3]:
        part = residual[(away >= low) & (away < high)]
        if len(part):
            result[f'ground off the plane, {low}–{high} m'] = float(np.sqrt(np.mean(part**2)))
    return result


def compare(real: dict[str, list[dict]], drawn: list[dict]) -> list[tuple[str, ...]]:
    """Rows: name, mean, least and largest of the drives, mean of the simulated scans, mark."""
    rows = []
    for name in {key: None for scans in real.values() for one in scans for key in one}:
        by_drive = [[one[name] for one in scans if name in one] for scans in real.values()]
        drives = [float(np.mean(values)) for values in by_drive if values]
        ours = [one[name] for one in drawn if name in one]
        if not ours:
            continue
        mean, low, high = float(np.mean(ours)), min(drives), max(drives)
        mark = '' if low <= mean <= high else ('low' if mean < low else 'high')
        values = (np.mean(drives), low, high, mean, np.quantile(ours, 0.1), np.quantile(ours, 0.9))
        rows.append((name, *(f'{value:.2f}' for value in values), mark))
    return rows


def run(options: argparse.Namespace) -> None:
    """Compare, print and write."""
    real: dict[str, list[dict]] = {}
    for drive, cloud in recorded(options.data):
        if len(real.setdefault(drive, [])) < options.scans:
            real[drive].append(statistics(cloud))
    log(f'{sum(map(len, real.values()))} recorded scans')
    seeds = range(options.first_seed, options.first_seed + options.streets)
    drawn = [statistics(cloud) for _, cloud in simulated(options.scene, seeds)]
    rows = compare(real, drawn)
    header = ('statistic', 'drives', 'least', 'most', 'simulated', '10 %', '90 %', '')
    print(table(header, rows))
    log(f'{sum(bool(row[-1]) for row in rows)} of {len(rows)} outside the drives')
    settings = settings_of(options, 'scene', 'streets', 'scans', 'first_seed')
    write_results(options.output, settings, rows=[dict(zip(header, row)) for row in rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('street-statistics', __doc__, streets=1, scans=1)
    line.add_argument('--data', type=Path, required=True, metavar='FOLDER')
    line.add_argument('--scene', default='street')
    line.add_argument('--streets', type=int, default=24, help='simulated, one scan each')
    line.add_argument('--scans', type=int, default=2, help='recorded, of each drive')
    line.add_argument('--first-seed', type=int, default=800_000)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
