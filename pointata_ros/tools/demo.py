# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata demo``: a recording through the live node, and an honest account of what came back.

Three processes talk over DDS, as on a robot: the perception node, a player that publishes the
recording at its pace, and this one, which listens like any consumer. Nothing is shared between them
but topics; what the node did not label is counted with its reason.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from pointata_core.bundles.manifest import Manifest
from pointata_core.cli.console import err, note, out, progress
from pointata_core.cli.tables import print_results
from pointata_core.errors import PointataError
from pointata_core.evaluation import environment
from pointata_core.evaluation.report.page import write_report
from pointata_core.inference.loading import FOLLOW
from pointata_core.resources import DEFAULT_BUNDLE, DEFAULT_PEOPLE, ResourceError, resource_path
from pointata_core.taxonomy import PERSON_NAMES, classes_among
from pointata_ros.dds import use_large_cloud_profile
from pointata_ros.tools.demo_collector import Collector
from pointata_ros.tools.demo_people import DemoPeople
from pointata_ros.tools.demo_processes import (
    ChildProcess,
    ChildProcesses,
    Termination,
    handled_signals,
)
from pointata_ros.tools.demo_recording import Recording, choose_recording, recorded_poses
from pointata_ros.tools.demo_results import live_results

if TYPE_CHECKING:
    from pointata_core.evaluation.results import EvaluationResults

NODE = '/pointata_demo'
NOBODY = 'none'
CLOUD_TOPIC = f'{NODE}/points'
_START_TIMEOUT_S = 300.0
_QUIET_S = 3.0
_GIVE_UP_S = 60.0
_DIAGNOSTICS_PERIOD_S = 0.2


class DemoFailed(PointataError):
    """A process of the demo ended before its work was done."""


def run(arguments: Any) -> int:
    """Run the demo.

    Args:
        arguments: Options of ``pointata_core.cli.commands.demo``.

    Returns:
        Exit status: 0 if anything was labelled, else 1.

    Raises:
        PointataError: Bad input, or a process of the demo failed; all of them have ended then.
    """
    output = Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    with handled_signals() as termination:
        recording = choose_recording(arguments, output)
        results = _play(arguments, recording, output, termination)
    page = write_report(results, output)
    print_results(results, out())
    out().print(f'report: {page}', soft_wrap=True)
    if not results.frames_predicted:
        note(f'no frame was labelled; {_why(results)} (logs: {output}/node.log, replay.log)')
        return 1
    return 0


