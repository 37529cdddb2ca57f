# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Throw hostile point clouds at the decoder for as long as wanted.

The messages are those of the tests (``hostile_clouds.py``), from other seeds: each is made
from its number alone, so a crash is a number and comes back with ``check(hostile_cloud(number))``.
``--processes`` spreads them over cores. Memory is that of one worker, after its first tenth.
``--add`` goes on behind the seeds of the results that are there, so a long run may have parts.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import psutil

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from benchmarks.robustness.hostile_clouds import check, hostile_cloud


def try_seeds(seeds: range) -> dict[str, Any]:
    """Outcomes of these seeds, crashes, the slowest answer and how memory went."""
    outcomes: Counter[str] = Counter()
    crashes: dict[int, str] = {}
    slowest, slowest_seed, settled = 0.0, -1, 0
    process = psutil.Process()
    for number, seed in enumerate(seeds):
        message = hostile_cloud(seed)
        begin = time.perf_counter()
        try:
            outcomes[check(message)] += 1
        except Exception as error:
            crashes[seed] = repr(error)
        seconds = time.perf_counter() - begin
        if seconds > slowest:
            slowest, slowest_seed = seconds, seed
        if number == len(seeds) // 10:
            settled = process.memory_info().rss
    return {
        'outcomes': outcomes,
        'crashes': crashes,
        'slowest': (slowest, slowest_seed),
        'growth': process.memory_info().rss - settled,
    }


def run(options: argparse.Namespace) -> int:
    """Try all seeds; 1 if anything broke a promise."""
    before = _results_before(options)
    if before:
        options.first = before['settings']['seeds'][1]
    share = -(-options.count // options.processes)
    last = options.first + options.count
    parts = [range(at, min(at + share, last)) for at in range(options.first, last, share)]
    begin = time.perf_counter()
    with ProcessPoolExecutor(options.processes) as pool:
        found = list(pool.map(try_seeds, parts))
    outcomes: Counter[str] = sum((one['outcomes'] for one in found), Counter())
    crashes = {seed: text for one in found for seed, text in one['crashes'].items()}
    slowest, seed = max(one['slowest'] for one in found)
    results = {
        'tried': outcomes.total() + len(crashes),
        'clouds': outcomes.pop('cloud', 0),
        'rejected': dict(sorted(outcomes.items())),
        'crashes': crashes,
        'slowest_ms': round(1e3 * slowest, 2),
        'slowest_seed': seed,
        'memory_growth_mib': round(max(one['growth'] for one in found) / 2**20, 2),
        'seconds': round(time.perf_counter() - begin, 1),
    }
    start = options.first
    if before:
        start = before['settings']['seeds'][0]
        results = _sum(before, results)
    print(json.dumps(results, indent=2))
    settings = settings_of(options, 'processes') | {'seeds': [start, last]}
    write_results(options.output, settings, **results)
    return 1 if crashes else 0


def _results_before(options: argparse.Namespace) -> dict[str, Any]:
    if not options.add or not options.output.is_file():
        return {}
    return json.loads(options.output.read_text())


def _sum(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The results of two parts together."""
    both = dict(now)
    for key in ('tried', 'clouds', 'seconds'):
        both[key] = round(before[key] + now[key], 1)
    both['rejected'] = dict(
        sorted((Counter(before['rejected']) + Counter(now['rejected'])).items())
    )
    both['crashes'] = {**before['crashes'], **now['crashes']}
    if before['slowest_ms'] > now['slowest_ms']:
        both |= {key: before[key] for key in ('slowest_ms', 'slowest_seed')}
    both['memory_growth_mib'] = max(before['memory_growth_mib'], now['memory_growth_mib'])
    return both


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('fuzz', __doc__, count=2000)
    line.add_argument('--count', type=int, default=1_000_000)
    line.add_argument('--first', type=int, default=1_000_000, help='first seed')
    line.add_argument('--processes', type=int, default=os.cpu_count())
    line.add_argument('--add', action='store_true', help='go on behind the results there are')
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
