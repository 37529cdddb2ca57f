# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One input of the node: its topics, counters and temporal state.

A node may have several. They share the network and the worker, and nothing else: what happens to
the clouds of one does not affect counters, state and results of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

from rclpy.node import Node

from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.inference.placement import Placement
from pointata_core.inference.session_base import Session
from pointata_core.inference.time_rules import ResetReason
from pointata_ros.camera.input import CameraInput, NoCamera
from pointata_ros.camera.pairs import CameraPairs
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.health.throttle import BackOff
from pointata_ros.node.cloud_source import CloudSource
from pointata_ros.node.input import CloudInput
from pointata_ros.node.people import People
from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.publishers import Outputs
from pointata_ros.node.received_cloud import ReceivedCloud
from pointata_ros.node.recovery import Recovery
from pointata_ros.node.scheduler import Scheduler
from pointata_ros.node.suspicions import Suspicions
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import input_profile
from pointata_ros.transforms.ego_motion import EgoMotion, NoEgoMotion
from pointata_ros.transforms.listener import TransformListener
from pointata_ros.transforms.sensor_placement import SensorPlacement
from pointata_ros.transforms.static_mountings import StaticMountings


class Stream:
    """What the node keeps of one input while it is configured; more while it is active.

    Args:
        node: The node that subscribes and publishes.
        name: One of the parameter ``inputs``; empty for the only input of a node without names.
        session: Its temporal state.
        people: The state of the people in it; ``None`` where nobody is followed.
        settings: Called for the parameters as they are now.
        warn: Called with a kind and a sentence; throttled by the callee, kind by kind.

    Attributes:
        outputs: Its publishers.
        people: Who is followed in its clouds; ``None`` for nobody.
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
        session: Session,
        people: PeopleSession | None,
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
        self.people: People | None = None
        if people is not None:
            self.people = People(node, self._base, people, self.outputs)
        self.statistics = Statistics()
        self._hints = BackOff()
        self.pairs: CameraPairs | None = None
        if session.takes_images:
            self.pairs = CameraPairs(lambda: settings().image_tolerance)
        self.input: CloudInput | None = None
        self.camera: CameraInput | None = None
        self.pipeline: Pipeline | None = None

    def label(self, text: str) -> str:
        """``text`` with the name of this input before it, if inputs have names."""
        return f'{self.name}: {text}' if self.name else text

    def activate(
        self,
        *,
        scheduler: Scheduler[Pipeline, ReceivedCloud],
        publisher: Executor,
        transforms: TransformListener | None,
        placement: Placement,
        input_type: str,
        mountings: TransformListener | StaticMountings | None,
        recovery: Recovery,
        inputs: int,
        give_up: Callable[[str], None],
    ) -> Pipeline:
        """Subscribe; clouds wait from now on.

        Args:
            scheduler: Takes the clouds that wait; shared by all inputs.
            publisher: Publishes what the worker leaves to it; shared by all inputs.
            transforms: Where the sensor's motion and pose come from; ``None`` if neither is wanted.
            placement: How the points enter the network, but for what the transforms give.
            input_type: The messages in which the clouds come.
            mountings: Where the mounting of a camera comes from.
            recovery: Shared by all inputs.
            inputs: How many inputs the node has.
            give_up: Called with the reason when the device cannot be used any more.

        Returns:
            What the worker runs.
        """
        # A camera network has no history that the sensor's motion could be taken out of.
        settings = self._settings()
        needs_motion = not self.session.takes_images or self.people is not None
        has_motion = bool(settings.fixed_frame) and needs_motion
        placed = SensorPlacement(placement, settings.target_frame, transforms)
        if not has_motion and not settings.target_frame:
            transforms = None
        if self.pairs is not None:
            self.camera = CameraInput(
                self._node,
                self._base,
                self._settings,
                self.pairs,
                mountings,
                self._warn,
                lambda: self.input is not None and len(self.input.queue) > 0,
            )
        source = CloudSource(
            self._node, self._base, input_type, input_profile(settings.policy, settings.queue_size)
        )
        self.pipeline = Pipeline(
            name=self.name,
            session=self.session,
            ego_motion=EgoMotion(transforms.look_up)
            if transforms and has_motion
            else NoEgoMotion(),
            camera=self.camera or NoCamera(),
            outputs=self.outputs,
            statistics=self.statistics,
            settings=self._settings,
            warn=self._warn,
            give_up=give_up,
            recovery=recovery,
            inputs=inputs,
            has_pending=scheduler.has_pending,
            publisher=publisher,
            placement=placed,
            suspicions=Suspicions(self.statistics, self._log),
            convert=source.convert,
            people=self.people,
        )
        self.input = CloudInput(
            self._node,
            f'{self._base}/input/points',
            source,
            self._settings,
            self.pipeline.receive,
            self.statistics,
            self._warn,
            scheduler.changed,
            transforms,
        )
        scheduler.add(self.input.queue, self.pipeline)
        return self.pipeline

    def unsubscribe(self) -> None:
        """Receive nothing more; clouds that still wait are counted as dropped."""
        if self.input is not None:
            self.input.close()
        if self.camera is not None and self.pairs is not None:
            self.camera.close()
            self.pairs.clear()
            self.camera = None

    def deactivate(self) -> None:
        """Leave the active state, but keep :attr:`session`."""
        self.unsubscribe()
        if self.pipeline is not None and self._node.context.ok():
            self._remove_markers(self.pipeline.frame_id)
        if self.people is not None:
            self.people.reset()
        self.input = self.pipeline = None

    def close(self) -> None:
        """Destroy the publishers."""
        self.outputs.close()
        if self.people is not None:
            self.people.close()

    def use(self, session: Session, people: PeopleSession | None, reason: ResetReason) -> None:
        """Go on with new sessions of another bundle; the time rules and reset counts stay.

        Cannot fail half-way, so either all inputs change over or none. On the worker if there is
        one.
        """
        session.guard = self.session.guard
        session.reset(reason)
        self.session = session
        if self.people is not None and people is not None:
            self.people.use(people)
        if self.pipeline is not None:
            self.pipeline.use(session)

    def clock_jumped(self) -> None:
        """Drop what waits: it belongs to another time. The state is reset on the worker."""
        if self.input is None or self.pipeline is None:
            return
        self.input.discard(DropReason.CLOCK_JUMP)
        self.statistics.forget_rates()
        if self.pairs is not None:
            self.pairs.clear()
        self._remove_markers(self.pipeline.frame_id)

    def hint(self) -> None:
        """Log a warning if something is wrong with the input."""
        text = self.input.hint() if self.input is not None else ''
        if self._hints(text):
            self._warn('hint', text)

    def _remove_markers(self, frame_id: str) -> None:
        self.outputs.remove_markers(frame_id)
        if self.people is not None:
            self.people.remove_markers(frame_id)

    def _log(self, text: str) -> None:
        self._node.get_logger().info(self.label(text))

    def _warn(self, kind: str, text: str) -> None:
        # A kind for each input, or the frequent warning of one would silence the rare one of
        # another.
        self._throttled_warn(self.label(kind), self.label(text))
