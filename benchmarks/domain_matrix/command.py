# SPDX-License-Identifier: Apache-2.0
"""What the commands of the comparisons have in common."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from domain_matrix.runs import Finished, Run
from pointata_core.errors import PointataError
from pointata_core.evaluation.environment import machine, versions


def say(text: str) -> None:
    """One line with the time of day."""
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)


def carry_on(
    missing: Iterable[Run],
    finished: Finished,
    summary: Callable[[Run], str],
    carry_out: Callable[[Run], dict[str, Any]],
    miou: Callable[[dict[str, Any]], Mapping[str, float]],
    write: Callable[[dict[str, Any]], object],
) -> None:
    """Carry out runs one by one; each is on disk with its table before the next one begins.

    Args:
        missing: The runs.
        finished: Where they go.
        summary: What a run is, for people.
        carry_out: Trains and scores one.
        miou: Of what it measured, by head or place.
        write: Writes the table of all that is finished.
    """
    missing = list(missing)
    for number, run in enumerate(missing, 1):
        say(f'{number}/{len(missing)} {run}: {summary(run)}')
        measured = carry_out(run)
        finished.add(run, measured, machine(), versions())
        write(finished.content)
        shown = ', '.join(f'{name} {100 * value:.1f}' for name, value in miou(measured).items())
        say(f'{run}: mIoU {shown}; {measured["processor_s"]:.0f} s of processor')


def obey(work: Callable[[], None], threads: int) -> int:
    """Do the work with so many threads an operation, without chatter; the process's exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.environ['OMP_NUM_THREADS'] = str(threads)
    import torch

    torch.set_num_threads(threads)
    for name in ('lightning.pytorch', 'lightning.fabric'):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings('ignore', module='lightning')
    try:
        work()
    except PointataError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0
