# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the alignment losses cost: the source once, then every step forward and backward.

    python -m benchmarks transport [--device cpu] [--source 5000] [--target 128] [--classes 27]

The source has clusters for classes and the target is moved away from it. ``source`` is done once
per training; ``forward`` and ``backward`` are medians of repeated calls after one warm-up call; the
timer holds the call alone (on an accelerator up to the end of its work). ``CPU`` is the processor
time the process spent in it, which a busy machine stretches less than the wall clock. Memory is
what the peak of a call that is not timed lies above the level before it: of the process (Linux), or
allocated on the accelerator. Rows ``one class`` hold a batch of a single class, as the
class-by-class stage 1 makes them: an epoch is one such step per class.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from benchmarks.command_line import CommandLine, run_main, settings_of, write_results
from pointata_core.evaluation.environment import peak_rss_bytes
from pointata_core.transport import (
    AlignmentLoss,
    ConvergenceWarning,
    MeanLoss,
    MmdLoss,
    OtddConfig,
    OtddLoss,
)

Result = TypeVar('Result')
Make = Callable[[Tensor, Tensor], AlignmentLoss]

LOSSES: dict[str, Make] = {
    'l2': MeanLoss,
    'mmd': MmdLoss,
    'otdd, no labels': lambda x, y: OtddLoss(x, y, OtddConfig(label_distance='none')),
    'otdd, gaussian': lambda x, y: OtddLoss(x, y, OtddConfig(label_distance='gaussian')),
    'otdd, exact': lambda x, y: OtddLoss(x, y, OtddConfig(label_distance='exact')),
}


def clusters(count: int, means: Tensor, shift: float, seed: int) -> tuple[Tensor, Tensor]:
    """Features (count, D) around one mean per class, and their classes, all about equally many."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(means)
    noise = torch.randn(count, means.shape[1], generator=generator)
    return (means[labels] + noise + shift).to(means), labels


def timed(work: Callable[[], Result], device: torch.device) -> tuple[Result, dict[str, float]]:
    """Run once; return what it gave, and its wall-clock and processor time (ms)."""
    _wait(device)
    begin, begin_processor = time.perf_counter(), time.process_time()
    result = work()
    _wait(device)
    return result, {
        'ms': 1e3 * (time.perf_counter() - begin),
        'cpu_ms': 1e3 * (time.process_time() - begin_processor),
    }


def memory(work: Callable[[], Result], device: torch.device) -> tuple[Result, dict[str, float]]:
    """Run once; return what it gave, and its memory (MiB), if that can be said.

    Times are taken of other calls: the memory that this one has to ask the system for anew, a
    loop of training finds at hand.
    """
    before = _reset_peak(device)
    result = work()
    _wait(device)
    peak = _peak(device)
    if before is None or peak is None:
        return result, {}
    return result, {'memory_mib': (peak - before) / 2**20}


def measure(
    loss: AlignmentLoss, features: Tensor, labels: Tensor, repeats: int
) -> dict[str, dict[str, float]]:
    """Median times of one step, forward and backward, after one warm-up; memory of one more."""
    rows: dict[str, list[dict[str, float]]] = {'forward': [], 'backward': []}
    for number in range(repeats + 2):
        cost = timed if number <= repeats else memory
        moving = features.clone().requires_grad_()
        value, forward = cost(partial(loss, moving, labels), features.device)
        rows['forward'].append(forward)
        rows['backward'].append(cost(value.backward, features.device)[1])
    return {part: _summary(found) for part, found in rows.items()}


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    """Medians of times after the warm-up, and the memory of the last call."""
    summary = {n: statistics.median(row[n] for row in rows[1:-1]) for n in ('ms', 'cpu_ms')}
    return {name: round(value, 3) for name, value in (summary | rows[-1]).items()}


def _wait(device: torch.device) -> None:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> int | None:
    """Forget the peak so far; return the level from which the next one counts."""
    _wait(device)
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        # What earlier calls have freed but the allocator kept would hide what this one needs.
        ctypes.CDLL('libc.so.6').malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    except (OSError, AttributeError):
        return None  # a peak that cannot be reset belongs to no call
    return peak_rss_bytes()


def _peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else peak_rss_bytes()


def run(arguments: argparse.Namespace) -> None:
    """Measure, print a table and write the results."""
    device = torch.device(arguments.device)
    means = torch.randn(
        arguments.classes, arguments.width, generator=torch.Generator().manual_seed(0)
    ).to(device)
    source = clusters(arguments.source, means, 0.0, 1)
    target, labels = clusters(arguments.target, means, 0.3, 2)
    batches = {'all classes': labels, 'one class': torch.zeros_like(labels)}
    rows: dict[str, dict[str, Any]] = {}
    for name, make in LOSSES.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            _, once = timed(partial(make, *source), device)
            loss, peak = memory(partial(make, *source), device)
            once |= peak
            rows[name] = {'source': {key: round(value, 3) for key, value in once.items()}}
            for batch, classes in batches.items():
                rows[name][batch] = measure(loss, target, classes, arguments.repeats)
        unconverged = [w for w in caught if isinstance(w.message, ConvergenceWarning)]
        rows[name]['unconverged'] = len(unconverged)
        step = {part: spent['cpu_ms'] for part, spent in rows[name]['all classes'].items()}
        print(
            f'{name:<16} CPU time: source {once["cpu_ms"]:8.0f} ms, '
            f'forward {step["forward"]:8.1f} ms, backward {step["backward"]:6.2f} ms'
        )
    settings = settings_of(
        arguments, 'source', 'target', 'classes', 'width', 'repeats', 'threads', 'device'
    )
    settings['accelerator'] = torch.cuda.get_device_name(device) if device.type == 'cuda' else None
    write_results(arguments.output, settings, rows=rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'transport', __doc__, device='cpu', source=60, target=16, classes=3, width=8, repeats=1
    )
    line.add_argument('--source', type=int, default=5000, help='samples')
    line.add_argument('--target', type=int, default=128, help='samples of a batch')
    line.add_argument('--classes', type=int, default=27)
    line.add_argument('--width', type=int, default=384, help='columns of the features')
    line.add_argument('--repeats', type=int, default=5)
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
