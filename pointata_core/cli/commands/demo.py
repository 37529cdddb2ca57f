# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata demo``: a recording through the live node, and a report about it.

The demo needs ROS, which the core must not import. It therefore runs the entry point ``demo`` of
the group ``pointata.commands``, which ``pointata_ros`` registers.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from pointata_core.cli.arguments import Parser, add_model_options, new_parser
from pointata_core.errors import PointataError

NAME = 'demo'
SUMMARY = 'Run the node on a recorded or simulated bag over ROS 2; write a report.'
ENTRY_POINT_GROUP = 'pointata.commands'

_EXAMPLES = """\
examples:
  pointata demo                                     simulates a yard with three people first
  pointata demo --bag drive.mcap --topic /points
  pointata demo --bag drive.mcap --policy latest    skip clouds when late, as on a robot"""


class DemoError(PointataError):
    """The demo cannot run here."""


def parser() -> Parser:
    """Options of the command."""
    new = new_parser(
        'Start the perception node in a separate process, replay a bag to it over DDS at '
        'the recorded rate, collect what it publishes, and write report.html, images and '
        'results.json. Without a bag, a fixed one of 12 s at 10 Hz is simulated first.\n\n'
        'Interrupting the command ends every process that it started.',
        _EXAMPLES,
        json=False,
    )
    new.option('--bag PATH', 'rosbag2 folder or file; simulated if left out.')
    new.option('--topic NAME', 'Topic of the clouds; needed only if the bag has several.')
    new.option('--output DIR', 'Folder of the results.', 'demo_output')
    add_model_options(new)
    new.option(
        '--people DIR',
        'Person skill; the one of this package if left out. "follow" follows people without a '
        'skill, "none" follows nobody.',
    )
    new.option('--rate FACTOR', 'Speed of the replay; 1 = as recorded.', 1.0)
    new.option(
        '--policy POLICY',
        'block: every cloud is processed, however late. latest: clouds are skipped (and '
        'counted) when the node is late, as on a robot.',
        'block',
    )
    new.option(
        '--fixed-frame FRAME',
        'Remove ego motion against this frame; map for the simulated bag.',
        '',
    )
    new.option('--duration SECONDS', 'Length of the simulated bag.', 12.0)
    new.option('--sensor NAME', 'Sensor of the simulated bag.', 'vlp16')
    return new


def run(arguments: Any) -> int:
    """Hand over to the ROS side."""
    found = metadata.entry_points(group=ENTRY_POINT_GROUP, name=NAME)
    if not found:
        raise DemoError(
            f'the entry point {NAME} of the group {ENTRY_POINT_GROUP} is not installed',
            'Install the package (make env, pip install . or colcon build) instead of running it '
            'from its source tree',
        )
    try:
        command = next(iter(found)).load()
    except ImportError as error:
        raise DemoError(
            f'the demo runs the live node, which needs ROS 2: {error}',
            'Source a ROS 2 installation or run make env; pointata doctor lists what is missing. '
            'Without ROS, pointata evaluate runs the same network over a bag',
        ) from error
    return command(arguments)
