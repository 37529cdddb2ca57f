# SPDX-License-Identifier: Apache-2.0
"""What the commands of the comparisons have in common."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable

from pointata_core.errors import PointataError


def say(text: str) -> None:
    """One line with the time of day."""
    print(f'{time.strftime("%H:%M:%S")} {text}', flush=True)


def obey(work: Callable[[], None], threads: int = 1) -> int:
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
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0
