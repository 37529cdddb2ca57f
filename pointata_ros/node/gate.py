# SPDX-License-Identifier: Apache-2.0
"""A callback group that holds a subscription back while there is no room for its message.

Under the policy ``block`` no cloud may be lost, and the executor thread must not wait either. So
the executor is told not to take the message at all: it stays in the reader of the middleware, whose
history keeps everything.

The events of the subscription (a peer with other quality of service, say) wait with it: Fast DDS
wakes whoever waits for an event of a reader that holds messages, again and again, and an executor
that turns in circles takes the interpreter away from the worker.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup


class GatedCallbackGroup(MutuallyExclusiveCallbackGroup):
    """Lets the group run only while ``is_open`` says so.

    Whoever opens the gate must wake the executor, which otherwise does not look again.

    Args:
        is_open: Called on the executor thread; must be quick.
    """

    def __init__(self, is_open: Callable[[], bool]) -> None:
        super().__init__()
        self._is_open = is_open

    def can_execute(self, entity: object) -> bool:
        """Whether the executor may wait for ``entity`` now."""
        return self._is_open() and super().can_execute(entity)
