# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person skill makes of people it never learned from: simulated ones, and real ones.

    python -m benchmarks people-actions [--utd-mhad DIR] [--msr DIR]

Real people are the training subjects of UTD-MHAD and MSR-Action3D; the skill learned from neither.
Their recordings hold one action each, of a person without surroundings. Only actions that the skill
has are played; the answer is the one of these that is decided on most often, or where none is, the
one with the highest mean score.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from benchmarks.experiments.people_tracking import count_frame
from benchmarks.tables.markdown import table
from pointata_core.bundles.bundle import PersonBundle, load_person_bundle
from pointata_core.datasets.actions import msr_action3d, utd_mhad
from pointata_core.datasets.sequences import Recording, SequenceClips
from pointata_core.evaluation.metrics.actions import TimelineScores, segments
from pointata_core.evaluation.metrics.tracking import TrackingScores
from pointata_core.inference.ego_motion import PoseChain
from pointata_core.inference.frames import Frame, Skipped
from pointata_core.inference.loading import LoadedBundle, open_bundle
from pointata_core.inference.people.decision import UNKNOWN
from pointata_core.inference.people.people_session import ObservedPerson, PeopleSession
from pointata_core.simulation import SimulatedFrame, simulate
from pointata_core.training.people.crop_store import true_action

_RANGE = 10.0  # metres; whoever is farther away does not count
_SENSORS = ('vlp16', 'rs16', 'hdl64', 'kinect')
_UPRIGHT = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # from optical axes
_RATE_HZ = 15.0  # of recordings that have no times
_THINNED = 4  # every so many points of a depth image

UTD_MHAD = {
    'wave': ('wave',),
    'throw': ('throw',),
    'boxing': ('punch',),
    'pick up and throw': ('pick_up', 'throw'),
    'jog': ('run',),
    'walk': ('walk',),
    'sit to stand': ('stand_up',),
    'stand to sit': ('sit_down', 'sit'),
}
"""Actions of UTD-MHAD that a skill can have, and what it calls them."""

MSR_ACTION3D = {
    'high throw': ('throw',),
    'forward punch': ('punch',),
    'two-hand wave': ('wave',),
    'bend': ('pick_up',),
    'forward kick': ('kick',),
    'side kick': ('kick',),
    'jogging': ('run',),
    'pick up and throw': ('pick_up', 'throw'),
}
"""The same of MSR-Action3D."""


def answer(
    skill: PersonBundle, contents: Iterator[tuple[np.ndarray, float]], names: Sequence[str]
) -> str:
    """The action of one recording of a person alone.

    Args:
        skill: Person skill.
        contents: Points (N, 3) in the optical frame of the camera, and seconds.
        names: Actions to choose from.
    """
    session = PeopleSession(skill, ('person',))
    total = np.zeros(len(session.classes))
    decided = np.zeros(len(session.classes), np.int64)
    for points, time_s in contents:
        upright = points[::_THINNED] @ _UPRIGHT.T.astype(np.float32)
        people = session.step(upright, np.zeros(len(upright), np.int64), int(1e9 * (1 + time_s)))
        if people:
            largest = max(people, key=lambda one: (len(one.person.rows), -one.person.number))
            if len(largest.scores):
                total += largest.scores
            if largest.action != UNKNOWN:
                decided[largest.action] += 1
    columns = [session.classes.index(name) for name in names]
    return names[int(np.lexsort((total[columns], decided[columns]))[-1])]


def real_people(
    skill: PersonBundle,
    clips: SequenceClips,
    read: Callable[[Recording], Any],
    accepted: dict[str, tuple[str, ...]],
    every: int,
) -> dict[str, Any]:
    """Recordings of a data set: how many are answered rightly, by class."""
    names = sorted({name for group in accepted.values() for name in group})
    rows = {name: {'recordings': 0, 'right': 0, 'answers': {}} for name in accepted}
    for recording in clips.recordings[::every]:
        true = clips.classes[recording.action]
        if true not in accepted:
            continue
        content = read(recording)
        times = content.times_s
        times = np.arange(len(content.points)) / _RATE_HZ if times is None else times
        found = answer(skill, zip(content.points, times, strict=True), names)
        row: dict[str, Any] = rows[true]
        row['recordings'] += 1
        row['right'] += found in accepted[true]
        row['answers'][found] = row['answers'].get(found, 0) + 1
    count = sum(row['recordings'] for row in rows.values())
    right = sum(row['right'] for row in rows.values())
    return {'recordings': count, 'right': right, 'choices': names, 'classes': rows}


