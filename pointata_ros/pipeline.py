# SPDX-License-Identifier: Apache-2.0
"""What happens to one cloud: decode, ego motion, session, publish. Owned by the worker thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np
from sensor_msgs.msg import PointCloud2

from pointata_core.data.cloud import Cloud, CloudLimits, Rejected
from pointata_core.streaming.preparation import UNLABELLED
from pointata_core.streaming.session import FrameResult, Skipped, StreamingSession
from pointata_core.streaming.time_rules import ResetReason
from pointata_ros.arrival import Arrival, Decoded
from pointata_ros.budget import IngestBudget
from pointata_ros.parameters import NodeSettings
from pointata_ros.publishers import Answer, Outputs
from pointata_ros.recovery import Recovery, drop_reason
from pointata_ros.statistics import DropReason, Statistics
from pointata_ros.transforms import EgoMotion, Motion, NoEgoMotion

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

    def answer(self, arrival: Arrival) -> None:
        """Answer a cloud, or count why not."""
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
        ready = perf_counter()
        motion = self._measure(cloud, settings)
        if motion is None:
            arrival.abandon()
            return
        moved = perf_counter()
        result = self._step(arrival, decoded, cloud, motion)
        if isinstance(result, Skipped):
            self._statistics.dropped(DropReason(result.reason.value))
            return
        self._ego_motion.accept(motion)
        self._recovery.answered()
        result, is_sound = self._inspect(result)
        if self.session.frames_in_history < settings.min_history:
            self._statistics.dropped(DropReason.COLD, ingested=True)
        else:
            self._publish(
                arrival, cloud, result, (began, decoded.decode_ms, ready, moved), settings
            )
        # What is not a number in the state would stay there for good.
        self._is_spoilt = not is_sound

    def _step(
        self, arrival: Arrival, decoded: Decoded, cloud: Cloud, motion: Motion
    ) -> FrameResult | Skipped:
        """Take a cloud through the session."""
        return self.session.step(
            cloud.points,
            cloud.stamp_ns,
            cloud.features,
            cloud.frame_id,
            motion.transform,
            decoded.groundwork,
        )

    def _publish(
        self,
        arrival: Arrival,
        cloud: Cloud,
        result: FrameResult,
        laps: tuple[float, float, float, float],
        settings: NodeSettings,
    ) -> None:
        """Send an answer and note how long everything took.

        ``laps`` says when the cloud had its turn, how many ms decoding took, when it was decoded,
        and when its motion was known.
        """
        began, decode_ms, ready, moved = laps
        stepped = perf_counter()
        labels = _above_threshold(result, settings.score_threshold)
        self._outputs.publish(Answer(arrival.message.header, cloud, result, labels), settings)
        published = perf_counter()
        self._last_answer_ns, self.frame_id = cloud.stamp_ns, cloud.frame_id
        stages = {stage: ms for stage, ms in result.timings_ms.items() if stage != 'total'}
        timings_ms = {
            'decode': decode_ms,
            'transform': 1e3 * (moved - ready),
            **stages,
            'publish': 1e3 * (published - stepped),
        }
        # Stages may have been done while others were at the cloud before: waiting is what is left.
        total_ms = 1e3 * (published - arrival.arrived_s)
        waited_ms = max(0.0, total_ms - sum(timings_ms.values()))
        timings_ms = {'queue': waited_ms, **timings_ms, 'total': total_ms}
        self._budget.answered(timings_ms, published - began)
        self._outputs.publish_timings(arrival.message.header, timings_ms)
        # Last, so that a cloud on which something breaks is not counted twice.
        self._statistics.answered(len(cloud), int((labels == UNLABELLED).sum()), timings_ms)
        latency_s = published - arrival.arrived_s
        # Under block clouds queue by design.
        if settings.policy == 'latest' and 0.0 < settings.max_latency < latency_s:
            self._statistics.slow(latency_s)

    def pass_over(self, arrival: Arrival) -> None:
        """A newer cloud is waiting.

        Answer this one all the same if it has hardly waited and the node was only held up; else
        let it enter the temporal state if that is affordable.
        """
        settings = self._settings()
        waited_s = perf_counter() - arrival.arrived_s
        if waited_s <= settings.patience and self._budget.keeps_up(self._inputs):
            self.answer(arrival)
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

    def _inspect(self, result: FrameResult) -> tuple[FrameResult, bool]:
        """Take out of an answer what is not a number, and tell whether that was unnecessary."""
        has_bad_action = result.action is not None and not np.isfinite(result.action).all()
        if not result.non_finite and not has_bad_action:
            return result, True
        self._statistics.non_finite(result.non_finite)
        # Cells without an answer are unlabelled already.
        return (replace(result, action=None) if has_bad_action else result), False

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


def _above_threshold(result: FrameResult, threshold: float) -> np.ndarray:
    if threshold <= 0.0:
        return result.labels
    return np.where(result.probabilities < threshold, np.uint16(UNLABELLED), result.labels)
