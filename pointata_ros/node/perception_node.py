# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception node: point clouds in, labelled clouds and actions out.

It has one input, or several with names of their own that share the network and the worker.

============  ====================================================================================
transition    work
============  ====================================================================================
configure     check parameters, load, verify and warm up the bundle, create publishers
activate      subscribe, start the worker and the timers
deactivate    stop them, drop the temporal states, take markers away; the bundle stays loaded
cleanup       release everything; also on shutdown and on error
============  ====================================================================================

Threads: the executor thread serves parameters, services and transitions and queues clouds; the
worker owns sessions and device, and publishes unless the next cloud waits: then the publisher does.
Transforms arrive on a thread of their own, and bundles are loaded on another.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from pointata_core.errors import ConfigError
from pointata_core.inference.failures import release_memory
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.inference.session_base import Session
from pointata_core.inference.threads import choose_threads
from pointata_core.inference.time_rules import ResetReason
from pointata_ros.camera.input import check_camera_settings
from pointata_ros.health.clock_guard import ClockGuard
from pointata_ros.health.throttle import Throttle
from pointata_ros.message_classes import input_class
from pointata_ros.node.filtered_clouds import check_class_names
from pointata_ros.node.lifecycle import Broken, transition
from pointata_ros.node.monitor import Monitor
from pointata_ros.node.pipeline import Pipeline
from pointata_ros.node.received_cloud import ReceivedCloud
from pointata_ros.node.recovery import Recovery
from pointata_ros.node.scheduler import Scheduler
from pointata_ros.node.skill import load_skill
from pointata_ros.node.skill_server import SkillServer
from pointata_ros.node.startup_log import startup_text
from pointata_ros.node.stream import Stream
from pointata_ros.node.worker import Worker
from pointata_ros.parameters.input_types import input_types_in
from pointata_ros.parameters.poses import placements_in
from pointata_ros.parameters.server import ParameterServer
from pointata_ros.parameters.table import NodeSettings
from pointata_ros.transforms.listener import TransformListener
from pointata_ros.transforms.static_mountings import StaticMountings

_STOP_TIMEOUT_S = 10.0
# Seconds of transforms to keep. Under block clouds may wait long in the middleware, transforms not.
_TRANSFORMS_S = {'latest': 10.0, 'block': 600.0}


