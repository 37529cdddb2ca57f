# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Throw cloud files of every dialect, whole and damaged, at the readers for as long as wanted.

A file follows from its number (``cloud_dialects.py``). A whole file has to give its points. A
damaged one may give others or be refused, but nothing else may happen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from benchmarks.robustness.cloud_dialects import CloudFile, cloud_file, damaged
from pointata_core.errors import CloudFileError
from pointata_core.io.files.cloud_files import read_cloud


def check_whole(file: CloudFile, folder: Path) -> None:
    """Raise unless the file gives its points and columns."""
    path = folder / file.name
    path.write_bytes(file.data)
    cloud = read_cloud(path)
    np.testing.assert_array_equal(cloud.points, file.points)
    missing = {name.casefold() for name in file.extras} - {name.casefold() for name in cloud.fields}
    assert not missing, f'columns {missing} are lost'


def check_damaged(file: CloudFile, seed: int, folder: Path) -> str:
    """``read`` or ``refused``; raises if anything else happens."""
    path = folder / f'damaged_{file.name}'
    path.write_bytes(damaged(file, seed))
    try:
        cloud = read_cloud(path)
    except CloudFileError as error:
        assert str(path) in error.message
        assert error.fix
        return 'refused'
    assert cloud.points.shape == (cloud.width * cloud.height, 3)
    assert all(values.shape == (len(cloud),) for values in cloud.features.values())
    return 'read'


def try_seeds(seeds: Iterable[int], seconds: float) -> dict[str, Any]:
    """Try files until the time is over: what became of them, and what broke a promise."""
    outcomes: Counter[str] = Counter()
    broken: dict[int, str] = {}
    slowest = 0.0
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter('error')  # nothing may be printed beside the outcome
        for seed in seeds:
            started = time.monotonic()
            if started - begin > seconds:
                break
            try:
                file = cloud_file(seed)
                check_whole(file, Path(name))
                outcomes['whole'] += 1
                outcomes[f'damaged, {check_damaged(file, seed, Path(name))}'] += 1
            except Exception as error:
                broken[seed] = repr(error)[:300]
            slowest = max(slowest, time.monotonic() - started)
    return {
        'outcomes': dict(sorted(outcomes.items())),
        'broken_promises': broken,
        'slowest_ms': round(1e3 * slowest, 1),
        'seconds': round(time.monotonic() - begin, 1),
    }


def run(options: argparse.Namespace) -> int:
    """Fuzz; 1 if anything broke a promise."""
    results = try_seeds(itertools.count(options.first), 60 * options.minutes)
    print(json.dumps(results, indent=2))
    write_results(options.output, settings_of(options, 'first', 'minutes'), **results)
    return 1 if results['broken_promises'] else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('fuzz-readers', __doc__, minutes=0.05)
    line.add_argument('--minutes', type=float, default=5.0)
    line.add_argument('--first', type=int, default=1_000_000, help='first seed')
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
