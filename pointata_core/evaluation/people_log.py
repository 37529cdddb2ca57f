# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where each person was in a recording, and what it did."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pointata_core.evaluation.results import ActionSegment
from pointata_core.evaluation.timeline import action_segments
from pointata_core.tracking.tracker import Person

if TYPE_CHECKING:  # loads torch
    from pointata_core.inference.people.people_session import ObservedPerson

_PATH_STEP_S = 0.5
_MOST_VIEWS, _FEWEST_POINTS, _MOST_POINTS = 16, 12, 2000


@dataclass(frozen=True)
class PersonTrack:
    """One person of a recording. Times are seconds after the first frame.

    Attributes:
        number: Names the person in this recording.
        start_s: First frame with it.
        end_s: Last frame with it.
        frames: Frames with it.
        hidden_frames: Those of them in which it was not seen.
        nearest_m: Least distance from the sensor, metres.
        path: Time, x and y in the fixed frame, twice a second.
        actions: What it did; stretches in which that is unknown are left out.
    """

    number: int
    start_s: float
    end_s: float
    frames: int
    hidden_frames: int
    nearest_m: float
    path: tuple[tuple[float, float, float], ...]
    actions: tuple[ActionSegment, ...]


@dataclass(frozen=True, eq=False)
class PersonView:
    """A person at one moment, as the sensor sees it.

    Attributes:
        number: Of the person.
        time_s: After the first frame.
        action: What it does.
        score: Of the action.
        points: (n, 3) float32 metres: away from the sensor, to the left of that, and up.
    """

    number: int
    time_s: float
    action: str
    score: float
    points: np.ndarray


def person_at(
    number: int,
    centre: np.ndarray,
    size: np.ndarray,
    distance: float,
    rows: np.ndarray,
    stamp_ns: int,
) -> Person:
    """A person as a message tells it, without velocity; arguments as of `Person`."""
    still = np.zeros(2)
    return Person(number, centre, size, still, distance, rows, stamp_ns, stamp_ns)


@dataclass(eq=False)
class _Notes:
    times: list[float] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    hidden: int = 0
    nearest: float = np.inf
    path: list[tuple[float, float, float]] = field(default_factory=list)


class PeopleLog:
    """Collects the people of one run; memory grows with people and frames, not with points.

    Args:
        classes: Names of the actions.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = tuple(classes)
        self._notes: dict[int, _Notes] = {}
        self._first_ns: int | None = None
        self._digest = hashlib.sha256()
        self._most = 0
        self._views: dict[tuple[int, int], PersonView] = {}

    def add(
        self,
        stamp_ns: int,
        people: Sequence[ObservedPerson],
        points: np.ndarray | None = None,
    ) -> None:
        """Take the people of one frame.

        Args:
            stamp_ns: Of the frame.
            people: Who is there.
            points: (N, 3) metres in the frame of the sensor, z up; ``None`` for no pictures.
        """
        self._first_ns = stamp_ns if self._first_ns is None else self._first_ns
        time_s = (stamp_ns - self._first_ns) * 1e-9
        self._most = max(self._most, len(people))
        for one in people:
            person = one.person
            self._digest.update(
                np.array([stamp_ns, person.number, one.action], '<i8').tobytes()
                + person.centre.astype('<f8').tobytes()
            )
            notes = self._notes.setdefault(person.number, _Notes())
            notes.times.append(time_s)
            notes.actions.append(one.action)
            notes.scores.append(float(one.scores[one.action]) if one.action >= 0 else 0.0)
            notes.hidden += not len(person.rows)
            notes.nearest = min(notes.nearest, person.distance)
            if not notes.path or time_s - notes.path[-1][0] >= _PATH_STEP_S:
                x, y = person.centre[:2]
                notes.path.append((round(time_s, 3), round(float(x), 3), round(float(y), 3)))
            if points is not None:
                self._look(time_s, one, points)

    def views(self) -> tuple[PersonView, ...]:
        """Those who are seen best while they do something, by number and time; one an action."""
        best = sorted(self._views.values(), key=lambda view: -view.score)[:_MOST_VIEWS]
        return tuple(sorted(best, key=lambda view: (view.number, view.time_s)))

    def _look(self, time_s: float, one: ObservedPerson, points: np.ndarray) -> None:
        rows, action = one.person.rows, one.action
        if action < 0 or len(rows) < _FEWEST_POINTS:
            return
        before, score = self._views.get((one.person.number, action)), float(one.scores[action])
        if before is None or score > before.score:
            mine = points[rows[:: -(-len(rows) // _MOST_POINTS)]].astype(np.float64)
            x, y = mine[:, :2].mean(0)
            view = np.array([[x, y], [-y, x]]) / max(np.hypot(x, y), 1e-6)
            turned = np.column_stack([(mine[:, :2] - [x, y]) @ view.T, mine[:, 2]])
            name = self._classes[action]
            self._views[one.person.number, action] = PersonView(
                one.person.number, time_s, name, score, turned.astype(np.float32)
            )

    def results(self) -> dict[str, Any]:
        """Classes, tracks by number, most people at once, and a digest of all of it."""
        return {
            'classes': self._classes,
            'most_at_once': self._most,
            'sha256': self._digest.hexdigest(),
            'tracks': tuple(self._track(number, n) for number, n in sorted(self._notes.items())),
        }

    def _track(self, number: int, notes: _Notes) -> PersonTrack:
        return PersonTrack(
            number,
            round(notes.times[0], 6),
            round(notes.times[-1], 6),
            len(notes.times),
            notes.hidden,
            round(notes.nearest, 3),
            tuple(notes.path),
            action_segments(notes.times, notes.actions, self._classes, notes.scores),
        )
