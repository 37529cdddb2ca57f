# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Inject faults around a live node and account for every cloud.

A sensor sends clouds at ``--rate`` to the real executable over DDS (policy ``latest``, reliable, so
that nothing may get lost on the way), and every ``--every`` seconds, by chance but repeatably, one
of the faults of ``soak_faults.py`` happens. The run fails unless

* every cloud is accounted for: ``sent == received == published + dropped + rejected``;
* every prediction received is right (``Stream.recognise``), and as many arrived as the node counts;
* each malformed cloud that was sent by itself was rejected for its own reason;
* the node recovers from every fault, refuses what must be refused, and accepts what must not;
* nothing grows (only judged where at least ten minutes follow the warm-up);
* the node never logs a traceback and ends with code 0.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.command_line import ROOT, CommandLine, run_main, settings_of
from benchmarks.robustness.live_node import NAME, conditions, prepare_bundles
from benchmarks.robustness.process_resources import Resources
from benchmarks.robustness.ros_graph import Process
from benchmarks.robustness.soak_faults import FAULTS
from benchmarks.robustness.soak_session import Soak
from pointata_core.safe_files import write_json

GROWTH_LIMITS = {'anonymous_mib': 2.0, 'shared_mib': 1.0, 'threads': 1.0, 'files': 2.0}
"""How far the last fifth of the time after the warm-up may lie above the first."""
JUDGED_FROM_S = 600.0


def soak(options: argparse.Namespace, bundles: dict[str, Path]) -> dict[str, Any]:
    """Carry out one run, and return what it measured."""
    parameters = {
        'bundle': str(bundles['first']),
        'device': options.device,
        'diagnostics_period': 0.1,
        # Nothing may get lost on the way, or the account could not be exact.
        f'qos_overrides.{NAME}/input/points.subscription.reliability': 'reliable',
        f'qos_overrides.{NAME}/input/points.subscription.depth': 200,
        f'qos_overrides.{NAME}/output/segmentation.publisher.depth': 50,
    }
    file = bundles['second'].parent / 'parameters.yaml'
    # JSON is YAML.
    file.write_text(json.dumps({'/**': {'ros__parameters': parameters}}))
    with Process('perception_node', '--ros-args', '--params-file', file) as node:
        node.wait_for('ready')
        resources = Resources(node.process.pid)
        session = Soak(node, bundles, options)
        try:
            session.run(resources, [one for one in FAULTS if one.__name__ in options.faults])
            totals, details = session.account(), session.details()
            cpu_s = sum(psutil.Process(node.process.pid).cpu_times()[:2])
        finally:
            session.close()
        exit_code = node.end(signal.SIGINT)
        tracebacks, lines = node.text.count('Traceback'), len(node.lines)
    return {
        'accounting': totals,
        'faults': dict(sorted(session.faults.items())),
        'malformed_sent': dict(sorted(session.malformed.items())),
        'recovery_ms': session.recovery.summary(),
        'longest_silence_s': round(session.recovery.longest_silence_s, 2),
        'resources': resources.summary(60.0 * options.warm_up_minutes),
        'cpu_ms_per_answer': round(1e3 * cpu_s / max(1, totals['published']), 1),
        'last_diagnostics': details,
        'levels': dict(sorted(session.levels.items())),
        'log_lines': lines,
        'tracebacks': tracebacks,
        'exit_code': exit_code,
        'broken_promises': session.broken_promises,
    }


def failures(run: dict[str, Any]) -> list[str]:
    """Broken promises of a run, in words."""
    found = list(run['broken_promises'])
    if not run['accounting']['balanced']:
        found.append('not every cloud is accounted for')
    if run['tracebacks'] or run['exit_code']:
        found.append(f'{run["tracebacks"]} tracebacks, exit code {run["exit_code"]}')
    resources = run['resources']
    if resources['seconds'] - resources['warm_up_s'] >= JUDGED_FROM_S:
        for name, limit in GROWTH_LIMITS.items():
            growth = resources[name]['last_fifth_over_first']
            if growth > limit:
                found.append(f'{name} grew by {growth}, more than {limit}')
    return found


def run(options: argparse.Namespace) -> int:
    """Run; 1 if a promise was broken."""
    if options.warm_up_minutes is None:
        options.warm_up_minutes = min(10.0, options.minutes / 3.0)
    names = ('minutes', 'warm_up_minutes', 'rate', 'points', 'every', 'faults', 'seed', 'device')
    results: dict[str, Any] = {
        'environment': conditions(),
        'settings': settings_of(options, *names, 'bundle'),
    }
    with tempfile.TemporaryDirectory() as folder:
        results |= soak(options, prepare_bundles(options.bundle.resolve(), Path(folder)))
    results['load_average_at_end'] = [round(one, 2) for one in os.getloadavg()]
    results['failures'] = failures(results)
    print(json.dumps(results, indent=2))
    write_json(options.output, results)
    return 1 if results['failures'] else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    names = [one.__name__ for one in FAULTS]
    line = CommandLine('soak', __doc__, device='auto', minutes=0.2, points=600)
    line.add_argument('--minutes', type=float, default=60.0)
    line.add_argument('--warm-up-minutes', type=float, help='default: a third, at most ten')
    line.add_argument('--rate', type=float, default=10.0, help='clouds per second')
    line.add_argument('--points', type=int, default=10_000, help='points per cloud')
    line.add_argument('--every', type=float, default=2.0, help='mean seconds between faults')
    line.add_argument('--faults', nargs='*', choices=names, default=names, help='default: all')
    line.add_argument('--seed', type=int, default=0)
    line.add_argument('--bundle', type=Path, default=ROOT / 'models/default')
    line.set_defaults(threads=0)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
