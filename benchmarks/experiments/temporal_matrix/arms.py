# SPDX-License-Identifier: Apache-2.0
"""What is compared: how much of a clip a network sees, and what joins its frames."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """One row of the table.

    Attributes:
        summary: What it sees.
        frames: Frames of a clip that it sees, the last ones; 0 for all.
        motion: Whether it is told how the sensor moved, as the node is with ``fixed_frame``.
        overrides: Settings that differ from those of the task.
    """

    summary: str
    frames: int = 0
    motion: bool = False
    overrides: tuple[str, ...] = ()


ARMS = {
    'single': Arm('T=1: the last frame alone', frames=1),
    'apart': Arm(
        'T=8, every frame by itself: as many labels as below, no time',
        overrides=('network.adapter_kernel=1',),
    ),
    'stream': Arm('T=8, sensor motion unknown: the node as it starts'),
    'motion': Arm('T=8, tubes follow the poses: the node with `fixed_frame`', motion=True),
    'ways': Arm(
        'T=8, tubes follow the poses, displacements of every patch from 1, 2 and 4 frames before',
        motion=True,
        overrides=('network.motion_lags=[1,2,4]', 'network.motion_reach=0.15'),
    ),
}
"""By name, in the order of the table."""

STARTS = {
    'skill': 'simulated skill, not trained further',
    'tuned': 'simulated skill, trained on frames 0 to 13',
    'backbone': 'backbone alone, trained on frames 0 to 13',
}
"""What runs on the recorded street begin with."""
