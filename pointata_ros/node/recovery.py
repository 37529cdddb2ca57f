# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What to do when the network fails on a cloud: go on, with less, or give the device up.

=====================  ===========================================================================
failure                measure
=====================  ===========================================================================
anything               the cloud is dropped and counted, and the temporal state is reset
out of memory, first   besides, unused memory is released and the number of voxels is halved
out of memory, again   after ``PATIENCE`` clouds of each input in a row that all failed:
                       give the device up
device lost            give the device up at once: a CUDA context does not recover
=====================  ===========================================================================

Giving up leads to the CPU if the parameter ``device_failure`` is ``cpu``, else out of the active
state; never into a loop of crashes. This module does not import ROS.
"""

from __future__ import annotations

from pointata_core.inference.failures import Failure, kind_of_failure, release_memory
from pointata_core.inference.session_base import Session
from pointata_ros.health.statistics import DropReason

PATIENCE = 3


def drop_reason(error: BaseException) -> DropReason:
    """Under which reason a cloud that failed is counted."""
    return DropReason(kind_of_failure(error).value)


class Recovery:
    """Counts failures in a row and decides. Owned by the worker.

    All inputs share one: they share the device, and while any of their clouds succeeds it works.

    Args:
        inputs: How many share it.
    """

    def __init__(self, inputs: int = 1) -> None:
        self._patience = PATIENCE * inputs
        self._in_a_row = 0

    def succeeded(self) -> None:
        """A result was published: the device works."""
        self._in_a_row = 0

    def after(self, error: Exception, session: Session) -> tuple[str, str]:
        """Do what can be done at once.

        Args:
            error: What a cloud failed with.
            session: Whose frames may be made smaller.

        Returns:
            Why the device must be given up, and what else to log; each may be empty.
        """
        kind = kind_of_failure(error)
        if kind is Failure.ERROR:
            return '', ''
        summary = f'{type(error).__name__}: {error}'.splitlines()[0]
        if kind is Failure.DEVICE_LOST:
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
        if session.halve_voxel_limit():
            return '', (
                f'out of memory on {session.device} ({summary}): from now on '
                f'{session.voxel_limit} instead of {session.bundle_voxel_limit} voxels per '
                'cloud; a smaller preparation.max_voxels in the bundle avoids this'
            )
        return '', ''
