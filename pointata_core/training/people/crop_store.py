# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated people, cut out of their scenes as a running session cuts them out.

A tracker follows them by their true labels, so crops have its centres, floors and velocities. Each
recording becomes one file of the cache.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pointata_core.bundles.person_manifest import PersonPreparation
from pointata_core.inference.people.crops import crop, floor_below, motion, thinned_ground
from pointata_core.models.person.person_network import MOTION_WIDTH
from pointata_core.safe_files import write_atomically
from pointata_core.simulation import SimulatedFrame, simulate
from pointata_core.simulation.people.performance import Performance
from pointata_core.simulation.scanning import PersonTruth
from pointata_core.simulation.sensing.sensors import SensorModel, get_sensor
from pointata_core.taxonomy import (
    GROUND_NAMES,
    PERSON_ACTIONS,
    SEGMENTATION_CLASSES,
    class_id,
    classes_among,
)
from pointata_core.tracking.tracker import Tracker
from pointata_core.training.engine.run_folder import cache_lock
from pointata_core.training.people.settings import PeopleMix

CLASSES = PERSON_ACTIONS
"""Actions of a person."""

VERSION = 3
KEPT_POINTS = 128
"""Most points of a crop in the cache; skills that take fewer share it."""

_GROUND = classes_among(SEGMENTATION_CLASSES, GROUND_NAMES)
_RATE_HZ = 10.0
_AHEAD = 1.25  # radians to each side


@dataclass(frozen=True, eq=False)
class PersonClip:
    """One person from its first frame to its last.

    Attributes:
        points: (P, 3) float16 crops of all frames one after the other.
        first: (T + 1,) first point of each frame.
        motion: (T, MOTION_WIDTH) float32.
        action: (T,) int64, index into `CLASSES`; -1 where several people are mixed or none is seen.
        distance: (T,) float32 metres.
        unseen: (T,) bool, whether body and motion are left out of training.
        sensor: Its name.
    """

    points: np.ndarray
    first: np.ndarray
    motion: np.ndarray
    action: np.ndarray
    distance: np.ndarray
    unseen: np.ndarray
    sensor: str


def read_clips(
    mixes: Sequence[PeopleMix],
    preparation: PersonPreparation,
    cache: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    held_out: bool = True,
) -> list[PersonClip]:
    """All people of some recordings, simulated once and kept; see :func:`cut_out`."""
    jobs = [(mix, seed) for mix in mixes for seed in range(*mix.seeds)]
    clips: list[PersonClip] = []
    with cache_lock(cache):
        for number, (mix, seed) in enumerate(jobs, start=1):
            path = cache / f'{_key(mix, seed, preparation, held_out)}.npz'
            if not path.is_file():
                arrays = _arrays(cut_out(mix, seed, preparation, held_out=held_out))
                # The stub takes names for options.
                write_atomically(path, partial(np.savez, **arrays))  # type: ignore[arg-type]
            clips += [thinned(clip, preparation.points) for clip in _clips(path, mix.sensor)]
            progress(number, len(jobs))
    return clips


def thinned(clip: PersonClip, most: int) -> PersonClip:
    """The same person with crops of fewer points, evenly chosen."""
    sizes = np.diff(clip.first)
    if sizes.max(initial=0) <= most:
        return clip
    rows = [
        start + np.linspace(0, size - 1, min(size, most)).astype(np.int64)
        for start, size in zip(clip.first[:-1], sizes)
    ]
    first = np.concatenate([[0], np.cumsum([len(one) for one in rows])]).astype(np.int64)
    return replace(clip, points=clip.points[np.concatenate(rows)], first=first)


