# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What happens to one cloud: decode, ego motion, session, publish. Owned by the worker thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from time import perf_counter
from typing import Any

from pointata_core.inference.background import LazyValue
from pointata_core.inference.frames import PendingResult, Skipped
from pointata_core.inference.placement import Placement
from pointata_core.inference.session_base import Session
from pointata_core.inference.time_rules import ResetReason
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_core.io.messages.stamps import stamp_of
from pointata_ros.camera.input import CameraInput, NoCamera
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.health.suitability import unlike_training
from pointata_ros.node.budget import IngestBudget
from pointata_ros.node.people import People
from pointata_ros.node.publish_task import PublishTask
from pointata_ros.node.publishers import Outputs
from pointata_ros.node.received_cloud import Convert, ReceivedCloud
from pointata_ros.node.recovery import Recovery, drop_reason
from pointata_ros.node.suspicions import Suspicions
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.transforms.ego_motion import (
    EgoMotion,
    Motion,
    NoEgoMotion,
    TransformMissing,
)
from pointata_ros.transforms.sensor_placement import SensorPlacement

# Stamps of a steady sensor jitter; without slack, max_rate at half the sensor's rate would often
# skip two clouds instead of one.
_RATE_SLACK = 0.9


class Pipeline:
    """Takes the clouds of one input through its session. Not thread-safe: the worker owns it.

    Args:
        name: Of the input; empty for the only one.
        session: The temporal state.
        ego_motion: Where the sensor's motion comes from.
        camera: Where images come from.
        outputs: Where results are published.
        statistics: Where everything is counted.
        settings: Called once per cloud: the parameters as they are now.
        warn: Called with a kind and a sentence about a cloud that could not be used; throttled
            by the callee.
        give_up: Called with the reason when the device cannot be used any more; may give this
            pipeline another session.
        recovery: What to do about failures; shared by the inputs of one device.
        inputs: How many inputs share the worker, and with it the time for superseded clouds.
        has_pending: Whether another cloud waits: then ``publisher`` publishes this one.
        publisher: A thread of the node that publishes in order.
        placement: How the points enter the network.
        suspicions: Look at the first clouds; ``None`` for no check.
        convert: Makes a PointCloud2 of a message; ``None`` where it is one.
        people: Who is followed; ``None`` for nobody.
    """

    def __init__(
        self,
        *,
        name: str,
        session: Session,
        ego_motion: EgoMotion | NoEgoMotion,
        camera: CameraInput | NoCamera,
        outputs: Outputs,
        statistics: Statistics,
        settings: Callable[[], NodeSettings],
        warn: Callable[[str, str], None],
        give_up: Callable[[str], None],
        recovery: Recovery,
        inputs: int,
        has_pending: Callable[[], bool],
        publisher: Executor,
        placement: SensorPlacement | None = None,
        suspicions: Suspicions | None = None,
        convert: Convert | None = None,
        people: People | None = None,
    ) -> None:
        self.name = name
        self.session = session
        self._ego_motion = ego_motion
        self._camera = camera
        self._outputs = outputs
        self._statistics = statistics
        self._settings = settings
        self._warn = warn
        self._give_up = give_up
        self._budget = IngestBudget()
        self._recovery = recovery
        self._inputs = inputs
        self._has_pending = has_pending
        self._publisher = publisher
        self._placement = placement or SensorPlacement()
        self._suspicions = suspicions
        self._convert = convert
        self._people = people
        if suspicions is not None:
            suspicions.begin(session.bundle.manifest)
        self._state_invalid = False
        self._is_compared = False
        # A task that another thread runs, its end, and how long the worker took for the cloud.
        self._publishing: tuple[PublishTask, LazyValue[None], float] | None = None
        self._last_published_ns: int | None = None
        self.frame_id = ''

    def receive(self, message: Any) -> ReceivedCloud:
        """Take a message in, and start on it where a second thread can; on any thread."""
        image = self._camera.expect(stamp_of(message))
        received = ReceivedCloud(message, image, self._convert)
        self._budget.arrived(received.arrived_s)
        session, settings = self.session, self._settings()
        # Most clouds above a limited rate are not published.
        if session.can_precompute and not settings.max_rate:
            received.start(session, _limits(settings), self._placement)
        return received

    def use(self, session: Session) -> None:
        """Go on with a session of another network, which may cost more or less than this one."""
        self.session = session
        self._is_compared = False
        self._budget.forget_costs()
        if self._suspicions is not None:
            self._suspicions.begin(session.bundle.manifest)

    def handle(self, received: ReceivedCloud, newer: int) -> None:
        """Label a cloud and publish it, or count why not.

        A cloud that newer ones supersede is labelled all the same if it has hardly waited and the
        node was only held up. Otherwise it enters the temporal state if there is time for that and
        the newest cloud still depends on it.

        Args:
            received: The cloud.
            newer: How many newer ones wait.
        """
        settings = self._settings()
        if not newer or self._is_patient(received, settings):
            self._process(received)
            return
        self._begin()
        if newer >= self.session.window_frames or not self._can_ingest(settings):
            received.cancel()
            self._statistics.dropped(DropReason.SUPERSEDED)
            return
        began = perf_counter()
        cloud = self._decode(received, settings)
        if cloud is not None:
            self._ingest_only(received, cloud, DropReason.SUPERSEDED, settings, began)

    def _is_patient(self, received: ReceivedCloud, settings: NodeSettings) -> bool:
        patience_s = settings.patience
        if patience_s < 0.0:
            patience_s = self._budget.period_s() or 0.0
        waited_s = perf_counter() - received.queued_s
        return waited_s <= patience_s and self._budget.keeps_up(self._inputs)

    def _process(self, received: ReceivedCloud) -> None:
        began = perf_counter()
        self._begin()
        settings = self._settings()
        cloud = self._decode(received, settings)
        if cloud is None:
            return
        if self._exceeds_rate(cloud.stamp_ns, settings):
            self._ingest_only(received, cloud, DropReason.RATE_LIMIT, settings, began)
            return
        task = self._advance(received, cloud, settings)
        if task is None:
            return
        if not task.is_cold:
            self._last_published_ns, self.frame_id = cloud.stamp_ns, cloud.frame_id
        if self._has_pending() and self.session.can_precompute:
            self._publish_later(task, perf_counter() - began)
        else:
            task.run()
            self._published(task, perf_counter() - began)

    def finish_pending(self) -> None:
        """Return once every result is published; raises what went wrong with it."""
        publishing, self._publishing = self._publishing, None
        if publishing is not None:
            task, end, worker_s = publishing
            end.result()
            self._published(task, worker_s)

    def _publish_later(self, task: PublishTask, worker_s: float) -> None:
        """The background thread computes the result, and the publisher publishes it."""
        end = LazyValue(task.run)
        self._publishing = task, end, worker_s

        def publish(_: object) -> None:
            # A publisher that has ended: the worker has run the task itself.
            with suppress(RuntimeError):
                self._publisher.submit(end.run)

        task.pending.start()
        task.pending.add_done_callback(publish)

    def _published(self, task: PublishTask, worker_s: float) -> None:
        self._recovery.succeeded()
        if task.timings_ms:
            self._budget.published(task.timings_ms, worker_s)
        # What is not finite in the state would stay there for good.
        self._state_invalid |= not task.is_finite

    def _advance(
        self, received: ReceivedCloud, cloud: Cloud, settings: NodeSettings
    ) -> PublishTask | None:
        """Take a cloud through the blocks; ``None`` if it was dropped."""
        decoded = perf_counter()
        motion = self._measure(cloud, settings)
        placement = None if motion is None else self._place(cloud, settings)
        if motion is None or placement is None:
            received.cancel()
            return None
        if self._suspicions is not None:
            self._suspicions.look(received.message, cloud, placement, _limits(settings))
        laps_ms = {'decode': received.decode_ms, 'transform': 1e3 * (perf_counter() - decoded)}
        pending = self._submit(received, cloud, motion, placement)
        try:
            self.finish_pending()
        except Exception as error:
            # It is that of the cloud before; this one followed from it.
            self._statistics.dropped(drop_reason(error))
            raise
        if isinstance(pending, Skipped):
            self._statistics.dropped(DropReason(pending.reason.value))
            return None
        if self._state_invalid:
            # The result of the cloud before has just shown it: again, from a fresh state.
            self.reset(ResetReason.REQUESTED)
            return self._advance(received, cloud, settings)
        self._ego_motion.accept(motion)
        follow = None
        if self._people is not None:
            resets = self.session.resets.total()
            header = received.message.header
            follow = self._people.task(header, cloud, motion.pose, placement, resets, settings)
        return PublishTask(
            received,
            cloud,
            pending,
            laps_ms,
            settings,
            self.session.frames_in_history < settings.min_history,
            self._outputs,
            self._statistics,
            follow,
        )

    def _submit(
        self, received: ReceivedCloud, cloud: Cloud, motion: Motion, placement: Placement
    ) -> PendingResult | Skipped:
        view = self._camera.view(received.image, cloud)
        pending = self.session.submit(received.frame(cloud, motion.transform, placement, view))
        if not isinstance(pending, Skipped):
            self._camera.count(pending)
        return pending

    def reset(self, reason: ResetReason) -> None:
        """Start afresh with the next cloud."""
        self.session.reset(reason)
        self._ego_motion.reset()
        self._last_published_ns = None
        self._state_invalid = False

    def fail(self, error: Exception) -> None:
        """Count a cloud on which something failed; the state may be half new: start afresh."""
        self._statistics.dropped(drop_reason(error))
        try:
            self.finish_pending()
        except Exception as earlier:
            # The result of the cloud before, which failed on the same.
            self._statistics.dropped(drop_reason(earlier))
        self._statistics.failed(f'{type(error).__name__}: {error}')
        hopeless, note = self._recovery.after(error, self.session)
        if note:
            self._warn('memory', note)
        if hopeless:
            self._give_up(hopeless)
        self._state_invalid = True

    def _begin(self) -> None:
        """Drop an invalid state now: a device in trouble may fail even in this."""
        if self._state_invalid:
            self.reset(ResetReason.REQUESTED)

    def _decode(self, received: ReceivedCloud, settings: NodeSettings) -> Cloud | None:
        """The cloud, unless it was rejected."""
        cloud = received.decode(self.session, _limits(settings))
        if isinstance(cloud, Rejected):
            self._statistics.rejected(str(cloud.reason))
            self._warn(f'rejected.{cloud.reason}', f'cloud rejected: {cloud}')
            return None
        self._compare_with_training(cloud)
        return cloud

    def _compare_with_training(self, cloud: Cloud) -> None:
        """Once for each skill."""
        if self._is_compared or not len(cloud):
            return
        self._is_compared = True
        manifest = self.session.bundle.manifest
        reason = unlike_training(manifest, cloud)
        if reason:
            text = f'the clouds are unlike those that {manifest.name} was trained on: {reason}'
            self._warn('unlike_training', f'{text}. Use a bundle for this sensor')

    def _measure(self, cloud: Cloud, settings: NodeSettings) -> Motion | None:
        """The sensor's motion, or ``None`` if the cloud must be skipped because it is unknown."""
        motion = self._ego_motion.measure(cloud.frame_id, cloud.stamp_ns)
        if not motion.missing:
            return motion
        self._warn(
            'transform',
            f'{motion.missing} (transform_timeout is {settings.transform_timeout:g} s: raise it if '
            f'transforms come later; transform_policy is {settings.transform_policy})',
        )
        is_used = settings.transform_policy == 'uncompensated'
        self._statistics.no_transform(used=is_used)
        if is_used:
            return motion
        self._statistics.dropped(DropReason.NO_TRANSFORM)
        return None

    def _place(self, cloud: Cloud, settings: NodeSettings) -> Placement | None:
        """How the points enter, or ``None`` if the cloud must be skipped for want of it."""
        try:
            return self._placement.of(cloud.frame_id, cloud.stamp_ns)
        except TransformMissing as error:
            self._warn('placement', f'{error} (target_frame is {settings.target_frame})')
        self._statistics.no_transform(used=False)
        self._statistics.dropped(DropReason.NO_TRANSFORM)
        return None

    def _ingest_only(
        self,
        received: ReceivedCloud,
        cloud: Cloud,
        reason: DropReason,
        settings: NodeSettings,
        began: float,
    ) -> None:
        """Let a cloud that will not be published enter the temporal state, if there is time."""
        motion = placement = None
        if not self._can_ingest(settings):
            self._statistics.dropped(reason)
        else:
            motion = self._measure(cloud, settings)
            placement = None if motion is None else self._place(cloud, settings)
        if motion is None or placement is None:
            received.cancel()
            return
        skipped = self.session.ingest(received.frame(cloud, motion.transform, placement))
        if skipped is not None:
            self._statistics.dropped(DropReason(skipped.reason.value))
            return
        self._ego_motion.accept(motion)
        self._budget.ingested(perf_counter() - began)
        self._statistics.dropped(reason, ingested=True)

    def _can_ingest(self, settings: NodeSettings) -> bool:
        return self._budget.allows(settings.ingest_share / self._inputs)

    def _exceeds_rate(self, stamp_ns: int, settings: NodeSettings) -> bool:
        if not settings.max_rate or settings.policy == 'block' or self._last_published_ns is None:
            return False
        step_ns = stamp_ns - self._last_published_ns
        return 0 < step_ns < _RATE_SLACK * 1e9 / settings.max_rate


def _limits(settings: NodeSettings) -> CloudLimits:
    return CloudLimits(max_points=settings.max_points)
