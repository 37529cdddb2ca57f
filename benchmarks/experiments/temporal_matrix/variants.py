# SPDX-License-Identifier: Apache-2.0
"""What is compared: how much of a clip a network sees, and what joins its frames."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        summary: What it sees.
        frames: Frames of a clip that it sees, the last ones; 0 for all.
        motion: Whether the motion of the sensor is an input, as with ``fixed_frame`` in the node.
        overrides: Settings that differ from those of the task.
    """

    summary: str
    frames: int = 0
    motion: bool = False
    overrides: tuple[str, ...] = ()


VARIANTS: dict[str, Variant] = {
    'single': Variant('T=1: the last frame alone', frames=1),
    'apart': Variant(
        'T=8, every frame by itself: as many labels as below, no time',
        overrides=('network.adapter_kernel=1',),
    ),
    'stream': Variant('T=8, sensor motion unknown: the node as it starts'),
    'motion': Variant('T=8, tubes follow the poses: the node with `fixed_frame`', motion=True),
    'displacements': Variant(
        'T=8, tubes follow the poses; displacements from 1, 2 and 4 frames before',
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
