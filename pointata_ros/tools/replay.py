# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``ros2 run pointata_ros replay BAG``: a bag player that needs no rosbag2.

Reads with :mod:`pointata_core.io.bags.reader` and publishes with rclpy, with the DDS profile
that large clouds need.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from pointata_core.errors import PointataError
from pointata_ros.stop_flag import StopFlag

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_EXIT_NOBODY_LISTENS = 3


def _remapping(text: str) -> tuple[str, str]:
    recorded, separator, published = text.partition('=')
    if not (recorded and separator and published):
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form RECORDED=PUBLISHED')
    return recorded, published


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not greater than 0')
    return value


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog='replay',
        description='Play a recording (rosbag2 in sqlite3 or mcap, ROS 1 bag) at recorded pace.',
        epilog='ROS arguments go after --ros-args, as with any node.',
    )
    add = result.add_argument
    add('bag', help='rosbag2 folder, .mcap, .db3 or .bag file')
    add('--topics', nargs='+', default=(), metavar='TOPIC', help='play only these topics')
    add(
        '--remap',
        nargs='+',
        default=(),
        type=_remapping,
        metavar='RECORDED=PUBLISHED',
        help='publish a topic under another name',
    )
    add(
        '--clouds-to',
        default='',
        metavar='TOPIC',
        help='publish the only cloud topic of the recording under this name',
    )
    add('--rate', type=_positive, default=1.0, help='speed relative to the recording (1.0)')
    add('--loop', action='store_true', help='begin again at the end, until stopped')
    add('--clock', action='store_true', help='publish the time of the recording on /clock')
    add(
        '--start-delay',
        type=float,
        default=0.0,
        metavar='SECONDS',
        help='wait before the first message (0)',
    )
    add(
        '--wait-for-subscribers',
        type=int,
        default=0,
        metavar='N',
        help='do not start before each cloud topic has N subscribers',
    )
    add(
        '--timeout',
        type=float,
        default=60.0,
        metavar='SECONDS',
        help='longest wait for subscribers (60)',
    )
    add(
        '--qos',
        choices=('reliable', 'best_effort'),
        default='reliable',
        help='reliability of what is published (reliable)',
    )
    return result


def main(args: Sequence[str] | None = None) -> int:
    """Play a recording.

    Args:
        args: Command line without the program's name; ``None`` for that of the process.

    Returns:
        Exit code: 0 after the end or Ctrl-C, 2 for bad input, 3 if there was no subscriber in time.
    """
    # The imports below take seconds; a signal meanwhile is an ordinary end too. An exception would
    # not do: some module being imported may catch it.
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    import rclpy
    from rclpy.utilities import remove_ros_args

    from pointata_ros.dds import use_large_cloud_profile

    args = list(sys.argv[1:] if args is None else args)
    options = parser().parse_args(remove_ros_args(args))
    use_large_cloud_profile()
    # Signals only stop the player; it is this program that ends ROS, after the last message.
    must_end = StopFlag()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: must_end.set())
    rclpy.init(args=args, signal_handler_options=rclpy.SignalHandlerOptions.NO)
    try:
        return _play(options, must_end)
    except PointataError as error:
        print(f'replay: {error}', file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()


def _play(options: argparse.Namespace, must_end: StopFlag) -> int:
    from rclpy.node import Node

    from pointata_ros.tools.bag_player import BagPlayer, PlayOptions

    # This node is not spun, so it must not offer services that would never respond.
    node = Node('replay', start_parameter_services=False)
    log = node.get_logger()
    play_options = PlayOptions(
        topics=options.topics,
        remap=dict(options.remap),
        clouds_to=options.clouds_to,
        rate=options.rate,
        loop=options.loop,
        clock=options.clock,
        reliability=options.qos,
    )
    with contextlib.ExitStack() as stack:
        stack.callback(node.destroy_node)
        player = stack.enter_context(BagPlayer(options.bag, node, play_options, must_end))
        if options.wait_for_subscribers and not player.wait_for_subscribers(
            options.wait_for_subscribers, options.timeout
        ):
            if player.is_stopped:
                return 0
            log.error(
                f'fewer than {options.wait_for_subscribers} subscribers after '
                f'{options.timeout:g} s: nothing was played'
            )
            return _EXIT_NOBODY_LISTENS
        player.pause(options.start_delay)
        report = player.play()
        for problem in player.problems:
            log.warning(problem)
        counts = ', '.join(f'{topic} {count}' for topic, count in report.published.items())
        log.info(
            f'{"finished" if report.finished else "stopped"} after {report.duration_s:.1f} s: '
            f'{counts or "nothing"}; at most {1e3 * report.behind_s:.0f} ms behind'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
