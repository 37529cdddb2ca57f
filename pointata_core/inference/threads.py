# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How a stream uses the processors: several threads per operation, or two halves of a frame.

The threads of one operation meet at its end, hundreds of times a frame. Where processors are few
and others need them, too (the middleware, a sensor's driver), most of that is waiting. There, one
thread per operation is best, and a second thread that does one half of the frame by itself
(``benchmarks/speed/node.py`` compares).
"""

from __future__ import annotations

import torch

from pointata_core.processors import usable_cores

FEW_CORES = 4


def choose_threads(count: int = 0) -> None:
    """Give every operation on the CPU its threads, for the whole process.

    Another number of threads may round sums in another order: programs that shall give the same
    results to the bit choose alike.

    Args:
        count: Threads of one operation; 0 = one on few processors, else as torch decides.
    """
    if count:
        torch.set_num_threads(count)
    elif usable_cores() <= FEW_CORES:
        torch.set_num_threads(1)


def can_overlap(device: torch.device) -> bool:
    """Whether a second thread beside the first one finds a processor that is free."""
    return device.type == 'cpu' and torch.get_num_threads() == 1 and usable_cores() > 1
