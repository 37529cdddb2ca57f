# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A callback group that holds a subscription back while there is no room for its message.

Under the policy ``block`` no cloud may be lost, and the executor thread must not wait either. So
the executor does not take the message at all: it stays in the reader of the middleware, whose
history keeps everything.

The events of the subscription (a peer with other quality of service, say) wait with it: Fast DDS
wakes, again and again, a thread that waits for an event of a reader with messages, and an executor
in a busy loop takes the interpreter away from the worker.
"""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup


class FlowControlledGroup(MutuallyExclusiveCallbackGroup):
    """Lets its callbacks run only while ``has_room`` returns true.

    Who makes room must wake the executor, which otherwise does not look again.

    Args:
        has_room: Called on the executor thread; must be quick.
    """

    def __init__(self, has_room: Callable[[], bool]) -> None:
        super().__init__()
        self._has_room = has_room

    def can_execute(self, entity: object) -> bool:
        """Whether the executor may wait for ``entity`` now."""
        return self._has_room() and super().can_execute(entity)
