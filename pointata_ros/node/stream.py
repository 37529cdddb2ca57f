# SPDX-License-Identifier: Apache-2.0
"""One input of the node: its topics, counters and temporal state.

A node may have several. They share the network and the worker, and nothing else: what happens to
the clouds of one leaves counters, state and answers of the others alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node

from pointata_core.inference.camera_session import CameraSession
from pointata_core.inference.session import StreamingSession
from pointata_core.inference.time_rules import ResetReason
from pointata_ros.camera.input import CameraInput
from pointata_ros.camera.mounting import StaticMountings
from pointata_ros.camera.pairs import CameraPairs
from pointata_ros.camera.pipeline import CameraPipeline
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.input import CloudInput
from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.publishers import Outputs
from pointata_ros.node.recovery import Recovery
from pointata_ros.node.transforms import EgoMotion, NoEgoMotion, TransformListener
from pointata_ros.node.worker import Lane
from pointata_ros.parameters.table import NodeSettings


class Stream:
    """What the node keeps of one input while it is configured; more while it is active.

    Args:
        node: The node that listens and publishes.
        name: One of the parameter ``inputs``; empty for the only input of a node without names.
        session: Its temporal state.
        settings: Called for the parameters as they are now.
        warn: Called with a kind and a sentence; throttled by the callee, kind by kind.

    Attributes:
        outputs: Its publishers.
        statistics: Its counters, since the node was configured.
        pairs: Its images and clouds, since the node was configured; ``None`` without a camera.
        input: Its subscription; ``None`` while the node is inactive.
        camera: Those of its camera; ``None`` while the node is inactive, and without a camera.
        pipeline: What is done with its clouds; ``None`` while the node is inactive.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        session: StreamingSession | CameraSession,
        settings: Callable[[], NodeSettings],
        warn: Callable[[str, str], None],
    ) -> None:
        self._node = node
        self.name = name
        self.session = session
        self._settings = settings
        self._throttled_warn = warn
        self._base = f'~/{name}' if name else '~'
        self.outputs = Outputs(node, self._base)
        self.statistics = Statistics()
        self.pairs: CameraPairs | None = None
        if isinstance(session, CameraSession):
            self.pairs = CameraPairs(lambda: settings().image_tolerance)
        self.input: CloudInput | None = None
        self.camera: CameraInput | None = None
        self.pipeline: Pipeline | None = None

    def says(self, text: str) -> str:
        """A sentence of this input for the log of the node."""
        return f'{self.name}: {text}' if self.name else text

    def listen(
        self,
        ego_motion: EgoMotion | NoEgoMotion,
        recovery: Recovery,
        give_up: Callable[[str], None],
        inputs: int,
        changed: threading.Condition,
        mountings: TransformListener | StaticMountings | None = None,
    ) -> Lane:
        """Subscribe; clouds wait from now on.

        Args:
            ego_motion: Where the sensor's motion comes from; this input's own.
            recovery: Shared by all inputs.
            give_up: Called with the reason when the device cannot be used any more.
            inputs: How many inputs the node has.
            changed: Notified of every cloud that waits; shared by all inputs.
            mountings: Where the mounting of a camera comes from.

        Returns:
            What the worker needs to know of this input.
        """
        settings = self._settings()
        parts = (
            self.session,
            ego_motion,
            self.outputs,
            self.statistics,
            self._settings,
            self._warn,
            give_up,
            recovery,
            inputs,
        )
        if self.pairs is None:
            self.pipeline = Pipeline(*parts)
        else:
            self.camera = CameraInput(
                self._node,
                self._base,
                self._settings,
                self.pairs,
                mountings,
                self._warn,
                lambda: self.input is not None and len(self.input.mailbox) > 0,
            )
            self.pipeline = CameraPipeline(self.camera, *parts)
        self.input = CloudInput(
            self._node,
            f'{self._base}/input/points',
            settings,
            self.pipeline.receive,
            self.statistics,
            self._warn,
            changed,
        )
        return Lane(self.name, self.input.mailbox, self.pipeline)

    def stop_listening(self) -> None:
        """Unsubscribe; clouds that still wait are counted as dropped."""
        if self.input is not None:
            self.input.close()
        if self.camera is not None:
            self.camera.close()
            self.pairs.clear()
            self.camera = None

    def forget(self) -> None:
        """Leave the active state behind, but for :attr:`session`."""
        self.stop_listening()
        if self.pipeline is not None and self._node.context.ok():
            self.outputs.remove_markers(self.pipeline.frame_id)
        self.input = self.pipeline = None

    def use(self, session: StreamingSession, reason: ResetReason) -> None:
        """Go on with a fresh session of another skill; what is known of time and resets stays.

        Cannot fail half-way, so either all inputs change over or none. On the worker if there is
        one.
        """
        session.guard = self.session.guard
        session.reset(reason)
        self.session = session
        if self.pipeline is not None:
            self.pipeline.session = session

    def clock_jumped(self) -> None:
        """Drop what waits: it belongs to another time. The state is reset on the worker."""
        self.input.discard(DropReason.CLOCK_JUMP)
        self.statistics.forget_rates()
        if self.pairs is not None:
            self.pairs.clear()
        self.outputs.remove_markers(self.pipeline.frame_id)

    def hint(self) -> None:
        """Warn if something is wrong with the input."""
        text = self.input.hint()
        if text:
            self._warn('hint', text)

    def _warn(self, kind: str, text: str) -> None:
        # A kind for each input, or the frequent warning of one would silence the rare one of
        # another.
        self._throttled_warn(self.says(kind), self.says(text))
