# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of the node about what it computes, and on what; the first ones of the table.

This module does not import ROS.
"""

from __future__ import annotations

from dataclasses import dataclass

from pointata_ros.parameters.rules import parameter


@dataclass(frozen=True)
class ModelSettings:
    """Skills and device. See :class:`.NodeSettings`."""

    bundle: str = parameter(
        '',
        'Model',
        'Folder of the skill bundle, or the name of one of this package (radhar); empty = its '
        'default one. A change takes effect through the service ~/load_skill.',
        live=True,
    )
    people: str = parameter(
        '',
        'Model',
        'Follow people: folder or name of a person skill, which gives what each of them does, or '
        'follow, to do without one. Empty = no. A change takes effect through ~/load_skill; '
        'between empty and the others, through cleanup and configure.',
        live=True,
    )
    device: str = parameter(
        'auto',
        'Model',
        'Where the network runs; auto takes the first CUDA device if there is one.',
        pattern=r'auto|cpu|cuda(:\d+)?',
    )
    device_failure: str = parameter(
        'stop',
        'Model',
        'What to do when the device is lost or stays out of memory: stop (log, then back to '
        'unconfigured) or continue on the cpu, which the diagnostics then show all the time.',
        choices=('stop', 'cpu'),
        live=True,
    )
    precision: str = parameter(
        'auto',
        'Model',
        'Type of the large matrix products: float32, or bfloat16, which is faster where the '
        'processor has instructions for it; nearly all labels stay the same. auto takes bfloat16 '
        'on such a processor.',
        choices=('auto', 'float32', 'bfloat16'),
    )
    max_voxels: int = parameter(
        0,
        'Model',
        'Voxels per cloud at most: fewer make a slow computer faster and distant or thin things '
        'coarser. 0 = as many as the bundle allows.',
        minimum=0,
        maximum=1_000_000,
    )
    num_threads: int = parameter(
        0,
        'Model',
        'CPU threads of one operation of the network; with 1, a second thread prepares the next '
        'cloud and finishes the last result beside the first. 0 = 1 on up to four processors, '
        'else as torch decides.',
        minimum=0,
        maximum=1024,
    )
