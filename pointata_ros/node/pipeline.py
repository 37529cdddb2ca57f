# SPDX-License-Identifier: Apache-2.0
"""What happens to one cloud: decode, ego motion, session, publish. Owned by the worker thread."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from sensor_msgs.msg import PointCloud2

from pointata_core.inference.background import HandedOver
from pointata_core.inference.session import FrameResult, Skipped, StreamingSession
from pointata_core.inference.time_rules import ResetReason
from pointata_core.io.cloud import Cloud, CloudLimits, Rejected
from pointata_ros.health.statistics import DropReason, Statistics
from pointata_ros.node.arrival import Arrival, Decoded
from pointata_ros.node.budget import IngestBudget
from pointata_ros.node.publish_task import Reply
from pointata_ros.node.publishers import Outputs
from pointata_ros.node.recovery import Recovery, drop_reason
from pointata_ros.node.transforms import EgoMotion, Motion, NoEgoMotion
from pointata_ros.parameters.table import NodeSettings

# Stamps of a steady sensor jitter; without slack, max_rate at half the sensor's rate would often
# pass over two clouds instead of one.
_RATE_SLACK = 0.9


class Pipeline:
    """Takes clouds through one session. Not thread-safe: the worker owns it.

    Args:
        session: The temporal state.
        ego_motion: Where the sensor's motion comes from.
        outputs: Where answers go.
        statistics: Where everything is counted.
        settings: Called once per cloud: the parameters as they are now.
        warn: Called with a kind and a sentence about a cloud that could not be used; throttled
            by the callee.
        give_up: Called with the reason when the device cannot be used any more; may give this
            pipeline another session.
        recovery: What to do about failures; shared by the inputs of one device.
        inputs: How many inputs share the worker, and with it the time for clouds without answer.
    """

    def __init__(
        self,
        session: StreamingSession,
        ego_motion: EgoMotion | NoEgoMotion,
        outputs: Outputs,
        statistics: Statistics,
        settings: Callable[[], NodeSettings],
        warn: Callable[[str, str], None],
        give_up: Callable[[str], None],
        recovery: Recovery,
        inputs: int = 1,
    ) -> None:
        self.session = session
        self._ego_motion = ego_motion
        self._outputs = outputs
        self._statistics = statistics
        self._settings = settings
        self._warn = warn
        self._give_up = give_up
        self._budget = IngestBudget()
        self._recovery = recovery
        self._inputs = inputs
        self._is_spoilt = False
        # An answer that a second thread finishes, and how long the worker was at it.
        self._late: tuple[HandedOver, Reply, float] | None = None
        self._last_answer_ns: int | None = None
        self.frame_id = ''

    def receive(self, message: PointCloud2) -> Arrival:
        """Take a message in, and begin on it where a second thread can; on any thread."""
        arrival = Arrival(message)
        session, settings = self.session, self._settings()
        # Most clouds above a limited rate go unanswered.
        if session.can_look_ahead and not settings.max_rate:
            arrival.look_ahead(session, _limits(settings))
        return arrival

    def answer(self, arrival: Arrival, somebody_waits: Callable[[], bool] = lambda: False) -> None:
        """Answer a cloud, or count why not.

        Args:
            arrival: The cloud.
            somebody_waits: Asked when the next cloud could be begun: if one waits, a second thread
                finishes the answer to this one.
        """
        began = perf_counter()
        self._begin(arrival)
        settings = self._settings()
        decoded = arrival.decoded(self.session, _limits(settings))
        cloud = self._accept(decoded)
        if cloud is None:
            return
        if self._exceeds_rate(cloud.stamp_ns, settings):
            self._leave_unanswered(decoded, cloud, DropReason.RATE_LIMIT, settings)
            return
        reply = self._advance(arrival, decoded, cloud, settings)
        if reply is None:
            return
        if not reply.is_cold:
            self._last_answer_ns, self.frame_id = cloud.stamp_ns, cloud.frame_id
        if somebody_waits() and self.session.can_look_ahead:
            handed_over = self.session.aside.hand_over(reply)
            self._late = (handed_over, reply, perf_counter() - began)
        else:
            reply()
            self._replied(reply, perf_counter() - began)

    def settle(self) -> None:
        """Return once no answer is under way any more; raises what went wrong with it."""
        late, self._late = self._late, None
        if late is not None:
            handed_over, reply, turn_s = late
            handed_over.settle()
            self._replied(reply, turn_s)

    def _replied(self, reply: Reply, turn_s: float) -> None:
        self._recovery.answered()
        if reply.timings_ms:
            self._budget.answered(reply.timings_ms, turn_s)
        # What is not a number in the state would stay there for good.
        self._is_spoilt |= not reply.is_sound

    def _advance(
        self, arrival: Arrival, decoded: Decoded, cloud: Cloud, settings: NodeSettings
    ) -> Reply | None:
        """Take a cloud through the blocks; ``None`` if it was dropped."""
        ready = perf_counter()
        motion = self._measure(cloud, settings)
        if motion is None:
            arrival.abandon()
            return None
        moved = perf_counter()
        unfinished = self._step(arrival, decoded, cloud, motion)
        try:
            self.settle()
        except Exception as error:
            # It is that of the cloud before; this one followed from it.
            self._statistics.dropped(drop_reason(error))
            raise
        if isinstance(unfinished, Skipped):
            self._statistics.dropped(DropReason(unfinished.reason.value))
            return None
        if self._is_spoilt:
            # The answer to the cloud before has just shown it: once more, from a fresh state.
            self.reset(ResetReason.REQUESTED)
            return self._advance(arrival, decoded, cloud, settings)
        self._ego_motion.accept(motion)
        return Reply(
            arrival,
            cloud,
            unfinished,
            {'decode': decoded.decode_ms, 'transform': 1e3 * (moved - ready)},
            settings,
            self.session.frames_in_history < settings.min_history,
            self._outputs,
            self._statistics,
        )

    def _step(
        self, arrival: Arrival, decoded: Decoded, cloud: Cloud, motion: Motion
    ) -> Callable[[], FrameResult] | Skipped:
        """Take a cloud through the session as far as the next one must wait for it."""
        return self.session.begin(
            cloud.points,
            cloud.stamp_ns,
            cloud.features,
            cloud.frame_id,
            motion.transform,
            decoded.groundwork,
        )

    def pass_over(
        self, arrival: Arrival, somebody_waits: Callable[[], bool] = lambda: False
    ) -> None:
        """A newer cloud is waiting; arguments as for :meth:`answer`.

        Answer this one all the same if it has hardly waited and the node was only held up; else
        let it enter the temporal state if that is affordable.
        """
        settings = self._settings()
        waited_s = perf_counter() - arrival.arrived_s
        if waited_s <= settings.patience and self._budget.keeps_up(self._inputs):
            self.answer(arrival, somebody_waits)
            return
        self._begin(arrival)
        if not self._can_ingest(settings):
            arrival.abandon()
            self._statistics.dropped(DropReason.SUPERSEDED)
            return
        decoded = arrival.decoded(self.session, _limits(settings))
        cloud = self._accept(decoded)
        if cloud is not None:
            self._leave_unanswered(decoded, cloud, DropReason.SUPERSEDED, settings)

    def reset(self, reason: ResetReason) -> None:
        """Begin afresh with the next cloud."""
        self.session.reset(reason)
        self._ego_motion.reset()
        self._last_answer_ns = None
        self._is_spoilt = False

    def fail(self, error: Exception) -> None:
        """Count a cloud on which something broke; the state may be half new, so begin afresh."""
        self._statistics.dropped(drop_reason(error))
        try:
            self.settle()
        except Exception as earlier:
            # The answer to the cloud before, which broke on the same.
            self._statistics.dropped(drop_reason(earlier))
        self._statistics.failed(f'{type(error).__name__}: {error}')
        hopeless, note = self._recovery.after(error, self.session)
        if note:
            self._warn('memory', note)
        if hopeless:
            self._give_up(hopeless)
        self._is_spoilt = True

    def _begin(self, arrival: Arrival) -> None:
        """Leave a spoilt state behind; now, since a device in trouble may fail even in this."""
        self._budget.arrived(arrival.arrived_s)
        if self._is_spoilt:
            self.reset(ResetReason.REQUESTED)

    def _accept(self, decoded: Decoded) -> Cloud | None:
        """The cloud, unless it was rejected."""
        cloud = decoded.cloud
        if isinstance(cloud, Rejected):
            self._statistics.rejected(str(cloud.reason))
            self._warn(f'rejected.{cloud.reason}', f'cloud rejected: {cloud}')
            return None
        return cloud

    def _measure(self, cloud: Cloud, settings: NodeSettings) -> Motion | None:
        """The sensor's motion, or ``None`` if the cloud must be skipped for want of it."""
        motion = self._ego_motion.measure(cloud.frame_id, cloud.stamp_ns)
        if not motion.missing:
            return motion
        self._warn(
            'transform', f'{motion.missing} (transform_policy is {settings.transform_policy})'
        )
        is_used = settings.transform_policy == 'uncompensated'
        self._statistics.no_transform(used=is_used)
        if is_used:
            return motion
        self._statistics.dropped(DropReason.NO_TRANSFORM)
        return None

    def _leave_unanswered(
        self, decoded: Decoded, cloud: Cloud, reason: DropReason, settings: NodeSettings
    ) -> None:
        motion = None
        if not self._can_ingest(settings):
            self._statistics.dropped(reason)
        else:
            motion = self._measure(cloud, settings)
        if motion is None:
            if decoded.groundwork is not None:
                decoded.groundwork.forgo()
            return
        skipped = self.session.ingest(
            cloud.points,
            cloud.stamp_ns,
            cloud.features,
            cloud.frame_id,
            motion.transform,
            decoded.groundwork,
        )
        if skipped is not None:
            self._statistics.dropped(DropReason(skipped.reason.value))
            return
        self._ego_motion.accept(motion)
        self._statistics.dropped(reason, ingested=True)

    def _can_ingest(self, settings: NodeSettings) -> bool:
        return self._budget.allows(settings.ingest_share / self._inputs)

    def _exceeds_rate(self, stamp_ns: int, settings: NodeSettings) -> bool:
        if not settings.max_rate or settings.policy == 'block' or self._last_answer_ns is None:
            return False
        step_ns = stamp_ns - self._last_answer_ns
        return 0 < step_ns < _RATE_SLACK * 1e9 / settings.max_rate


def _limits(settings: NodeSettings) -> CloudLimits:
    return CloudLimits(max_points=settings.max_points)