class PerceptionNode(LifecycleNode):
    """See the module's text and ``docs/node.md``.

    Args:
        name: Node name.
        options: Passed on to :class:`rclpy.node.Node`.

    Attributes:
        streams: Its inputs, one by default; none while it is unconfigured.
        skills: What serves them.

    Raises:
        ConfigError: A parameter given at start is illegal.
    """

    def __init__(self, name: str = 'perception_node', **options: Any) -> None:
        super().__init__(name, **options)
        # Timers that watch the input must go on when ROS time stands still.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._warn = Throttle(self.get_logger().warning)
        self._log_failure = Throttle(lambda text: self.get_logger().error(text))
        self._configured = ExitStack()
        self._active = ExitStack()
        # Guards which thread may touch the sessions while no worker owns them.
        self._ownership = threading.Lock()
        self.streams: tuple[Stream, ...] = ()
        self._transforms: TransformListener | None = None
        self._mountings: StaticMountings | None = None
        self._worker: Worker | None = None
        self._monitor = Monitor(self)
        self.skills = SkillServer(
            self, lambda: self.settings, lambda: self.streams, self._between_frames
        )
        self._broken = ''
        self._parameter_server = ParameterServer(self, self._settings_changed)
        for text in self._parameter_server.unknown():
            self.get_logger().warning(text)
        if self.settings.autostart:
            self._autostart_timer = self.create_timer(
                0.0, self._autostart, clock=self._steady_clock
            )

    @property
    def settings(self) -> NodeSettings:
        """The parameters as they are now."""
        return self._parameter_server.settings

    def hand_over(self, message: Any, name: str = '') -> bool:
        """Take a cloud from another node of the same process, without the middleware.

        Nothing is copied, so the message must not change any more. Policy, counters and results are
        those of a cloud that comes on the topic; under ``block`` a full queue makes the call wait.

        Args:
            message: Of the type of the input; Livox messages serialised.
            name: Of the input; empty for the only one.

        Returns:
            False if the node is not active or has no such input: the cloud is not taken.
        """
        for stream in self.streams:
            entrance = stream.input
            if stream.name == name and entrance is not None:
                entrance.receive(message)
                return True
        return False

    # ------------------------------------------------------------------ transitions

    @transition
    def on_configure(self, state: LifecycleState) -> None:
        """Load and try the bundle; create what others see of the node while it is inactive."""
        settings = self.settings
        self._refuse_missing_parameters(settings)
        for input_type in input_types_in(vars(settings)):
            input_class(input_type)
        choose_threads(settings.num_threads)
        with ExitStack() as stack:
            if settings.fixed_frame or settings.target_frame:
                self._transforms = TransformListener(
                    self,
                    settings.fixed_frame or settings.target_frame,
                    _TRANSFORMS_S[settings.policy],
                    self._warn,
                )
                stack.callback(self._drop_transforms)
            skill = load_skill(settings)
            check_class_names(settings, skill.loaded.bundle.manifest.segmentation_classes)
            if skill.loaded.takes_images:
                self._prepare_camera(settings, stack)
            stack.callback(self._drop_streams)
            for name in settings.inputs or ('',):
                session = skill.loaded.session(
                    settings.max_gap, settings.label_memory, settings.max_voxels
                )
                self._add_stream(name, session, skill.people())
            self._monitor.open()
            stack.callback(self._monitor.close)
            self._broken = ''
            with self._ownership:
                self.skills.open(skill)
                stack.callback(self._close_skills)
                self.skills.announce()
            self._configured = stack.pop_all()

    @transition
    def on_activate(self, state: LifecycleState) -> None:
        """Subscribe, and start to work."""
        settings = self.settings
        with ExitStack() as stack:
            scheduler: Scheduler[Pipeline, ReceivedCloud] = Scheduler()
            publisher = ThreadPoolExecutor(1, 'publisher')
            stack.callback(publisher.shutdown)
            recovery = Recovery(len(self.streams))
            pipelines = []
            types, placements = input_types_in(vars(settings)), placements_in(vars(settings))
            for stream, input_type, placement in zip(self.streams, types, placements, strict=True):
                stack.callback(self._deactivate, stream)
                pipelines.append(
                    stream.activate(
                        scheduler=scheduler,
                        publisher=publisher,
                        transforms=self._transforms,
                        placement=placement,
                        input_type=input_type,
                        mountings=self._transforms or self._mountings,
                        recovery=recovery,
                        inputs=len(self.streams),
                        give_up=self._give_up,
                    )
                )
            with self._ownership:
                self._worker = Worker(scheduler, pipelines, self._report_failure)
                self._worker.start()
            stack.callback(self._stop_worker)
            # Closed before the worker is: nothing new may arrive while it ends.
            for stream in self.streams:
                stack.callback(stream.unsubscribe)
            if settings.policy == 'latest':
                stack.callback(
                    ClockGuard(self.get_clock(), settings.max_gap, self._clock_jumped).close
                )
            for period_s, callback in (
                (settings.diagnostics_period, self._publish_diagnostics),
                (settings.hint_after, self._hint),
            ):
                timer = self.create_timer(period_s, callback, clock=self._steady_clock)
                stack.callback(self.destroy_timer, timer)
            self._active = stack.pop_all()
        skill = self.skills.current
        assert skill is not None  # since configure
        self.get_logger().info(startup_text(skill, settings, self.streams))

    @transition
    def on_deactivate(self, state: LifecycleState) -> None:
        """Unsubscribe; keep the bundle."""
        if self._broken:
            raise Broken(self._broken)
        self._active.close()

    @transition
    def on_cleanup(self, state: LifecycleState) -> None:
        """Release everything."""
        self.release()

    @transition
    def on_shutdown(self, state: LifecycleState) -> None:
        """Release everything."""
        self.release()

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; success leads back to unconfigured, from where one may try again."""
        try:
            self.release()
        except Exception:
            self.get_logger().error(f'release failed:\n{traceback.format_exc()}')
        return TransitionCallbackReturn.SUCCESS

    def release(self) -> None:
        """Stop all threads and free the device; may be called in any state, any number of times."""
        # From last to first; what breaks in one step does not keep the others from being taken.
        with ExitStack() as steps:
            steps.callback(release_memory)
            # A thread that still computes while the interpreter ends may crash it.
            steps.callback(self.skills.join, _STOP_TIMEOUT_S)
            steps.callback(self._configured.close)
            steps.callback(self._active.close)

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # ------------------------------------------------------------------ parts

    def _stop_worker(self) -> None:
        with self._ownership:
            worker, self._worker = self._worker, None
        if worker is not None and not worker.stop(_STOP_TIMEOUT_S):
            raise RuntimeError(f'the worker is still busy after {_STOP_TIMEOUT_S:g} s')

    def _deactivate(self, stream: Stream) -> None:
        if not self._broken:  # a device that failed cannot make a new state
            stream.session.reset(ResetReason.REQUESTED)
        stream.deactivate()

    def _close_skills(self) -> None:
        with self._ownership:
            self.skills.close()

    def _add_stream(self, name: str, session: Session, people: PeopleSession | None) -> None:
        stream = Stream(self, name, session, people, lambda: self.settings, self._warn)
        self.streams += (stream,)

    def _prepare_camera(self, settings: NodeSettings, stack: ExitStack) -> None:
        """Check what a camera needs, and subscribe to its mounting."""
        check_camera_settings(settings)
        if self._transforms is None and not settings.camera_extrinsics:
            self._mountings = StaticMountings(self)
            stack.callback(self._drop_mountings)

    def _drop_mountings(self) -> None:
        if self._mountings is not None:
            self._mountings.close()
            self._mountings = None

    def _drop_streams(self) -> None:
        streams, self.streams = self.streams, ()
        for stream in streams:
            stream.close()

    def _drop_transforms(self) -> None:
        if self._transforms is not None:
            self._transforms.close()
            self._transforms = None

    # ------------------------------------------------------------------ parameters

    def _refuse_missing_parameters(self, settings: NodeSettings) -> None:
        missing = self._parameter_server.not_given() if settings.strict_parameters else []
        if missing:
            raise ConfigError(
                f'strict_parameters is set and no value was given for: {", ".join(missing)}',
                'Give each a value in the parameter file',
            )

    def _settings_changed(self, settings: NodeSettings) -> None:
        # The label tables hold the threshold.
        self._between_frames(self.skills.announce)

    def _between_frames(self, action: Callable[[], None]) -> None:
        """Run what touches sessions, skill or label tables: on the worker if there is one."""
        with self._ownership:
            if self._worker is not None:
                self._worker.between_frames(action)
            else:
                action()

    # ------------------------------------------------------------------ while active

    def _publish_diagnostics(self) -> None:
        skill = self.skills.current
        if skill is not None:
            self._monitor.publish(
                self.streams,
                skill,
                self.skills.refused,
                self._worker,
                self.settings,
                self._broken,
            )

    def _hint(self) -> None:
        for stream in self.streams:
            stream.hint()

    def _clock_jumped(self, text: str) -> None:
        """Start afresh: what was seen and what waits belongs to another time."""
        if text:
            self._warn('clock', f'the temporal state starts afresh: {text}')
        if self._transforms is not None:
            self._transforms.clear()
        for stream in self.streams:
            stream.clock_jumped()
            if stream.pipeline is not None:
                self._between_frames(partial(stream.pipeline.reset, ResetReason.CLOCK_JUMP))

    def _give_up(self, reason: str) -> None:
        """The device failed for good: continue on the CPU if so set, else stop. On the worker."""
        if self._broken:
            return
        skill = self.skills.current
        on_cpu = skill is not None and skill.loaded.device.device.type == 'cpu'
        if self.settings.device_failure == 'cpu' and not on_cpu:
            try:
                self.skills.move_to_cpu(reason)
            except Exception as error:
                reason = f'{reason}; continuing on the CPU failed too: {error}'
            else:
                return
        self._broken = reason
        if self.executor is not None:
            self.executor.create_task(self._stop_broken)

    def _stop_broken(self) -> None:
        """Publish the reason, then go through error processing back to unconfigured."""
        if self._worker is None:
            return  # the node was deactivated meanwhile
        try:
            self._publish_diagnostics()
            self._monitor.flush()
        finally:
            self.trigger_deactivate()

    def _report_failure(self, name: str, error: Exception) -> None:
        if not self.context.ok():
            return  # the process is being ended; publishing cannot work any more
        text = ''.join(traceback.format_exception(error))
        whose = f' of {name}' if name else ''
        self._log_failure(name, f'a cloud{whose} failed:\n{text}')
