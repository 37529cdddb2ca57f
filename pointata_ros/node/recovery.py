# SPDX-License-Identifier: Apache-2.0
"""What to do when the network breaks on a cloud: go on, with less, or give the device up.

=====================  ===========================================================================
failure                answer
=====================  ===========================================================================
anything               the cloud is dropped and counted, the temporal state starts afresh
out of memory, first   besides, unused memory is released and the number of voxels is halved
out of memory, again   after ``PATIENCE`` clouds of each input in a row without an answer to any:
                       give the device up
device lost            give the device up at once: a CUDA context does not recover
=====================  ===========================================================================

Giving up leads to the CPU if the parameter ``device_failure`` asks for it, else out of the active
state; never into a loop of crashes. This module does not import ROS.
"""

from __future__ import annotations

import contextlib
import gc
import traceback
from dataclasses import replace

import torch

from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.inference.camera_session import CameraSession
from pointata_core.inference.preparation import FramePreparer
from pointata_core.inference.session import StreamingSession
from pointata_ros.health.memory import give_back_freed
from pointata_ros.health.statistics import DropReason

PATIENCE = 3
_FEWEST_VOXELS = 8
# torch reports a shortage of host memory as a plain RuntimeError with one of these texts.
_HOST_SHORTAGE = ("can't allocate memory", 'not enough memory', 'out of memory')
_DEVICE_TROUBLE = ('CUDA error', 'CUDA driver error', 'cuDNN error', 'CUBLAS_STATUS')
_ACCELERATOR_ERROR = getattr(torch, 'AcceleratorError', ())


def drop_reason(error: BaseException) -> DropReason:
    """Which of the three kinds of failure this is."""
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return DropReason.OUT_OF_MEMORY
    if isinstance(error, RuntimeError):
        if any(sign in text for sign in _HOST_SHORTAGE):
            return DropReason.OUT_OF_MEMORY
        if isinstance(error, _ACCELERATOR_ERROR) or any(sign in text for sign in _DEVICE_TROUBLE):
            return DropReason.DEVICE_LOST
    return DropReason.ERROR


def release_memory(error: BaseException | None = None) -> None:
    """Give back what nothing uses any more, and what only the frames of ``error`` hold."""
    if error is not None:
        traceback.clear_frames(error.__traceback__)
    gc.collect()
    give_back_freed()
    if torch.cuda.is_available():
        # On a lost device this fails too, and there is nothing left to release.
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()


def full_voxels(session: StreamingSession | CameraSession) -> int:
    """Voxels per frame that the bundle asks for; 0 where their number is not limited."""
    if isinstance(session, CameraSession):
        return 0
    return PreparationConfig.from_dict(session.bundle.manifest.preparation).max_voxels


def voxel_limit(session: StreamingSession | CameraSession) -> int:
    """Voxels per frame that are allowed now; 0 where their number is not limited."""
    return 0 if isinstance(session, CameraSession) else session.preparer.config.max_voxels


def halve_voxels(session: StreamingSession | CameraSession) -> bool:
    """Halve the voxels per frame unless that was done before; every point still gets a label.

    Returns:
        True if they were halved now.
    """
    if isinstance(session, CameraSession):
        return False
    config = session.preparer.config
    if config.max_voxels < full_voxels(session):
        return False
    voxels = max(_FEWEST_VOXELS, config.max_voxels // 2)
    session.preparer = FramePreparer(replace(config, max_voxels=voxels))
    return True


class Recovery:
    """Counts failures in a row and decides. Owned by the worker.

    All inputs share one: the device is theirs in common, and while it answers any of them it works.

    Args:
        inputs: How many share it.
    """

    def __init__(self, inputs: int = 1) -> None:
        self._patience = PATIENCE * inputs
        self._in_a_row = 0

    def answered(self) -> None:
        """A cloud was answered: the device works."""
        self._in_a_row = 0

    def after(self, error: Exception, session: StreamingSession) -> tuple[str, str]:
        """Do what can be done at once.

        Args:
            error: What a cloud failed with.
            session: Whose frames may be made smaller.

        Returns:
            Why the device must be given up, and what else to tell the log; each may be empty.
        """
        reason = drop_reason(error)
        if reason is DropReason.ERROR:
            return '', ''
        summary = f'{type(error).__name__}: {error}'.splitlines()[0]
        if reason is DropReason.DEVICE_LOST:
            return (
                f'device {session.device} is lost ({summary}). The process must be started again '
                'before it can use this device',
                '',
            )
        release_memory(error)
        self._in_a_row += 1
        if self._in_a_row >= self._patience:
            return (
                f'device {session.device} is out of memory on {self._in_a_row} clouds in a row '
                f'({summary}). Choose a smaller bundle, or end other programs on the device',
                '',
            )
        if halve_voxels(session):
            return '', (
                f'out of memory on {session.device} ({summary}): from now on '
                f'{session.preparer.config.max_voxels} instead of {full_voxels(session)} voxels per '
                'cloud; a smaller preparation.max_voxels in the bundle avoids this'
            )
        return '', ''
