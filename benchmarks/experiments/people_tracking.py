# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well people are followed through simulated crowds: HOTA, IDF1 and MOTA.

    python -m benchmarks people-tracking [--recordings 4] [--seconds 10]

Each recording is followed twice, by the true labels of points and by those of the bundle. People
who have fewer than five points at that instant are hidden: neither finding nor missing them counts.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.command_line import CommandLine, log, run_main, settings_of, write_results
from benchmarks.tables.markdown import table
from pointata_core.evaluation.metrics.tracking import TrackingScores
from pointata_core.inference.ego_motion import PoseChain
from pointata_core.inference.frames import Frame, Skipped
from pointata_core.inference.loading import open_bundle
from pointata_core.simulation import SimulatedFrame, simulate
from pointata_core.simulation.scanning import ACTOR_POINTS
from pointata_core.taxonomy import class_id
from pointata_core.tracking.tracker import Person, Tracker

_GROUPS = ((1, 3), (4, 6), (7, 12))
_SENSORS = ('vlp16', 'rs16', 'hdl64', 'kinect')
_RANGE = 15.0  # metres; whoever is farther away does not count
_MOST_SEEDS = 60


def count_frame(scores: TrackingScores, frame: SimulatedFrame, people: Sequence[Person]) -> None:
    """Count one frame in which these people were found."""
    sensor = frame.pose[:2, 3]
    places = np.array([one.place[:2] for one in frame.people]).reshape(-1, 2)
    away = np.linalg.norm(places - sensor, axis=1)
    few = np.array([one.points < ACTOR_POINTS for one in frame.people], bool)
    scores.add(
        np.array([one.instance for one in frame.people]),
        places,
        np.array([one.number for one in people]),
        np.array([one.centre[:2] for one in people]).reshape(-1, 2),
        few | (away > _RANGE),
    )


def crowds(options: argparse.Namespace, sensor: str) -> list[tuple[int, int]]:
    """Seeds of recordings and their numbers of people, equally many of each group."""
    wanted = dict.fromkeys(_GROUPS, options.recordings)
    found = []
    for seed in range(options.first_seed, options.first_seed + _MOST_SEEDS):
        count = len(next(iter(simulate('crowd', sensor, seed, 0.1))).people)
        group = next(group for group in _GROUPS if group[0] <= count <= group[1])
        if wanted[group]:
            wanted[group] -= 1
            found.append((seed, count))
        if not any(wanted.values()):
            break
    return found


def run(options: argparse.Namespace) -> None:
    """Follow, score and write."""
    loaded = open_bundle(options.bundle, 'cpu', num_threads=None)
    classes = loaded.bundle.manifest.segmentation_classes
    person = classes.index('person')
    kinds = ('true labels', f'labels of {loaded.bundle.manifest.name}')
    scores = {
        (sensor, group, kind): TrackingScores()
        for sensor in options.sensors
        for group in _GROUPS
        for kind in kinds
    }
    for sensor in options.sensors:
        for seed, count in crowds(options, sensor):
            group = next(group for group in _GROUPS if group[0] <= count <= group[1])
            session, poses = loaded.session(), PoseChain()
            trackers = {kind: Tracker() for kind in kinds}
            for frame in simulate('crowd', sensor, seed, options.seconds):
                motion = poses.motion_to(frame.pose)
                given = Frame(frame.points, frame.stamp_ns, transform=motion)
                pending = session.submit(given)
                assert not isinstance(pending, Skipped)
                result = pending.result()
                poses.accept(frame.pose)
                masks = (frame.label == class_id('person'), result.labels == person)
                for kind, mask in zip(kinds, masks, strict=True):
                    people = trackers[kind].update(frame.points, frame.stamp_ns, mask, frame.pose)
                    count_frame(scores[sensor, group, kind], frame, people)
            for kind in kinds:
                scores[sensor, group, kind].next_recording()
            log(f'{sensor}, seed {seed}, {count} people')
    rows = [
        {
            'sensor': sensor,
            'crowd': f'{group[0]}–{group[1]}',
            'labels': kind,
            **dataclasses.asdict(found),
        }
        for (sensor, group, kind), one in scores.items()
        if (found := one.score()) is not None
    ]
    print(table(tuple(rows[0]), [tuple(row.values()) for row in rows]))
    settings = settings_of(options, 'recordings', 'seconds', 'first_seed')
    write_results(options.output, settings, rows=rows, bundle=loaded.bundle.manifest.name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    line = CommandLine('people-tracking', __doc__, recordings=1, seconds=0.4, sensors=['kinect'])
    line.add_argument('--recordings', type=int, default=4, help='of each number of people')
    line.add_argument('--seconds', type=float, default=10.0)
    line.add_argument('--first-seed', type=int, default=950_000)
    line.add_argument('--sensors', nargs='+', default=list(_SENSORS))
    line.add_argument('--bundle', default='models/default')
    options = line.options(arguments)
    return run_main(lambda: run(options), options.threads)