def cut_out(
    mix: PeopleMix, seed: int, preparation: PersonPreparation, *, held_out: bool = True
) -> list[PersonClip]:
    """Simulate one recording and cut its people out.

    Args:
        mix: Scene and sensor.
        seed: Of the recording.
        preparation: Of crops.
        held_out: Whether bodies that training leaves out are there.
    """
    tracker = Tracker()
    open_clips: dict[int, list] = {}
    floors: dict[int, float] = {}
    sensor_model = _ahead(mix.sensor)

    def keep(person: Performance) -> bool:
        return (held_out or not _is_left_out(person.body)) and _comes_by(person, sensor_model)

    frames = simulate(mix.scene, sensor_model, seed, mix.seconds, _RATE_HZ, meshes=1.0, keep=keep)
    for frame in frames:
        sensor = frame.pose[:3, 3]
        is_person = frame.label == class_id('person')
        people = tracker.update(frame.points, frame.stamp_ns, is_person, frame.pose)
        placed = frame.points.astype(np.float64) @ frame.pose[:3, :3].T + sensor
        ground = thinned_ground(placed, np.isin(frame.label, _GROUND))
        for person in people:
            floor = floor_below(person, ground, floors.get(person.number), 1 / _RATE_HZ)
            floors[person.number] = floor
            most = max(KEPT_POINTS, preparation.points)
            found = crop(placed[person.rows], person, sensor, floor, most, preparation.reach_m)
            action, unseen = true_action(frame, person.rows)
            row = (found, motion(person, sensor, floor), action, person.distance, unseen)
            open_clips.setdefault(person.number, []).append(row)
    return [_clip(rows, mix.sensor) for rows in open_clips.values()]


def _ahead(name: str) -> SensorModel:
    """The sensor with the part of a turn in which people are: the rest costs time only."""
    sensor = get_sensor(name)
    if not sensor.is_spinning or sensor.azimuths[1] - sensor.azimuths[0] <= 2 * _AHEAD:
        return sensor
    columns = round(2 * _AHEAD / sensor.column_step)
    width = columns * sensor.column_step / 2
    return replace(sensor, columns=columns, azimuths=(-width, width))


def true_action(frame: SimulatedFrame, rows: np.ndarray) -> tuple[int, bool]:
    """Action of the person that the points belong to, and whether training leaves it out.

    Args:
        frame: The scan.
        rows: (n,) points of a followed person among those of the scan.

    Returns:
        An index into `CLASSES`, -1 where the points are of several people or none.
    """
    if not len(rows):
        return -1, False
    count = np.bincount(frame.instance[rows])
    owner = int(count.argmax())
    if count[owner] < 0.7 * len(rows):
        return -1, False
    for person in frame.people:
        if person.instance == owner:
            return CLASSES.index(person.doing), is_held_out(person)
    return -1, False


def _comes_by(person: Performance, sensor: SensorModel) -> bool:
    """Whether a camera that looks along x sees the person at any time."""
    x, y = person.path[:, :2].T
    return not sensor.is_camera or bool((np.abs(y) < sensor.half_width * x).any())


def _is_left_out(body: object) -> bool:
    return getattr(body, 'phenotype', -1) % 4 == 3


def is_held_out(person: PersonTruth) -> bool:
    """Whether training leaves out this body or the clip that it performs: a quarter of each."""
    clip = bool(person.clip) and zlib.crc32(person.clip.encode()) % 4 == 3
    return clip or person.phenotype % 4 == 3  # -1, a body of capsules, is one of them


def _clip(rows: list, sensor: str) -> PersonClip:
    points = [row[0] for row in rows]
    return PersonClip(
        points=np.concatenate(points).astype(np.float16),
        first=np.concatenate([[0], np.cumsum([len(one) for one in points])]).astype(np.int64),
        motion=np.stack([row[1] for row in rows]).reshape(-1, MOTION_WIDTH),
        action=np.array([row[2] for row in rows], np.int64),
        distance=np.array([row[3] for row in rows], np.float32),
        unseen=np.array([row[4] for row in rows], bool),
        sensor=sensor,
    )


def _key(mix: PeopleMix, seed: int, preparation: PersonPreparation, held_out: bool) -> str:
    facts = [VERSION, mix.scene, mix.sensor, seed, mix.seconds]
    facts += [] if held_out else ['bodies of training']
    facts += [max(KEPT_POINTS, preparation.points), preparation.reach_m, preparation.period_s]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


_NAMES = ('points', 'first', 'motion', 'action', 'distance', 'unseen')


def _arrays(clips: list[PersonClip]) -> dict[str, np.ndarray]:
    arrays = {f'{n}_{name}': getattr(c, name) for n, c in enumerate(clips) for name in _NAMES}
    return {'clips': np.int64(len(clips)), **arrays}


def _clips(path: Path, sensor: str) -> list[PersonClip]:
    with np.load(path) as file:
        return [
            PersonClip(**{name: file[f'{n}_{name}'] for name in _NAMES}, sensor=sensor)
            for n in range(int(file['clips']))
        ]
