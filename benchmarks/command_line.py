# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all benchmarks share: options, exit status, log and the file of results."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pointata_core.errors import PointataError
from pointata_core.evaluation.environment import environment
from pointata_core.safe_files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'


class CommandLine(argparse.ArgumentParser):
    """The options of a benchmark: its own, and those that all have.

    ``--output`` is the file of results, ``--quick`` takes the smallest sizes to see that the
    benchmark works, and writes below ``runs/quick`` unless told otherwise, since such figures mean
    nothing.

    Args:
        name: Of the benchmark; its results are called the same.
        doc: Docstring of the module; the first line describes the benchmark.
        device: Default of ``--device``; without one there is no such option.
        quick: Values of options under ``--quick``.
    """

    def __init__(self, name: str, doc: str | None, device: str = '', **quick: Any) -> None:
        super().__init__(
            prog=f'benchmarks {name}', description=(doc or '').strip().partition('\n')[0]
        )
        self._stem, self._quick = name.replace('-', '_'), quick
        if device:
            self.add_argument('--device', default=device, help='cpu, cuda or cuda:N')
        self.add_argument(
            '--threads',
            type=int,
            default=1,
            help='of an operation on the CPU; 0: as each process chooses',
        )
        self.add_argument('--output', type=Path, default=RESULTS / f'{self._stem}.json',
                          metavar='FILE')  # fmt: skip
        self.add_argument('--quick', action='store_true', help='smallest sizes: does it work?')

    def add_run_options(self, seeds: Sequence[int] = (0, 1, 2), overrides: bool = False) -> None:
        """Options of an experiment with many runs.

        Args:
            seeds: Default of ``--seeds``.
            overrides: Whether values of the settings can be overridden.
        """
        self.add_argument('--seeds', nargs='+', type=int, default=list(seeds))
        self.add_argument('--work', type=Path, default=Path('runs') / self._stem, metavar='DIR')
        self.add_argument('--list', action='store_true', help='name the missing runs and stop')
        if overrides:
            self.add_argument('--set', nargs='+', default=[], dest='settings', metavar='NAME=VALUE',
                              help='in place of values of the settings')  # fmt: skip

    def options(self, arguments: Sequence[str] | None = None) -> argparse.Namespace:
        """Parse; ``--quick`` changes the defaults, what is given beside it counts."""
        words = sys.argv[1:] if arguments is None else list(arguments)
        if '--quick' in words:
            folder = Path('runs/quick') / self._stem
            self.set_defaults(output=folder.with_suffix('.json'), work=folder, **self._quick)
        return self.parse_args(words)


def log(text: object) -> None:
    """Print one line with the time of day."""
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)


def run_main(work: Callable[[], int | None], threads: int = 1) -> int:
    """Do the work of a command.

    Args:
        work: Returns the exit status, or nothing.
        threads: Of an operation on the CPU, here and in processes started here; 0 leaves the
            choice to each, which is how a robot runs the node.

    Returns:
        The exit status: 2 after an error that the user can mend. SIGTERM ends the process as
        Ctrl-C does, so that what is open is closed.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if threads:
        os.environ['OMP_NUM_THREADS'] = str(threads)
        import torch

        torch.set_num_threads(threads)
    for name in ('lightning.pytorch', 'lightning.fabric'):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings('ignore', module='lightning')
    try:
        return work() or 0
    except PointataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def settings_of(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Options that decide the figures, as they are recorded; of paths the last name."""
    values = {name: getattr(options, name) for name in names}
    return {k: v.name if isinstance(v, Path) else v for k, v in values.items()}


def write_results(path: Path, settings: dict[str, Any], **measured: Any) -> None:
    """Write the results of a benchmark, with its settings, the machine and all versions."""
    write_json(path, {'environment': environment(), 'settings': settings, **measured})
    log(f'wrote {path}')
