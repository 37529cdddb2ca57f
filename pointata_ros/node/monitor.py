# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the diagnostics of all inputs, and logs what changes in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.node import Node

from pointata_core.inference.memory import memory_in_use
from pointata_ros.health.diagnostics import WORKER_FINDINGS, ModelFacts, all_findings, diagnostics
from pointata_ros.health.faults import FaultLog, Finding
from pointata_ros.node.skill import Skill
from pointata_ros.node.stream import Stream
from pointata_ros.node.worker import Worker
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.qos import small_profile

_LAST_WORDS_S = 0.5
_FEWEST_CLOUDS = 5


class Monitor:
    """Publishes on ``/diagnostics`` while it is open, and remembers what was logged.

    Args:
        node: The node that is watched.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        log = node.get_logger()
        self._fault_log = FaultLog(
            # rclpy identifies a message by its line, which must keep its severity.
            lambda text: log.warning(text),
            lambda text: log.error(text),
            lambda text: log.info(text),
        )
        self._was_stuck = False

    def open(self) -> None:
        """Create the publisher."""
        self._publisher = self._node.create_publisher(
            DiagnosticArray, '/diagnostics', small_profile()
        )

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)

    def flush(self) -> None:
        """Wait a moment for the last message to reach its readers: the publisher goes next."""
        self._publisher.wait_for_all_acked(Duration(seconds=_LAST_WORDS_S))

    def publish(
        self,
        streams: Sequence[Stream],
        skill: Skill,
        refused: str,
        worker: Worker | None,
        settings: NodeSettings,
        broken: str,
    ) -> None:
        """Publish the state of the node and log what changed in it.

        Args:
            streams: The inputs.
            skill: What serves them.
            refused: Why the last swap of the skill failed, empty if it did not.
            worker: What processes them; ``None`` while the node is inactive.
            settings: Limits.
            broken: Why the node is about to stop, empty if it is not.
        """
        busy_s, busy_with = (worker.busy_s, worker.busy_with) if worker else (0.0, '')
        message = DiagnosticArray()
        to_log: dict[str, Finding] = {}
        for stream in streams:
            snapshot = stream.statistics.snapshot()
            now_ns = self._node.get_clock().now().nanoseconds
            found = all_findings(snapshot, settings, busy_s, broken, busy_with, now_ns)
            trouble = stream.session.trouble(_FEWEST_CLOUDS)
            if trouble:
                found.append(Finding('history', False, trouble, 0.0))
            to_log |= {one.name: one for one in (_of_input(stream, one) for one in found)}
            about_input = diagnostics(
                self._node.get_fully_qualified_name(),
                now_ns,
                snapshot,
                _facts(stream, skill, refused),
                settings,
                0 if stream.input is None else stream.input.waiting,
                found,
                stream.name,
                None if stream.pairs is None else stream.pairs.snapshot(),
                None if stream.people is None else stream.people.facts(),
            )
            message.header = about_input.header
            message.status += about_input.status
        self._log(list(to_log.values()), worker)
        self._publisher.publish(message)

    def _log(self, found: list[Finding], worker: Worker | None) -> None:
        """Log what changed; of a stuck worker also where it is."""
        stuck = any(one.name == 'stuck' for one in found)
        if stuck and not self._was_stuck and worker is not None:
            self._node.get_logger().error(f'the worker is at:\n{worker.call_stack()}')
        self._was_stuck = stuck
        self._fault_log(found)


def _of_input(stream: Stream, one: Finding) -> Finding:
    """Under the name of its input, unless it is about the worker that all of them share."""
    if one.name in WORKER_FINDINGS:
        return one
    over = one.over and stream.label(one.over)
    return replace(one, name=stream.label(one.name), text=stream.label(one.text), over=over)


def _facts(stream: Stream, skill: Skill, refused: str) -> ModelFacts:
    session, bundle, device = stream.session, skill.loaded.bundle, skill.loaded.device
    return ModelFacts(
        bundle=bundle.manifest.name,
        path=str(bundle.path),
        hash=bundle.hash,
        device=str(device.device),
        device_reason=device.reason,
        state_bytes=session.state_bytes,
        frames_in_history=session.frames_in_history,
        resets={str(reason): count for reason, count in session.resets.copy().items()},
        window_frames=session.window_frames,
        voxels=session.voxel_limit,
        full_voxels=session.bundle_voxel_limit,
        memory=memory_in_use(device.device),
        trouble=tuple(filter(None, (skill.substitute_for, refused))),
    )
