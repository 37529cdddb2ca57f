# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of a run, frame by frame: it can be stored, and joined with that of a later part.

Memory grows with the number of frames, not of points: of a frame, counts, action and timings are
kept; only a few clouds are kept whole, for the images.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pointata_core.errors import PointataError
from pointata_core.evaluation.metrics.latency import LatencyLog
from pointata_core.evaluation.metrics.segmentation import ConfusionMatrix
from pointata_core.evaluation.results import CameraImage, FrameFacts, Snapshot
from pointata_core.safe_files import write_atomically

SNAPSHOTS = 6
_COUNTERS = ('rejected', 'skipped', 'dropped', 'resets')
_LISTS = (
    *('stamps_ns', 'points_per_cloud', 'labelled_per_cloud', 'total_ms'),
    *('actions', 'action_scores', 'action_truth', 'scored'),
)
_SNAPSHOT = ('points', 'labels', 'truth')


class Recorded:
    """The frames of a run, or of a part of one.

    Args:
        classes: Names of the per-point classes; empty without such a head.

    Attributes:
        rejected: Malformed clouds, by reason.
        skipped: Clouds without a prediction because of stamp or transform, by reason.
        dropped: Clouds lost or dropped, by reason.
        resets: Resets of the temporal state, by reason.
        latency: Timings.
        confusion: Truth against prediction, of all points.
        camera_confusion: The same of points with an image.
        camera: Clouds and points with an image.
        class_points: ``(C,)`` labelled points of each class.
        stamps_ns: Of each frame with a prediction, as all that follow.
        points_per_cloud: Points.
        labelled_per_cloud: Points with a class.
        total_ms: Time that it took; ``None`` where unknown.
        actions: Index of the recognised action; -1 for none.
        action_scores: Its score.
        action_truth: Index of the true action; -1 for none.
        scored: Points with ground truth, and those of them with the right label.
        snapshots: A few labelled clouds.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.rejected: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.resets: Counter[str] = Counter()
        self.latency = LatencyLog()
        self.confusion = ConfusionMatrix(classes)
        self.camera_confusion = ConfusionMatrix(classes)
        self.camera = [0, 0]
        self.class_points = np.zeros(len(classes), np.int64)
        self.stamps_ns: list[int] = []
        self.points_per_cloud: list[int] = []
        self.labelled_per_cloud: list[int] = []
        self.total_ms: list[float | None] = []
        self.actions: list[int] = []
        self.action_scores: list[float] = []
        self.action_truth: list[int] = []
        self.scored: list[list[int]] = []
        self.snapshots: list[Snapshot] = []

    @property
    def times_s(self) -> list[float]:
        """Seconds of each frame after the first one."""
        start = self.stamps_ns[0] if self.stamps_ns else 0
        return [(stamp - start) * 1e-9 for stamp in self.stamps_ns]

    def frames(self) -> tuple[FrameFacts, ...]:
        """How each frame fared."""
        rows = zip(
            self.times_s, self.points_per_cloud, self.labelled_per_cloud, self.total_ms, self.scored
        )
        return tuple(
            FrameFacts(stamp, time, points, labelled, total, known, right)
            for stamp, (time, points, labelled, total, (known, right)) in zip(self.stamps_ns, rows)
        )

    def extend(self, later: Recorded) -> None:
        """Append the frames of a later part of the same recording."""
        shift = 0.0
        if self.stamps_ns and later.stamps_ns:
            shift = (later.stamps_ns[0] - self.stamps_ns[0]) * 1e-9
        for name in _COUNTERS:
            getattr(self, name).update(getattr(later, name))
        for name in _LISTS:
            getattr(self, name).extend(getattr(later, name))
        for stage, samples in later.latency.samples_ms.items():
            self.latency.samples_ms.setdefault(stage, []).extend(samples)
        self.confusion.counts += later.confusion.counts
        self.camera_confusion.counts += later.camera_confusion.counts
        self.camera = [a + b for a, b in zip(self.camera, later.camera)]
        self.class_points += later.class_points
        self.snapshots += [replace(s, time_s=s.time_s + shift) for s in later.snapshots]

    def thin_snapshots(self) -> None:
        """Keep as many clouds as one report shows, spread evenly."""
        last = len(self.snapshots) - 1
        if last >= SNAPSHOTS:
            chosen = {round(last * i / (SNAPSHOTS - 1)) for i in range(SNAPSHOTS)}
            self.snapshots = [self.snapshots[i] for i in sorted(chosen)]

    def save(self, path: Path) -> None:
        """Write everything to one file.

        Raises:
            OutputError: It cannot be written.
        """
        arrays = {
            'confusion': self.confusion.counts,
            'camera_confusion': self.camera_confusion.counts,
            'class_points': self.class_points,
        }
        for number, snapshot in enumerate(self.snapshots):
            for name in _SNAPSHOT:
                if getattr(snapshot, name) is not None:
                    arrays[f'{name}_{number}'] = getattr(snapshot, name)
            if snapshot.camera is not None:
                image = snapshot.camera
                arrays[f'image_{number}'] = image.image
                arrays[f'seen_{number}'] = image.seen
                arrays[f'pixels_{number}'] = image.pixels
        plain = {name: getattr(self, name) for name in (*_COUNTERS, *_LISTS, 'camera')}
        plain['latency'] = self.latency.samples_ms
        plain['snapshot_times_s'] = [snapshot.time_s for snapshot in self.snapshots]
        arrays['plain'] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        write_atomically(path, partial(_write, arrays))

    @classmethod
    def load(cls, path: Path, classes: Sequence[str]) -> Recorded:
        """Read what :meth:`save` wrote.

        Raises:
            PointataError: The file is absent, damaged or of other classes.
        """
        new = cls(classes)
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = dict(archive)
            new._take(json.loads(arrays['plain'].tobytes()), arrays)
        except Exception as error:  # whatever a damaged archive leads to
            raise PointataError(
                f'{path} cannot be used: {error}', 'Delete it and run the command again'
            ) from error
        return new

    def _take(self, plain: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        for name in _COUNTERS:
            getattr(self, name).update(plain[name])
        for name in _LISTS:
            getattr(self, name).extend(plain[name])
        self.latency.samples_ms = plain['latency']
        self.camera = plain['camera']
        self.confusion.counts += arrays['confusion']
        self.camera_confusion.counts += arrays['camera_confusion']
        self.class_points += arrays['class_points']
        for number, time_s in enumerate(plain['snapshot_times_s']):
            points, labels, truth = (arrays.get(f'{name}_{number}') for name in _SNAPSHOT)
            if points is None or labels is None:
                raise ValueError(f'cloud {number} is absent')
            image = arrays.get(f'image_{number}')
            camera = None
            if image is not None:
                camera = CameraImage(image, arrays[f'seen_{number}'], arrays[f'pixels_{number}'])
            self.snapshots.append(Snapshot(points, labels, time_s, truth, camera))


def _write(arrays: dict[str, np.ndarray], stream: BinaryIO) -> None:
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # its stub takes names for options
