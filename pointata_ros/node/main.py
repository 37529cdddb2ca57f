# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the perception node and ends it cleanly: on Ctrl-C once or twice, and on SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from pointata_core.errors import PointataError
from pointata_ros.stop_flag import StopFlag

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A signal between the look at the flag and the wait of the executor may wake nothing.
_LONGEST_WAIT_S = 0.5


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until the process is to end.

    Args:
        args: Command line, ROS arguments included; ``None`` for that of the process.

    Returns:
        Exit code: 0 after an ordinary end, 2 where a parameter or its file is wrong.
    """
    # The imports below take seconds; a signal meanwhile is an ordinary end too. An exception would
    # not do: some module being imported may catch it.
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    from pointata_ros.dds import use_large_cloud_profile
    from pointata_ros.node.perception_node import PerceptionNode

    # rclpy's own handlers shut the context down, which ends spin. Then they call what was there
    # before: Python's default would raise KeyboardInterrupt wherever the program happens to be, in
    # the middle of the clean-up as well.
    must_end = StopFlag()
    for number in _SIGNALS:
        signal.signal(number, lambda *_: must_end.set())
    use_large_cloud_profile()
    try:
        rclpy.init(args=None if args is None else list(args))
    except RuntimeError as error:
        # A parameter file that is missing or broken, above all; the text names it.
        print(f'perception_node: {error}', file=sys.stderr)
        return 2
    node = None
    try:
        node = PerceptionNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while rclpy.ok() and not must_end.is_set():
            executor.spin_once(_LONGEST_WAIT_S)
    except ExternalShutdownException:
        pass
    except PointataError as error:
        print(f'perception_node: {error}', file=sys.stderr)
        return 2
    except Exception:
        if rclpy.ok():
            raise
        # The context went away in the middle of a transition: that is how a signal ends it.
    finally:
        if node is not None:
            node.release()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
