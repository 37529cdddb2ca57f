# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The people that a node publishes, recorded as any consumer could."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.bundles.bundle import load_person_bundle
from pointata_core.evaluation.people_log import PeopleLog, PersonView, person_at
from pointata_core.evaluation.people_truth import PeopleScores, TruePerson
from pointata_core.inference.loading import FOLLOW
from pointata_core.inference.people.decision import UNKNOWN
from pointata_core.inference.people.people_session import ObservedPerson
from pointata_core.io.messages.stamps import stamp_of
from pointata_core.taxonomy import PERSON_NAMES, classes_among

Poses = Callable[[str, int], 'NDArray[np.float64] | None']
"""Pose of a frame at a stamp in the fixed frame; ``None`` where there is none."""

_MOST_WAITING = 200
_MARGIN_M = 0.2  # around a box, for the points of its person


class DemoPeople:
    """Pairs the people of a cloud with its points.

    Args:
        skill: What the parameter ``people`` of the node is.
        classes: Classes of the labels.
        truth: True people by stamp.
        poses: Places people in the fixed frame.
    """

    def __init__(
        self,
        skill: str,
        classes: Sequence[str],
        truth: Mapping[int, tuple[TruePerson, ...]],
        poses: Poses,
    ) -> None:
        loaded = None if skill == FOLLOW else load_person_bundle(skill)
        self._facts = None if loaded is None else loaded.manifest.facts(Path(skill))
        self._actions = () if loaded is None else loaded.manifest.action_classes
        self._persons = classes_among(classes, PERSON_NAMES)
        self._truth, self._poses = truth, poses
        self._log = PeopleLog(self._actions)
        self._scores = PeopleScores(self._actions) if truth else None
        self._clouds: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._messages: OrderedDict[int, Any] = OrderedDict()

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions; empty where they stay unknown."""
        return self._actions

    def take_cloud(self, stamp_ns: int, points: np.ndarray, labels: np.ndarray) -> None:
        """Take a labelled cloud."""
        _keep(self._clouds, stamp_ns, (points, labels))
        self._join(stamp_ns)

    def take_people(self, message: Any) -> None:
        """Take a ``vision_msgs/Detection3DArray``."""
        stamp_ns = stamp_of(message)
        _keep(self._messages, stamp_ns, message)
        self._join(stamp_ns)

    def results(self) -> dict[str, Any]:
        """What ``results.json`` holds."""
        scores = None if self._scores is None else self._scores.results()
        # Places have been through messages: their digest is not that of an evaluation.
        return {'skill': self._facts, **self._log.results(), 'sha256': None, 'scores': scores}

    def views(self) -> tuple[PersonView, ...]:
        """Pictures of people."""
        return self._log.views()

    def _join(self, stamp_ns: int) -> None:
        if stamp_ns not in self._clouds or stamp_ns not in self._messages:
            return
        points, labels = self._clouds.pop(stamp_ns)
        message = self._messages.pop(stamp_ns)
        pose = self._poses(message.header.frame_id, stamp_ns)
        pose = np.eye(4) if pose is None else pose
        is_person = np.flatnonzero(np.isin(labels, self._persons))
        people = [
            self._observed(one, points, is_person, pose, stamp_ns) for one in message.detections
        ]
        self._log.add(stamp_ns, people, points)
        truth = self._truth.get(stamp_ns)
        if truth is not None and self._scores is not None:
            self._scores.add(stamp_ns, truth, people, points, pose)

    def _observed(
        self,
        one: Any,
        points: np.ndarray,
        is_person: np.ndarray,
        pose: NDArray[np.float64],
        stamp_ns: int,
    ) -> ObservedPerson:
        place, size = one.bbox.center.position, one.bbox.size
        centre = np.array([place.x, place.y, place.z])
        reach = max(size.x, size.y) / 2 + _MARGIN_M
        away = np.hypot(*(points[is_person, :2] - centre[:2]).T)
        person = person_at(
            int(one.id),
            pose[:3, :3] @ centre + pose[:3, 3],
            np.array([size.x, size.y, size.z]),
            float(np.hypot(*centre[:2])),
            is_person[away <= reach],
            stamp_ns,
        )
        found = [h.hypothesis for h in one.results if h.hypothesis.class_id in self._actions]
        scores = np.zeros(len(self._actions), np.float32)
        for hypothesis in found:
            scores[self._actions.index(hypothesis.class_id)] = hypothesis.score
        # The action that was decided on comes first.
        action = self._actions.index(found[0].class_id) if found else UNKNOWN
        return ObservedPerson(person, action, scores)


def _keep(waiting: OrderedDict[int, Any], stamp_ns: int, value: Any) -> None:
    waiting[stamp_ns] = value
    if len(waiting) > _MOST_WAITING:
        waiting.popitem(last=False)
