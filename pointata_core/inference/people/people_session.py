# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The people of one stream: where they are, and what each of them does.

It goes with any skill that labels people. Each person has a stream of its own through the person
skill; all people of a cloud are computed in one batch. Without a person skill people are followed,
and what they do stays unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointata_core.bundles.bundle import PersonBundle
from pointata_core.errors import ConfigError
from pointata_core.inference.frames import FrameResult
from pointata_core.inference.people.crops import crop, floor_below, motion, thinned_ground
from pointata_core.inference.people.decision import UNKNOWN, decide
from pointata_core.inference.placement import UNPLACED, Placement
from pointata_core.models.person.person_network import MOTION_WIDTH
from pointata_core.taxonomy import GROUND_NAMES, PERSON_NAMES, classes_among
from pointata_core.tracking.tracker import Person, Tracker

_EARLY = 0.25  # share of the period by which a cloud may come early


@dataclass(frozen=True, eq=False)
class ObservedPerson:
    """A person, and what it does.

    Attributes:
        person: Where it is.
        action: Index into the classes of the person skill; ``UNKNOWN`` where the skill is not sure.
        scores: (K,) float32, running mean of the probabilities; empty before the first frame.
    """

    person: Person
    action: int
    scores: NDArray[np.float32]


@dataclass(eq=False)
class _Memory:
    """What is kept of a person between clouds."""

    state: Tensor  # (frames - 1, width)
    floor: float
    stamp_ns: int
    floor_ns: int
    action: int = UNKNOWN
    mean: NDArray[np.float32] | None = None


