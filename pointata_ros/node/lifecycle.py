# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Logs what went wrong in a lifecycle transition.

rclpy turns an exception in a transition callback into ERROR and logs nothing.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos_overriding_options import InvalidQosOverridesError

from pointata_core.errors import PointataError


class Broken(Exception):
    """The node cannot go on as it is; the text gives the reason. Leads through error processing."""


Transition = Callable[[Any, LifecycleState], None]


def transition(callback: Transition) -> Callable[[Any, LifecycleState], TransitionCallbackReturn]:
    """Turn a method that returns nothing and may raise into a transition callback.

    A :class:`PointataError`, or an illegal override of the quality of service, is the user's to
    correct: it is logged as it is, and the node stays in the state it came from (FAILURE).
    :class:`Broken` is logged as it is too; anything else is ours, and its traceback is logged. Both
    lead through error processing back to unconfigured (ERROR).
    """

    @functools.wraps(callback)
    def wrapped(node: Any, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            callback(node, state)
        except (PointataError, InvalidQosOverridesError) as error:
            node.get_logger().error(f'{callback.__name__} failed: {error}')
            return TransitionCallbackReturn.FAILURE
        except Broken as error:
            node.get_logger().error(f'{callback.__name__}: {error}')
            return TransitionCallbackReturn.ERROR
        except Exception:
            node.get_logger().error(f'{callback.__name__} failed:\n{traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    return wrapped