class _Simulated:
    """Scores of one sensor and one source of labels."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.timelines, self.tracks = TimelineScores(), TrackingScores()
        self.changes, self.seconds = np.zeros(2, np.int64), 0.0
        self._rows: dict[int, list[tuple[int, int]]] = {}

    def add(self, frame: SimulatedFrame, people: Sequence[ObservedPerson]) -> None:
        for one in people:
            true, unseen = true_action(frame, one.person.rows)
            true = true if unseen and one.person.distance <= _RANGE else -1
            self._rows.setdefault(one.person.number, []).append((one.action, true))

    def next_recording(self) -> None:
        self.tracks.next_recording()
        for rows in self._rows.values():
            predicted, truth = np.array(rows).T
            self.timelines.add(predicted, truth)
            known = truth >= 0
            self.seconds += 0.1 * known.sum()
            for column, row in enumerate((predicted[known], truth[known])):
                self.changes[column] += max(0, len(segments(row)) - 1)
        self._rows = {}

    def row(self) -> dict[str, Any]:
        found, followed = self.timelines.score(), self.tracks.score()
        minutes = max(self.seconds / 60, 1e-9)
        return {
            'frames': found.frames if found else 0,
            'accuracy': found.accuracy if found else None,
            'f1_50': found.f1['50'] if found else None,
            'edit': found.edit if found else None,
            'changes_per_minute': self.changes[0] / minutes,
            'true_changes_per_minute': self.changes[1] / minutes,
            'hota': followed.hota if followed else None,
        }


def simulated(
    options: argparse.Namespace, loaded: LoadedBundle, skill: PersonBundle, sensor: str
) -> Iterator[dict[str, Any]]:
    """Recordings of a stage, followed by true labels and by those of the scene bundle."""
    kinds = ('true labels', f'labels of {loaded.bundle.manifest.name}')
    scores = {kind: _Simulated(skill.manifest.action_classes) for kind in kinds}
    classes = loaded.bundle.manifest.segmentation_classes
    for seed in range(options.first_seed, options.first_seed + options.recordings):
        session, poses = loaded.session(), PoseChain()
        followed = {kind: PeopleSession(skill, classes) for kind in kinds}
        for frame in simulate(options.scene, sensor, seed, options.seconds):
            pending = session.submit(
                Frame(frame.points, frame.stamp_ns, transform=poses.motion_to(frame.pose))
            )
            assert not isinstance(pending, Skipped)
            labels = pending.result().labels
            poses.accept(frame.pose)
            for kind, one in zip(kinds, (frame.label, labels), strict=True):
                people = followed[kind].step(frame.points, one, frame.stamp_ns, frame.pose)
                scores[kind].add(frame, people)
                count_frame(scores[kind].tracks, frame, [p.person for p in people])
        for kind in kinds:
            scores[kind].next_recording()
        log(f'{sensor}, seed {seed}')
    for kind in kinds:
        yield {'sensor': sensor, 'labels': kind, **scores[kind].row()}


def run(options: argparse.Namespace) -> None:
    """Play, score and write."""
    skill = load_person_bundle(options.people)
    loaded = open_bundle(options.bundle, 'cpu', num_threads=None)
    real = {}
    for name, module, folder, accepted in (
        ('utd_mhad', utd_mhad, options.utd_mhad, UTD_MHAD),
        ('msr_action3d', msr_action3d, options.msr, MSR_ACTION3D),
    ):
        if folder is not None:
            clips = getattr(module, name)(folder, 'train', strict=False)
            real[name] = real_people(skill, clips, module.read_recording, accepted, options.every)
            log(f'{name}: {real[name]["right"]} of {real[name]["recordings"]} right')
    rows = [row for sensor in options.sensors for row in simulated(options, loaded, skill, sensor)]
    if rows:
        print(table(tuple(rows[0]), [tuple(row.values()) for row in rows]))
    settings = settings_of(options, 'scene', 'recordings', 'seconds', 'first_seed', 'every')
    facts = {'skill': skill.manifest.name, 'bundle': loaded.bundle.manifest.name}
    write_results(options.output, settings, rows=rows, real=real, **facts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine(
        'people-actions', __doc__, recordings=1, seconds=0.6, sensors=['kinect'], every=40
    )
    line.add_argument('--recordings', type=int, default=4, help='of each sensor')
    line.add_argument('--seconds', type=float, default=8.0)
    line.add_argument('--first-seed', type=int, default=990_000)
    line.add_argument('--scene', default='stage')
    line.add_argument('--sensors', nargs='*', default=list(_SENSORS))
    line.add_argument('--bundle', default='models/default')
    line.add_argument('--people', type=Path, default=Path('models/people'))
    line.add_argument('--utd-mhad', type=Path, help='folder of the data set; left out without it')
    line.add_argument('--msr', type=Path, help='the same')
    line.add_argument('--every', type=int, default=1, help='play one of so many recordings')
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