class PeopleSession:
    """Follows people and computes their actions.

    Args:
        skill: Person skill; its network is moved to the device. ``None`` to follow people only.
        classes: Names of the classes of the labels.
        device: Where to run.
        most: Most people computed for a cloud: who waits longest comes first, then the nearest.

    Attributes:
        waiting: People whose turn it was at the last cloud, and for whom there was no room.

    Raises:
        ConfigError: None of the classes is a person.
    """

    def __init__(
        self,
        skill: PersonBundle | None,
        classes: Sequence[str],
        device: torch.device | str = 'cpu',
        most: int = 12,
    ) -> None:
        self.skill, self.device, self.most = skill, torch.device(device), most
        self.network = None if skill is None else skill.network.to(self.device).eval()
        self.tracker = Tracker()
        self.waiting = 0
        self._resets: int | None = None  # of the session that gives the labels
        self._person = classes_among(classes, PERSON_NAMES)
        self._ground = classes_among(classes, GROUND_NAMES)
        self._memories: dict[int, _Memory] = {}
        if not self._person:
            raise ConfigError(
                f'none of the classes {", ".join(classes) or "(none)"} is a person',
                f'Choose a bundle with one of {", ".join(sorted(PERSON_NAMES))}',
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the actions."""
        return () if self.skill is None else self.skill.manifest.action_classes

    def follow(
        self,
        points: np.ndarray,
        result: FrameResult,
        resets: int,
        pose: np.ndarray | None = None,
        placement: Placement = UNPLACED,
    ) -> list[ObservedPerson]:
        """Take the next labelled cloud of a session, and start afresh where the session did.

        Args:
            points: (N, 3) as they entered the session; NaN and infinity allowed.
            result: The prediction.
            resets: How many histories the session had dropped when it took the cloud.
            pose: (4, 4) of the sensor in a fixed frame; ``None`` where unknown.
            placement: As of the frame that entered the session.

        Returns:
            The people, by number.
        """
        if self._resets is not None and resets != self._resets:
            self.reset()
        self._resets = resets
        upright = None if pose is None else pose @ np.linalg.inv(placement.pose)
        return self.step(placement.apply(points), result.labels, result.stamp_ns, upright)

    @torch.inference_mode()
    def step(
        self,
        points: np.ndarray,
        labels: np.ndarray,
        stamp_ns: int,
        pose: np.ndarray | None = None,
    ) -> list[ObservedPerson]:
        """Take the next cloud.

        Args:
            points: (N, 3) metres, z up; NaN and infinity allowed.
            labels: (N,) indices into the classes.
            stamp_ns: When it was taken; rising.
            pose: (4, 4) of the frame of the points in a fixed frame; ``None`` where unknown.

        Returns:
            The people, by number.
        """
        pose = np.eye(4) if pose is None else pose
        people = self.tracker.update(points, stamp_ns, np.isin(labels, self._person), pose)
        self._memories = {p.number: self._memory(p.number, stamp_ns) for p in people}
        due = self._due(people, stamp_ns)
        if due and self.skill is not None:
            self._compute(self.skill, due, points, labels, stamp_ns, pose)
        empty = np.zeros(0, np.float32)
        found = []
        for person in people:
            memory = self._memories[person.number]
            scores = empty if memory.mean is None else memory.mean
            found.append(ObservedPerson(person, memory.action, scores))
        return found

    def reset(self) -> None:
        """Forget everybody. Numbers go on, so that none means two people."""
        self.tracker.reset()
        self._memories, self.waiting = {}, 0

    def succeed(self, before: PeopleSession) -> None:
        """Take the place of another session: nobody is followed, and its numbers go on."""
        self.tracker = before.tracker
        self.reset()

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Compute once: the first time costs many times the later ones."""
        if self.network is not None:
            points = torch.zeros(1, 64, 3, device=self.device)
            motions = torch.zeros(1, MOTION_WIDTH, device=self.device)
            self.network.step(points, points[..., 0] == 0, motions, self._states(1))

    @property
    def state_bytes(self) -> int:
        """Bytes that are kept between clouds."""
        states = sum(m.state.numel() * m.state.element_size() for m in self._memories.values())
        return states + self.tracker.nbytes

    def _memory(self, number: int, stamp_ns: int) -> _Memory:
        known = self._memories.get(number)
        if known is not None:
            return known
        return _Memory(self._states(1)[0], math.nan, 0, stamp_ns)

    def _states(self, people: int) -> Tensor:
        """(P, frames - 1, width): of people that nothing is known of."""
        if self.network is None:
            return torch.zeros(people, 0, 0)
        return self.network.initial_state(people)

    def _due(self, people: Sequence[Person], stamp_ns: int) -> list[Person]:
        if self.skill is None:
            return []
        period = (1 - _EARLY) * self.skill.manifest.preparation.period_s * 1e9
        last = {p.number: self._memories[p.number].stamp_ns for p in people}
        due = [person for person in people if stamp_ns - last[person.number] >= period]
        due.sort(key=lambda person: (last[person.number], person.distance, person.number))
        self.waiting = max(0, len(due) - self.most)
        return due[: self.most]

    def _compute(
        self,
        skill: PersonBundle,
        due: Sequence[Person],
        points: np.ndarray,
        labels: np.ndarray,
        stamp_ns: int,
        pose: np.ndarray,
    ) -> None:
        settings = skill.manifest.preparation
        sensor = pose[:3, 3]

        def placed(some: np.ndarray) -> NDArray[np.float64]:
            return some.astype(np.float64) @ pose[:3, :3].T + sensor

        is_ground = np.isin(labels, self._ground)
        ground = placed(thinned_ground(points, is_ground))
        crops, motions = [], []
        for person in due:
            memory = self._memories[person.number]
            before = None if math.isnan(memory.floor) else memory.floor
            seconds = (stamp_ns - memory.floor_ns) * 1e-9
            memory.floor = floor_below(person, ground, before, seconds)
            memory.floor_ns = stamp_ns
            mine = placed(points[person.rows])
            crops.append(
                crop(mine, person, sensor, memory.floor, settings.points, settings.reach_m)
            )
            motions.append(motion(person, sensor, memory.floor))
        most = max(1, max(map(len, crops)))
        batch = np.zeros((len(crops), most, 3), np.float32)
        mask = np.zeros((len(crops), most), bool)
        for row, one in enumerate(crops):
            batch[row, : len(one)], mask[row, : len(one)] = one, True
        state = torch.stack([self._memories[person.number].state for person in due])
        arrays = (batch, mask, np.stack(motions))
        crops_in, mask_in, motion_in = (torch.from_numpy(one).to(self.device) for one in arrays)
        logits, state = skill.network.step(crops_in, mask_in, motion_in, state)
        scores = (logits.float() / settings.temperature).softmax(-1).cpu().numpy()
        for row, person in enumerate(due):
            memory = self._memories[person.number]
            memory.state, memory.stamp_ns = state[row].clone(), stamp_ns
            memory.mean, memory.action = decide(scores[row], memory.mean, memory.action, settings)

    # ------------------------------------------------------------------ state

    def save_state(self) -> dict[str, Tensor]:
        """Everything that is remembered, as named CPU tensors, ready for safetensors."""
        known = self._memories
        none = np.full(len(self.classes), np.nan, np.float32)
        means = [none if m.mean is None else m.mean for m in known.values()]
        numbers = [[n, m.stamp_ns, m.floor_ns, m.action] for n, m in known.items()]
        return {
            'tracker': torch.frombuffer(bytearray(self.tracker.to_bytes()), dtype=torch.uint8),
            'numbers': torch.tensor(numbers, dtype=torch.int64).reshape(-1, 4),
            'floors': torch.tensor([m.floor for m in known.values()], dtype=torch.float64),
            'means': torch.from_numpy(np.array(means, np.float32).reshape(len(known), len(none))),
            'states': torch.stack([m.state for m in known.values()]).cpu()
            if known
            else self._states(0).cpu(),
        }

    def restore_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue where :meth:`save_state` left off, with the same skill.

        Raises:
            ConfigError: The tensors are no state of this skill; nothing changes.
        """
        try:
            numbers, floors, means, states = (
                tensors[name] for name in ('numbers', 'floors', 'means', 'states')
            )
            count = len(numbers)
            expected = (count, *self._states(1).shape[1:])
            shapes = (tuple(numbers.shape), tuple(floors.shape), tuple(means.shape))
            if tuple(states.shape) != expected or shapes != (
                (count, 4), (count,), (count, len(self.classes)),
            ):  # fmt: skip
                raise ValueError(f'states of {tuple(states.shape)}, expected {expected}')
            data = bytes(tensors['tracker'].tolist())
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError(
                f'saved people: {error!r} for skill '
                f'{self.skill.manifest.name if self.skill else "none"}',
                'Restore a state only into a session with the skill it was saved from',
            ) from error
        self.tracker.restore(data)
        self._memories, self._resets = {}, None
        for row in range(count):
            number, stamp_ns, floor_ns, action = map(int, numbers[row])
            mean = means[row].numpy().copy()
            self._memories[number] = _Memory(
                states[row].to(self.device).clone(), float(floors[row]), stamp_ns, floor_ns, action,
                None if np.isnan(mean).all() else mean,
            )  # fmt: skip
