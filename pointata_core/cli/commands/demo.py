# SPDX-License-Identifier: Apache-2.0
"""``pointata demo``: a recording through the live node, and a report about it.

The demo needs ROS, and this package must not: so the work is done by whatever is registered under
the entry point ``demo`` of the group ``pointata.commands``, which ``pointata_ros`` does. This is
the only place where the core reaches up, and it does so by name, at the user's request.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from jsonargparse import ArgumentParser

from pointata_core.cli.arguments import new_parser
from pointata_core.errors import PointataError

NAME = 'demo'
SUMMARY = 'Run the node on a recording (or a simulated one) over ROS 2 and report.'
ENTRY_POINT_GROUP = 'pointata.commands'

_EXAMPLES = """\
examples:
  pointata demo                                     simulates a street first
  pointata demo --bag drive.mcap --topic /points
  pointata demo --bag drive.mcap --policy latest    skip clouds when late, as on a robot"""


class DemoError(PointataError):
    """The demo cannot run here."""


def parser() -> ArgumentParser:
    """Options of the command."""
    new = new_parser(
        'Start the perception node in a process of its own, replay a bag to it over DDS at '
        'recorded pace, collect what it publishes, and write report.html, images and '
        'results.json. Without a bag, one is simulated first (12 s, 10 Hz, always the same).\n\n'
        'Interrupting it ends every process it started.',
        _EXAMPLES,
    )
    new.add_argument(
        '--bag', type=str | None, metavar='PATH', help='rosbag2 folder or file; else simulated.'
    )
    new.add_argument(
        '--topic', type=str | None, metavar='NAME', help='Topic of the clouds, if several.'
    )
    new.add_argument(
        '--bundle', type=str | None, metavar='DIR', help='Skill bundle; else the default one.'
    )
    new.add_argument('--output', type=str, default='demo_output', metavar='DIR', help='Results.')
    new.add_argument('--device', type=str, default='auto', help='auto, cpu, cuda or cuda:N.')
    new.add_argument(
        '--precision', type=str, default='float32', metavar='TYPE',
        help='How the large matrix products are taken: float32 or bfloat16.',
    )  # fmt: skip
    new.add_argument(
        '--rate', type=float, default=1.0, metavar='FACTOR', help='Pace of the replay.'
    )
    new.add_argument(
        '--policy', type=str, default='block',
        help='block: every cloud is answered, however late. latest: clouds are skipped (and '
        'counted) when the node is late, as on a robot.',
    )  # fmt: skip
    new.add_argument(
        '--fixed-frame', type=str, default='', metavar='FRAME',
        help='Take ego motion out, by the recorded /tf against this frame; needs tf2_ros.',
    )  # fmt: skip
    new.add_argument(
        '--duration', type=float, default=12.0, metavar='SECONDS', help='Of the simulated bag.'
    )
    new.add_argument(
        '--sensor', type=str, default='vlp16', metavar='NAME', help='Of the simulated bag.'
    )
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
            'Source a ROS 2 installation or run make env; pointata doctor tells what is missing. '
            'Without ROS, pointata evaluate runs the same network over a bag',
        ) from error
    return command(arguments)
