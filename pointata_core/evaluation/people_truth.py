# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""True people of a recording, and how well those that were followed agree with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pointata_core.errors import BagError
from pointata_core.evaluation.metrics.actions import TimelineScores, segments
from pointata_core.evaluation.metrics.tracking import TrackingScores
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.stamps import stamp_of

if TYPE_CHECKING:  # loads torch
    from pointata_core.inference.people.people_session import ObservedPerson

DETECTIONS = 'vision_msgs/msg/Detection3DArray'
TRACKS_TRUTH_TOPIC = '/ground_truth/people'

_SEEN = 5  # points in the box of a person from which on it can be found
_MATCH_M = 1.0
_KNEE_M = 0.25  # height above the foot of a box below which points may be ground


@dataclass(frozen=True, eq=False)
class TruePerson:
    """Somebody in the ground truth of one cloud.

    Attributes:
        name: The same in all clouds.
        centre: (3,) metres, middle of its box in the frame of the cloud.
        size: (3,) metres, of the upright box.
        actions: Names of what it does; empty where that is not told.
    """

    name: str
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    actions: tuple[str, ...]


def read_people(reader: BagReader, topic: str | None) -> dict[int, tuple[TruePerson, ...]]:
    """True people by stamp.

    Args:
        reader: Of the recording.
        topic: ``vision_msgs/Detection3DArray`` in the frame of the clouds; ``None`` for no truth.

    Raises:
        BagError: There is no such topic, or it has messages of another type.
    """
    if topic is None:
        return {}
    found = reader.topic(topic)
    if found.type != DETECTIONS:
        raise BagError(
            f'{reader.path}: topic {topic} has {found.type}, expected {DETECTIONS}',
            'Name the topic of true people with --tracks-topic',
        )
    return {
        stamp_of(message): tuple(map(_person, message.detections))
        for _, _, message in reader.messages([topic])
    }


def _person(detection: Any) -> TruePerson:
    place, size = detection.bbox.center.position, detection.bbox.size
    names = [one.hypothesis.class_id for one in detection.results]
    return TruePerson(
        detection.id,
        np.array([place.x, place.y, place.z]),
        np.array([size.x, size.y, size.z]),
        tuple(name for name in names if name != 'person'),
    )


class PeopleScores:
    """Compares people that were followed with those of the ground truth.

    Args:
        classes: Names of the actions of the person skill; empty where actions stay unknown.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._tracking = TrackingScores()
        self._numbers: dict[str, int] = {}
        self._timelines: dict[int, list[tuple[int, int, int]]] = {}

    def add(
        self,
        stamp_ns: int,
        truth: Sequence[TruePerson],
        people: Sequence[ObservedPerson],
        points: np.ndarray,
        to_fixed: NDArray[np.float64],
    ) -> None:
        """Count one cloud.

        Args:
            stamp_ns: Of the cloud.
            truth: Who is there.
            people: Who was found.
            points: (N, 3) metres, the cloud.
            to_fixed: (4, 4) from the frame of the cloud into that in which people are followed.
        """
        names = np.array([self._numbers.setdefault(o.name, len(self._numbers)) for o in truth])
        places = np.array([to_fixed[:2, :3] @ o.centre + to_fixed[:2, 3] for o in truth])
        places = places.reshape(-1, 2)
        found = np.array([o.person.centre[:2] for o in people]).reshape(-1, 2)
        hidden = np.array([_points_in(one, points) < _SEEN for one in truth], bool)
        numbers = np.array([o.person.number for o in people], np.int64)
        self._tracking.add(names, places, numbers, found, hidden)
        apart = np.linalg.norm(places[:, None] - found[None], axis=2)
        rows, columns = linear_sum_assignment(np.minimum(apart, 2 * _MATCH_M))
        match = {int(r): int(c) for r, c in zip(rows, columns) if apart[r, c] <= _MATCH_M}
        for row, one in enumerate(truth):
            known = [self._classes.index(a) for a in one.actions if a in self._classes]
            if known and not hidden[row]:
                action = people[match[row]].action if row in match else -1
                self._timelines.setdefault(int(names[row]), []).append((stamp_ns, action, known[0]))

    def results(self) -> dict[str, Any] | None:
        """Plain values: of following, and of actions where both have them; ``None`` for nobody."""
        followed = self._tracking.score()
        if followed is None:
            return None
        scores: dict[str, Any] = {'tracking': asdict(followed), 'action': None}
        timelines, changes, seconds = TimelineScores(), np.zeros(2, np.int64), 0.0
        for rows in self._timelines.values():
            stamps, found, true = np.array(rows).T
            timelines.add(found, true)
            seconds += (stamps[-1] - stamps[0]) * 1e-9
            for column, row in enumerate((found, true)):
                changes[column] += len(segments(row)) - 1
        if self._timelines and (score := timelines.score()) is not None:
            minutes = max(seconds / 60, 1e-9)
            scores['action'] = {
                **asdict(score),
                'changes_per_minute': float(changes[0] / minutes),
                'true_changes_per_minute': float(changes[1] / minutes),
            }
        return scores


def _points_in(one: TruePerson, points: np.ndarray) -> int:
    with np.errstate(invalid='ignore'):
        offset = np.abs(points - one.centre.astype(np.float32))
        above = points[:, 2] > one.centre[2] - one.size[2] / 2 + _KNEE_M
        return int(((offset <= one.size / 2).all(1) & above).sum())
