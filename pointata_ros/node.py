# SPDX-License-Identifier: Apache-2.0
"""The perception node: point clouds in, labelled clouds and actions out.

============  ====================================================================================
transition    work
============  ====================================================================================
configure     check parameters, load, verify and warm up the bundle, create publishers
activate      subscribe, start the worker and the timers
deactivate    stop them, drop the temporal state, take markers away; the bundle stays loaded
cleanup       release everything; also on shutdown and on error
============  ====================================================================================

Threads: the executor thread answers parameters, services and transitions and hands clouds over; the
worker owns session and device; transforms are heard on a third; skills are loaded on a fourth.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.task import Future
from std_srvs.srv import Trigger

from pointata_core.errors import ConfigError, PointataError
from pointata_core.streaming.session import StreamingSession
from pointata_core.streaming.time_rules import ResetReason
from pointata_ros.banner import banner
from pointata_ros.clock_guard import ClockGuard
from pointata_ros.diagnostics import ModelFacts, all_findings, diagnostics
from pointata_ros.faults import FaultLog, Finding
from pointata_ros.input import CloudInput
from pointata_ros.lifecycle import Broken, transition
from pointata_ros.memory import memory_in_use
from pointata_ros.parameter_server import ParameterServer
from pointata_ros.parameters import NodeSettings
from pointata_ros.pipeline import Pipeline
from pointata_ros.publishers import Outputs
from pointata_ros.qos import small_profile
from pointata_ros.recovery import full_cells, release_memory
from pointata_ros.skill import Skill, prepare_skill, prepare_skill_on_cpu
from pointata_ros.statistics import DropReason, Statistics
from pointata_ros.throttle import Throttle
from pointata_ros.transforms import EgoMotion, NoEgoMotion, TransformListener
from pointata_ros.worker import Worker

_STOP_TIMEOUT_S = 10.0
_LAST_WORDS_S = 0.5


class PerceptionNode(LifecycleNode):
    """See the module's text and ``docs/interfaces.md``.

    Args:
        name: Node name.
        options: Passed on to :class:`rclpy.node.Node`.

    Raises:
        ConfigError: A parameter given at start is illegal.
    """

    def __init__(self, name: str = 'perception_node', **options: Any) -> None:
        super().__init__(name, **options)
        # Timers that watch the input must go on when ROS time stands still.
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._warn = Throttle(self.get_logger().warning)
        self._configured = ExitStack()
        self._active = ExitStack()
        # Guards which thread may touch the session while no worker owns it.
        self._ownership = threading.Lock()
        self._skill: Skill | None = None
        self._session: StreamingSession | None = None
        self._outputs: Outputs | None = None
        self._transforms: TransformListener | None = None
        self._statistics = Statistics()
        self._input: CloudInput | None = None
        self._pipeline: Pipeline | None = None
        self._worker: Worker | None = None
        self._loader: threading.Thread | None = None
        log = self.get_logger()
        self._fault_log = FaultLog(
            # rclpy knows a message by its line, which must keep its severity.
            lambda text: log.warning(text),
            lambda text: log.error(text),
            lambda text: log.info(text),
        )
        self._was_stuck = False
        self._refused_skill = ''
        self._broken = ''
        self._parameter_server = ParameterServer(self, self._settings_changed)
        if self.settings.autostart:
            self._autostart_timer = self.create_timer(
                0.0, self._autostart, clock=self._steady_clock
            )

    @property
    def settings(self) -> NodeSettings:
        """The parameters as they are now."""
        return self._parameter_server.settings

    # ------------------------------------------------------------------ transitions

    @transition
    def on_configure(self, state: LifecycleState) -> None:
        """Load and try the bundle; create what others see of the node while it is inactive."""
        settings = self.settings
        self._refuse_missing_parameters(settings)
        if settings.num_threads:
            torch.set_num_threads(settings.num_threads)
        with ExitStack() as stack:
            if settings.fixed_frame:
                self._transforms = TransformListener(
                    self, settings.fixed_frame, lambda: self.settings.transform_timeout
                )
                stack.callback(self._drop_transforms)
            skill = prepare_skill(settings.bundle, settings.device)
            self._log_skill(skill)
            session = StreamingSession(skill.bundle, skill.device.device, settings.max_gap)
            self._outputs = Outputs(self)
            stack.callback(self._drop_outputs)
            diagnostics_publisher = self.create_publisher(
                DiagnosticArray, '/diagnostics', small_profile()
            )
            stack.callback(self.destroy_publisher, diagnostics_publisher)
            self._diagnostics_publisher = diagnostics_publisher
            service = self.create_service(
                Trigger,
                '~/load_skill',
                self._load_skill,
                callback_group=MutuallyExclusiveCallbackGroup(),
            )
            stack.callback(self.destroy_service, service)
            self._statistics = Statistics()
            self._refused_skill = self._broken = ''
            stack.callback(self._drop_session)
            with self._ownership:
                self._skill, self._session = skill, session
                self._announce()
            self._configured = stack.pop_all()

    @transition
    def on_activate(self, state: LifecycleState) -> None:
        """Begin to listen and to answer."""
        settings = self.settings
        with ExitStack() as stack:
            self._pipeline = Pipeline(
                self._session,
                EgoMotion(self._transforms.look_up) if self._transforms else NoEgoMotion(),
                self._outputs,
                self._statistics,
                lambda: self.settings,
                self._warn,
                self._give_up,
            )
            stack.callback(self._forget_stream)
            self._input = CloudInput(self, settings, self._statistics, self._warn)
            with self._ownership:
                self._worker = Worker(self._input.mailbox, self._pipeline, self._report_failure)
                self._worker.start()
            stack.callback(self._stop_worker)
            # Closed before the worker is: nothing new may arrive while it ends.
            stack.callback(self._input.close)
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
        self.get_logger().info(
            banner(
                self._skill,
                settings,
                self._input.topic,
                self._input.profile,
                self._input.count_publishers(),
                self._outputs.topics,
            )
        )

    @transition
    def on_deactivate(self, state: LifecycleState) -> None:
        """Stop listening; keep the bundle."""
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
            self.get_logger().error(f'release broke:\n{traceback.format_exc()}')
        return TransitionCallbackReturn.SUCCESS

    def release(self) -> None:
        """Stop all threads and free the device; may be called in any state, any number of times."""
        # From last to first; what breaks in one step does not keep the others from being taken.
        with ExitStack() as steps:
            steps.callback(release_memory)
            if self._loader is not None:
                # A thread that still computes while the interpreter ends may crash it.
                steps.callback(self._loader.join, _STOP_TIMEOUT_S)
            steps.callback(self._configured.close)
            steps.callback(self._active.close)

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # ------------------------------------------------------------------ parts, in tear-down order

    def _stop_worker(self) -> None:
        with self._ownership:
            worker, self._worker = self._worker, None
        if not worker.stop(_STOP_TIMEOUT_S):
            raise RuntimeError(f'the worker is still busy after {_STOP_TIMEOUT_S:g} s')

    def _forget_stream(self) -> None:
        if not self._broken:  # a device that failed cannot make a new state
            self._session.reset(ResetReason.REQUESTED)
        if self.context.ok():
            self._outputs.remove_markers(self._pipeline.frame_id)
        self._input = self._pipeline = None

    def _drop_session(self) -> None:
        with self._ownership:
            self._skill = self._session = None

    def _drop_outputs(self) -> None:
        self._outputs.close()
        self._outputs = None

    def _drop_transforms(self) -> None:
        self._transforms.close()
        self._transforms = None

    # ------------------------------------------------------------------ parameters and skills

    def _refuse_missing_parameters(self, settings: NodeSettings) -> None:
        missing = self._parameter_server.not_given() if settings.strict_parameters else []
        if missing:
            raise ConfigError(
                f'strict_parameters is set and no value was given for: {", ".join(missing)}',
                'Give each a value in the parameter file',
            )

    def _settings_changed(self, settings: NodeSettings) -> None:
        # The label tables hold the threshold.
        self._between_frames(self._announce)

    def _announce(self) -> None:
        if self._skill is not None:
            self._outputs.announce(self._skill.bundle.manifest, self.settings.score_threshold)

    def _between_frames(self, action: Callable[[], None]) -> None:
        """Run what touches session, skill or label tables: on the worker if there is one."""
        with self._ownership:
            if self._worker is not None:
                self._worker.between_frames(action)
            else:
                action()

    def _log_skill(self, skill: Skill) -> None:
        for note in skill.notes:
            self.get_logger().warning(note)
        if self.settings.device == 'auto' and skill.device.device.type == 'cpu':
            self.get_logger().warning(f'running on the CPU: {skill.device.reason}')

    async def _load_skill(self, request: Trigger.Request, response: Trigger.Response):
        """Load the bundle named by the parameter ``bundle`` and swap to it between two clouds."""
        done = Future(executor=self.executor)
        self._loader = threading.Thread(
            target=self._load_and_swap, args=(self.settings, done), name='load_skill', daemon=True
        )
        self._loader.start()
        response.success, response.message = await done
        log = self.get_logger()
        # Two lines: rclpy knows a message by its line and raises if its severity changes there.
        if response.success:
            log.info(f'load_skill: {response.message}')
        else:
            log.error(f'load_skill: {response.message}')
        return response

    def _load_and_swap(self, settings: NodeSettings, done: Future) -> None:
        def finish(success: bool, message: str) -> None:
            done.set_result((success, message))
            if self.executor is not None:
                self.executor.wake()

        def swap() -> None:
            try:
                if self._session is None:
                    raise ConfigError('the node is not configured any more')
                self._session.swap(skill.bundle)
                self._skill = skill
                self._refused_skill = ''
                self._announce()
            except Exception as error:
                finish(False, f'the old skill keeps serving: {error}')
            else:
                bundle = skill.bundle
                finish(True, f'{bundle.manifest.name} {bundle.short_hash} serves from now on')

        try:
            skill = prepare_skill(settings.bundle, settings.device)
        except Exception as error:
            text = str(error) if isinstance(error, PointataError) else repr(error)
            self._statistics.failed(text)
            self._refused_skill = f'load_skill was refused: {text}'
            finish(False, f'the old skill keeps serving: {text}')
            return
        self._between_frames(swap)

    # ------------------------------------------------------------------ while active

    def _publish_diagnostics(self) -> None:
        skill, session, snapshot = self._skill, self._session, self._statistics.snapshot()
        found = all_findings(snapshot, self.settings, self._worker.busy_s, self._broken)
        self._report(found)
        bundle, device = skill.bundle, skill.device
        facts = ModelFacts(
            bundle=bundle.manifest.name,
            path=str(bundle.path),
            hash=bundle.hash,
            device=str(device.device),
            device_reason=device.reason,
            state_bytes=session.state_bytes,
            frames_in_history=session.frames_in_history,
            resets={str(reason): count for reason, count in session.resets.copy().items()},
            window_frames=session.network.receptive_field,
            cells=session.preparer.config.max_cells,
            full_cells=full_cells(session),
            memory=memory_in_use(device.device),
            trouble=tuple(filter(None, (skill.substitute_for, self._refused_skill))),
        )
        message = diagnostics(
            self.get_fully_qualified_name(),
            self.get_clock().now().nanoseconds,
            snapshot,
            facts,
            self.settings,
            len(self._input.mailbox),
            found,
        )
        self._diagnostics_publisher.publish(message)

    def _report(self, found: list[Finding]) -> None:
        """Log what changed; of a stuck worker also where it is."""
        stuck = any(one.name == 'stuck' for one in found)
        if stuck and not self._was_stuck:
            self.get_logger().error(f'the worker is at:\n{self._worker.where()}')
        self._was_stuck = stuck
        self._fault_log(found)

    def _hint(self) -> None:
        text = self._input.hint()
        if text:
            self._warn('hint', text)

    def _clock_jumped(self, text: str) -> None:
        """Start afresh: what was seen and what waits belongs to another time."""
        self._warn('clock', f'{text}: the temporal state starts afresh')
        self._input.discard(DropReason.CLOCK_JUMP)
        self._statistics.forget_rates()
        if self._transforms is not None:
            self._transforms.clear()
        self._worker.between_frames(lambda: self._pipeline.reset(ResetReason.CLOCK_JUMP))
        self._outputs.remove_markers(self._pipeline.frame_id)

    def _give_up(self, reason: str) -> None:
        """The device failed for good: go on on the CPU if asked to, else stop. On the worker."""
        if self._broken:
            return
        if self.settings.device_failure == 'cpu' and self._skill.device.device.type != 'cpu':
            try:
                skill = prepare_skill_on_cpu(self._skill, reason)
                session = StreamingSession(skill.bundle, 'cpu', self.settings.max_gap)
            except Exception as error:
                reason = f'{reason}; going on on the CPU failed too: {error}'
            else:
                self._skill, self._session, self._pipeline.session = skill, session, session
                self.get_logger().error(skill.substitute_for)
                return
        self._broken = reason
        if self.executor is not None:
            self.executor.create_task(self._stop_broken)

    def _stop_broken(self) -> None:
        """Tell everybody, then go through error processing back to unconfigured."""
        if self._worker is None:
            return  # somebody else deactivated the node meanwhile
        try:
            self._publish_diagnostics()
            # The publisher goes next, and this one message must not go with it.
            self._diagnostics_publisher.wait_for_all_acked(Duration(seconds=_LAST_WORDS_S))
        finally:
            self.trigger_deactivate()

    def _report_failure(self, error: Exception) -> None:
        if not self.context.ok():
            return  # the process is being ended; publishing cannot work any more
        text = ''.join(traceback.format_exception(error))
        self.get_logger().error(f'a cloud failed:\n{text}', throttle_duration_sec=5.0)
