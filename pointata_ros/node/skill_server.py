# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The skill that serves all inputs, and the service that replaces it between two clouds.

Loading, verifying and warming up take seconds and happen on a thread of their own, sessions for all
inputs included. What is left for the moment between two clouds cannot fail: every input changes
over to its new session, or, if anything failed before, none does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from std_srvs.srv import Trigger

from pointata_core.errors import ConfigError, PointataError
from pointata_core.inference.memory import give_back_freed
from pointata_core.inference.people.people_session import PeopleSession
from pointata_core.inference.session_base import Session
from pointata_core.inference.time_rules import ResetReason
from pointata_ros.health.suitability import changes
from pointata_ros.node.filtered_clouds import check_class_names
from pointata_ros.node.skill import Skill, load_skill, load_skill_on_cpu
from pointata_ros.node.stream import Stream
from pointata_ros.parameters.table import NodeSettings

_SWAP_TIMEOUT_S = 10.0

_Sessions = tuple[Session, PeopleSession | None]


class SkillServer:
    """Keeps the current skill of a node and offers ``~/load_skill`` while it is open.

    Args:
        node: The node.
        settings: Called for the parameters as they are now.
        streams: Called for the inputs as they are now.
        between_frames: Runs what touches sessions or label tables on the thread that owns them.

    Attributes:
        current: The skill that serves; ``None`` while closed.
        refused: Why the last ``load_skill`` failed; empty if it did not.
    """

    def __init__(
        self,
        node: LifecycleNode,
        settings: Callable[[], NodeSettings],
        streams: Callable[[], Sequence[Stream]],
        between_frames: Callable[[Callable[[], None]], None],
    ) -> None:
        self._node = node
        self._settings = settings
        self._streams = streams
        self._between_frames = between_frames
        self._loader: threading.Thread | None = None
        self.current: Skill | None = None
        self.refused = ''

    def open(self, skill: Skill) -> None:
        """Serve ``skill``."""
        self._log(skill)
        self._service = self._node.create_service(
            Trigger,
            '~/load_skill',
            self._load_skill,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self.current, self.refused = skill, ''

    def close(self) -> None:
        """Stop serving; what is still being loaded will be refused."""
        self.current = None
        self._node.destroy_service(self._service)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread that loads, if there is one."""
        if self._loader is not None:
            self._loader.join(timeout_s)

    def announce(self) -> None:
        """Publish the label tables of the current skill on all inputs."""
        if self.current is not None:
            manifest, people = self.current.loaded.bundle.manifest, self.current.person_actions
            for stream in self._streams():
                stream.outputs.announce(manifest, self._settings(), people)

    def move_to_cpu(self, reason: str) -> None:
        """Read the current bundle again and go on with it on the CPU. On the worker.

        Args:
            reason: How the device failed.

        Raises:
            Exception: Whatever kept the bundle from running there; nothing changed.
        """
        if self.current is None:
            raise ConfigError('the node is not configured any more')
        skill = load_skill_on_cpu(self.current, self._settings(), reason)
        self._use(skill, self._sessions(skill), ResetReason.REQUESTED)
        self._node.get_logger().error(skill.substitute_for)

    def _sessions(self, skill: Skill) -> list[_Sessions]:
        settings = self._settings()
        options = settings.max_gap, settings.label_memory, settings.max_voxels
        return [(skill.loaded.session(*options), skill.people()) for _ in self._streams()]

    def _use(self, skill: Skill, sessions: Sequence[_Sessions], reason: ResetReason) -> None:
        for stream, (session, people) in zip(self._streams(), sessions, strict=True):
            stream.use(session, people, reason)
        self.current = skill

    def _refuse_other_kind(self, skill: Skill) -> None:
        current = self.current
        if current is not None and skill.follows_people != current.follows_people:
            change = 'empty' if current.follows_people else 'set'
            raise ConfigError(
                f'parameter people is {change} now, and that of the active node was not: people '
                'have topics of their own',
                'Clean the node up (change_state cleanup), then configure and activate it again',
            )
        if current is not None and skill.loaded.takes_images != current.loaded.takes_images:
            kind = 'with' if skill.loaded.takes_images else 'without'
            raise ConfigError(
                f'{skill.loaded.bundle.path}: a bundle {kind} a camera cannot replace one of the '
                'other kind while the node is active: it needs other topics',
                'Clean the node up (change_state cleanup), then configure and activate it again',
            )

    def _log(self, skill: Skill) -> None:
        for note in skill.notes:
            self._node.get_logger().warning(note)
        if self._settings().device == 'auto' and skill.loaded.device.device.type == 'cpu':
            self._node.get_logger().warning(f'running on the CPU: {skill.loaded.device.reason}')

    async def _load_skill(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Load the bundle named by the parameter ``bundle`` and swap to it between two clouds."""
        done = Future(executor=self._node.executor)
        self._loader = threading.Thread(
            target=self._load_and_tidy, args=(done,), name='load_skill', daemon=True
        )
        self._loader.start()
        response.success, response.message = await done
        log = self._node.get_logger()
        # Two lines: rclpy identifies a message by its line and raises if its severity changes.
        if response.success:
            log.info(f'load_skill: {response.message}')
        else:
            log.error(f'load_skill: {response.message}')
        return response

    def _load_and_tidy(self, done: Future) -> None:
        self._load_and_swap(done)
        give_back_freed()

    def _load_and_swap(self, done: Future) -> None:
        has_swapped = threading.Event()

        def finish(success: bool, message: str) -> None:
            has_swapped.set()
            done.set_result((success, message))
            if self._node.executor is not None:
                self._node.executor.wake()

        def swap() -> None:
            try:
                if self.current is None:
                    raise ConfigError('the node is not configured any more')
                before = self.current.classes
                self._use(skill, sessions, ResetReason.BUNDLE_CHANGED)
                self.refused = ''
                self.announce()
            except Exception as error:
                finish(False, f'the old skill keeps serving: {error}')
            else:
                bundle = skill.loaded.bundle
                text = f'{bundle.manifest.name} {bundle.short_hash} serves from now on'
                finish(True, '; '.join(filter(None, (text, changes(before, skill.classes)))))

        settings = self._settings()
        try:
            skill = load_skill(settings)
            check_class_names(settings, skill.loaded.bundle.manifest.segmentation_classes)
            self._refuse_other_kind(skill)
            sessions = self._sessions(skill)
        except Exception as error:
            text = str(error) if isinstance(error, PointataError) else repr(error)
            for stream in self._streams():
                stream.statistics.failed(text)
            self.refused = f'load_skill was refused: {text}'
            finish(False, f'the old skill keeps serving: {text}')
            return
        self._between_frames(swap)
        # The skill before is gone by then; a worker that is stuck has other troubles.
        has_swapped.wait(_SWAP_TIMEOUT_S)
