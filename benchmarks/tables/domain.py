# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tables of domain adaptation of camera and LiDAR networks."""

from __future__ import annotations

import statistics
from functools import partial

from benchmarks.experiments.domain_methods import ABLATIONS, MAIN, METHODS, SIMULATED, TESTS
from benchmarks.tables.markdown import mean_deviation, mean_percent, summaries, table
from benchmarks.tables.results import Results

HEADS = {'image': '2D', 'cloud': '3D', 'ensemble': 'xM'}
"""Heads of the network and how papers call them: camera, LiDAR, mean of both."""


def _seconds(runs: list[dict]) -> str:
    return f'{statistics.fmean(run["processor_s"] for run in runs):.0f} s'


def _xm(run: dict) -> float:
    return run['miou']['ensemble']


def pair(results: Results, task: str) -> str:
    """Methods on a pair of simulated domains: mIoU (%) on the target."""
    rows = []
    for name in (*MAIN, *(name for name in SIMULATED if name not in (*MAIN, *ABLATIONS))):
        runs = results.runs('domain_adaptation', task, name)
        if runs:
            scores = [mean_percent(run['miou'][head] for run in runs) for head in HEADS]
            rows.append((f'`{name}`', *scores, len(runs), _seconds(runs)))
    return table(('method', *HEADS.values(), 'seeds', 'processor time'), rows)


def ablations(results: Results) -> str:
    """FtD++ with one part left out, day to night; change of xM by seed."""
    rows = []
    for name in ('ftd++', *ABLATIONS):
        before = SIMULATED[name].after
        compared = 'ftd++_pl' if before else 'ftd++'
        runs = results.runs('domain_adaptation', 'night', name)
        whole = {r['seed']: r for r in results.runs('domain_adaptation', 'night', compared)}
        changes = [
            # Adding 0 makes 0.0 of -0.0.
            f'{round(100 * (_xm(run) - _xm(whole[run["seed"]])), 1) + 0:+.1f}'
            for run in sorted(runs, key=lambda run: run['seed'])
        ]
        scores = [mean_percent(run['miou'][head] for run in runs) for head in HEADS]
        rows.append((
            f'`{name}`', *scores,
            '' if name == 'ftd++' else ', '.join(changes),
        ))  # fmt: skip
    return table(('variant', *HEADS.values(), 'change of xM by seed'), rows)


def street(results: Results, setup: str) -> str:
    """Simulation to a recorded street: mIoU (%) of the LiDAR's head."""
    rows = []
    before = {run['seed']: run for run in results.runs('simulation_to_real', setup, 'source_only')}
    for name in METHODS[setup]:
        runs = results.runs('simulation_to_real', setup, name)
        if not runs:
            continue
        scores = [mean_percent(run['scores'][test]['miou'] for run in runs) for test in TESTS]
        gains = [
            100 * (run['scores']['street']['miou']
                   - before[run['seed']]['scores']['street']['miou'])
            for run in runs
        ]  # fmt: skip
        gain = '' if name == 'source_only' else mean_deviation(gains)
        rows.append((f'`{name}`', *scores, gain, len(runs), _seconds(runs)))
    return table(('method', *TESTS, 'gain', 'seeds', 'processor time'), rows)


def street_classes(results: Results, setup: str) -> str:
    """The same by class on the recorded street: IoU (%)."""
    rows, classes = [], None
    for name in METHODS[setup]:
        runs = results.runs('simulation_to_real', setup, name)
        if runs:
            found = [run['scores']['street']['iou'] for run in runs]
            classes = classes or list(found[0])
            scores = [mean_deviation([100 * (iou[c] or 0) for iou in found]) for c in classes]
            rows.append((f'`{name}`', *scores))
    return table(('method', *(classes or [])), rows)


def compared(results: Results, setup: str) -> str:
    """The methods that are compared."""
    return summaries(METHODS[setup])


TABLES = {
    'domain-adaptation-methods': partial(compared, setup='night'),
    'simulation-to-real-lidar-methods': partial(compared, setup='lidar'),
    'simulation-to-real-camera-methods': partial(compared, setup='camera'),
    'domain-adaptation-night': partial(pair, task='night'),
    'domain-adaptation-city': partial(pair, task='city'),
    'domain-adaptation-ablations': ablations,
    'simulation-to-real-lidar': partial(street, setup='lidar'),
    'simulation-to-real-camera': partial(street, setup='camera'),
    'simulation-to-real-lidar-classes': partial(street_classes, setup='lidar'),
    'simulation-to-real-camera-classes': partial(street_classes, setup='camera'),
}
"""By the name that documents use."""
