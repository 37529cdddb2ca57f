# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much sooner a fleet of recordings is evaluated on several workers of a Ray cluster.

    python -m benchmarks fleet [--recordings 8] [--workers 2] [--duration 3]

The same simulated recordings are evaluated by ``pointata evaluate --bags`` in one process and then
on a cluster of this machine; labels have to be equal. Both times hold the loading of the bundle,
that of the cluster also the start of its workers. Other work on the machine shows in its load.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from pointata_core.evaluation.environment import environment
from pointata_core.evaluation.fleet.run import evaluate_fleet
from pointata_core.simulation import simulate, write_bag


def measure(pattern: str, output: Path, ray: str | None) -> tuple[float, dict[str, str]]:
    """Seconds of an evaluation, and the digest of the labels of each recording."""
    begun = perf_counter()
    account = evaluate_fleet(pattern, output, device='cpu', ray=ray, part_frames=0)
    seconds = perf_counter() - begun
    log(f'{len(account["recordings"])} recordings in {seconds:.1f} s')
    return seconds, {row['recording']: row['labels_sha256'] for row in account['recordings']}


def run(options: argparse.Namespace) -> None:
    """Simulate, evaluate both ways, write."""
    import ray

    begun: dict[str, Any] = environment()
    os.environ |= {'RAY_USAGE_STATS_ENABLED': '0', 'RAY_worker_niceness': '0'}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.recordings):
            frames = simulate('yard', 'vlp16', seed, options.duration, 10.0)
            write_bag(Path(folder, 'fleet', f'{seed}'), frames, sensor='vlp16')
        pattern = f'{folder}/fleet/*'
        one_s, alone = measure(pattern, Path(folder, 'one'), None)
        ray.init(num_cpus=options.workers, include_dashboard=False, log_to_driver=False)
        many_s, shared = measure(pattern, Path(folder, 'many'), '')
        ray.shutdown()
    log(f'{one_s / many_s:.2f} times as fast on {options.workers} workers')
    write_results(
        options.output,
        settings_of(options, 'recordings', 'workers', 'duration'),
        load_average_before=begun['load_average'],
        one_process_s=round(one_s, 1),
        workers_s=round(many_s, 1),
        times_as_fast=round(one_s / many_s, 2),
        equal_labels=alone == shared,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('fleet', __doc__, recordings=2, duration=0.2)
    line.add_argument('--recordings', type=int, default=8)
    line.add_argument('--workers', type=int, default=2)
    line.add_argument('--duration', type=float, default=3.0, help='seconds of each recording')
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