def _play(
    arguments: Any, recording: Recording, output: Path, termination: Termination
) -> EvaluationResults:
    """Node, player and collector, from start to end; leaves no process behind."""
    bundle = Path(arguments.bundle) if arguments.bundle else resource_path(DEFAULT_BUNDLE)
    manifest = _manifest(bundle)
    skill = _person_skill(arguments.people, manifest)
    people = None
    if skill:
        classes, poses = manifest.segmentation_classes, recorded_poses(recording)
        people = DemoPeople(skill, classes, recording.people, poses)
    with ExitStack() as stack:
        stack.enter_context(_own_ros_domain())
        use_large_cloud_profile()
        rclpy.init(args=[], signal_handler_options=rclpy.SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        listener = Node('pointata_demo_collector', start_parameter_services=False)
        stack.callback(listener.destroy_node)
        collector = Collector(
            listener, NODE, manifest, recording.plan.frames, recording.actions,
            keep_labels=bool(recording.plan.labels_field), people=people,
        )  # fmt: skip
        executor = SingleThreadedExecutor()
        executor.add_node(listener)
        children = stack.enter_context(ChildProcesses())

        perception = children.start(
            'node', _node_command(arguments, recording, bundle, skill), output / 'node.log'
        )
        spin = _Spinner(executor, perception, termination)
        with err().status('starting the node'):
            _activate(listener, spin)
        player = children.start(
            'player', _player_command(arguments, recording), output / 'replay.log'
        )
        started = time.monotonic()
        _collect(recording, collector, spin, player)
        # Until its last result: what follows is the time without any, which shows that no more
        # would come.
        wall_s = collector.last_result_s - started if collector.recorder.predicted else 0.0
        peak = environment.peak_rss_bytes(perception.pid)
    collector.finish()
    return live_results(arguments, recording, collector, manifest, bundle, wall_s, peak)


@contextmanager
def _own_ros_domain() -> Iterator[None]:
    """A domain of our own on this machine alone: no other node may interfere or be disturbed."""
    ours = {
        'ROS_DOMAIN_ID': os.environ.get('POINTATA_DEMO_DOMAIN_ID', str(1 + os.getpid() % 100)),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp',
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _person_skill(wanted: str | None, manifest: Manifest) -> str:
    """What the parameter ``people`` of the node is to be."""
    if wanted is not None:
        is_folder = wanted not in (FOLLOW, NOBODY)
        return str(Path(wanted).resolve()) if is_folder else wanted.replace(NOBODY, '')
    if not classes_among(manifest.segmentation_classes, PERSON_NAMES):
        return ''
    try:
        return str(resource_path(DEFAULT_PEOPLE))
    except ResourceError:
        return FOLLOW


def _node_command(arguments: Any, recording: Recording, bundle: Path, people: str) -> list[str]:
    parameters = {
        'bundle': f"'{bundle.resolve()}'",
        'device': arguments.device,
        'precision': arguments.precision,
        'autostart': 'false',
        'policy': arguments.policy,
        'input_type': recording.plan.input_type,
        'diagnostics_period': _DIAGNOSTICS_PERIOD_S,
        'fixed_frame': f"'{recording.fixed_frame}'",
        'people': f"'{people}'",
    }
    command = [sys.executable, '-m', 'pointata_ros.node.main', '--ros-args']
    command += ['-r', f'__node:={NODE.strip("/")}', '-r', f'~/input/points:={CLOUD_TOPIC}']
    plan = recording.plan
    if plan.info_topic:
        command += ['-r', f'~/input/camera_info:={plan.info_topic}']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={value}']
    return command


def _player_command(arguments: Any, recording: Recording) -> list[str]:
    command = [sys.executable, '-m', 'pointata_ros.tools.replay', str(recording.path)]
    plan = recording.plan
    infos = [plan.info_topic] if plan.info_topic else []
    command += ['--topics', plan.cloud_topic, *infos, *recording.extras]
    command += ['--remap', f'{plan.cloud_topic}={CLOUD_TOPIC}']
    command += ['--rate', str(arguments.rate), '--wait-for-subscribers', '1']
    return command


class _Spinner:
    """One turn of the executor, and a look at whether the work still makes sense."""

    def __init__(
        self, executor: SingleThreadedExecutor, perception: ChildProcess, termination: Termination
    ) -> None:
        self._executor, self.perception, self._termination = executor, perception, termination

    def once(self) -> None:
        """Handle what has come, waiting a moment for it."""
        self._executor.spin_once(timeout_sec=0.05)
        self._termination.check()
        child = self.perception
        if child.status is not None:
            raise DemoFailed(
                f'the node ended with status {child.status}:\n{child.log_tail()}',
                f'See {child.log}; pointata doctor checks the installation',
            )


def _activate(listener: Node, spin: _Spinner) -> None:
    """Take the node through its lifecycle, as a manager on a robot does."""
    client = listener.create_client(ChangeState, f'{NODE}/change_state')
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not client.service_is_ready():
            spin.once()
            _before(deadline, spin.perception)
        response = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        while not response.done():
            spin.once()
            _before(deadline, spin.perception)
        if not response.result().success:
            raise DemoFailed(
                f'the node could not start:\n{spin.perception.log_tail()}',
                f'See {spin.perception.log}; pointata doctor checks the installation',
            )


def _before(deadline: float, child: ChildProcess) -> None:
    if time.monotonic() > deadline:
        raise DemoFailed(
            f'the node was not active after {_START_TIMEOUT_S:g} s:\n{child.log_tail()}',
            f'See {child.log}',
        )


def _collect(
    recording: Recording,
    collector: Collector,
    spin: _Spinner,
    player: ChildProcess,
) -> None:
    """Listen until the player has ended and the node has accounted for all that it received."""
    news: Callable[[], tuple[int, int]] = lambda: (  # noqa: E731
        collector.recorder.predicted,
        collector.count('input', 'received') + collector.count('processing', 'dropped'),
    )
    last, quiet_since, reports = news(), time.monotonic(), None
    with progress('results of the node') as show:
        while True:
            spin.once()
            if news() != last:
                last, quiet_since = news(), time.monotonic()
                show(last[0], recording.plan.frames)
            if player.status is None:
                quiet_since = time.monotonic()
                continue
            if player.status != 0:
                raise DemoFailed(
                    f'the player ended with status {player.status}:\n{player.log_tail()}',
                    f'See {player.log}',
                )
            # The first report after the player's end may have been on its way before.
            reports = collector.reports if reports is None else reports
            has_all = collector.recorder.predicted >= collector.count('processing', 'published')
            done = collector.reports >= reports + 3 and collector.settled and has_all
            arrived_all = collector.count('input', 'received') >= recording.plan.frames
            quiet_s = time.monotonic() - quiet_since
            # Clouds may still wait in the middleware, or be lost: a pause shows the latter.
            if (done and (arrived_all or quiet_s > _QUIET_S)) or quiet_s > _GIVE_UP_S:
                return


def _manifest(bundle: Path) -> Manifest:
    path = bundle / 'manifest.json'
    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise DemoFailed(
            f'{path}: cannot be read ({error.strerror})', 'Name the folder of a bundle'
        ) from error
    return Manifest.from_json(text, str(path))


def _why(results: EvaluationResults) -> str:
    losses = {**results.dropped, **results.rejected, **results.skipped}
    reasons = ', '.join(f'{number} {reason}' for reason, number in losses.items())
    return reasons or 'the recording has no clouds'
