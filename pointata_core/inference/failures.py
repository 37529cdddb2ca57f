# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What kind of failure an exception of a network is: memory, device, or anything else."""

from __future__ import annotations

import contextlib
import gc
import traceback
from enum import Enum

import torch

from pointata_core.inference.memory import give_back_freed

# torch reports a shortage of host memory as a plain RuntimeError with one of these texts.
_HOST_SHORTAGE = ("can't allocate memory", 'not enough memory', 'out of memory')
_DEVICE_TROUBLE = ('CUDA error', 'CUDA driver error', 'cuDNN error', 'CUBLAS_STATUS')
_ACCELERATOR_ERROR = getattr(torch, 'AcceleratorError', ())


class Failure(str, Enum):
    """Kinds of failure that call for different measures."""

    ERROR = 'error'
    OUT_OF_MEMORY = 'out_of_memory'
    DEVICE_LOST = 'device_lost'

    __str__ = str.__str__


def kind_of_failure(error: BaseException) -> Failure:
    """Which kind of failure this is."""
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return Failure.OUT_OF_MEMORY
    if isinstance(error, RuntimeError):
        if any(sign in text for sign in _HOST_SHORTAGE):
            return Failure.OUT_OF_MEMORY
        if isinstance(error, _ACCELERATOR_ERROR) or any(sign in text for sign in _DEVICE_TROUBLE):
            return Failure.DEVICE_LOST
    return Failure.ERROR


def release_memory(error: BaseException | None = None) -> None:
    """Free what nothing uses any more, and what only the frames of ``error`` hold."""
    if error is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    give_back_freed()
    if torch.cuda.is_available():
        # On a lost device this fails too, and there is nothing left to release.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
