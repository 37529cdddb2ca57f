# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much memory the process and its device hold, and how to hold less."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

import torch

_STATM = Path('/proc/self/statm')


def memory_in_use(device: torch.device) -> dict[str, int]:
    """Bytes by kind; a kind that is unknown is left out.

    Args:
        device: Where the network runs.

    Returns:
        ``process`` (resident), and on a GPU ``device_allocated`` and ``device_reserved``.
    """
    sizes = {}
    if _STATM.is_file():
        resident_pages = int(_STATM.read_text().split()[1])
        sizes['process'] = resident_pages * os.sysconf('SC_PAGE_SIZE')
    if device.type == 'cuda':
        # A lost device gives no figures.
        with contextlib.suppress(RuntimeError):
            sizes['device_allocated'] = torch.cuda.memory_allocated(device)
            sizes['device_reserved'] = torch.cuda.memory_reserved(device)
    return sizes


def give_back_freed() -> None:
    """Return to the system what was freed: the C library keeps it for the thread that had it.

    Bundles are loaded by threads of their own, and what each has freed waits for the next thread
    with its share of the memory, which may be never. Other threads go on meanwhile.
    """
    with contextlib.suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
