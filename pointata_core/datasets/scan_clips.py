# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips from recordings of a moving sensor, whose scans are read one by one.

With the window ``causal`` and a hop of 1, every scan is the last one of exactly one clip, after the
scans before it. A clip then holds what a live stream has received, and each scan is scored once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import Clip, Description, Frame
from pointata_core.datasets.sampling import ClipSampling
from pointata_core.datasets.sequences import RecordingClips

CAUSAL_CLIPS = ClipSampling(window='causal', frames=8)


class ScanRecording(Protocol):
    """One recording whose scans can be read by number.

    Attributes:
        name: Unique in the data set.
        has_poses: Whether every scan has a pose.
    """

    name: str
    has_poses: bool

    def __len__(self) -> int: ...

    def scan(self, number: int) -> tuple[Frame, int | None]:
        """One scan, and its action where known; ``DataError`` if it cannot be read."""
        ...


class ScanClips(RecordingClips):
    """Clips of one split.

    Args:
        name: Name in the registry.
        split: Name of the split.
        classes: Class names.
        recordings: Those of the split, in order.
        sampling: Which scans make a clip, and how many points of each are kept.
        feature_names: Columns of ``Clip.features``.
        compensate: Remove ego motion: all points of a clip move into the frame of its last scan;
            ``Clip.poses`` then all are that scan's.
        missing: Files that should be there and are not.
        notes: Sentences for ``describe``.

    Raises:
        DataError: ``compensate`` is set and a recording has no poses.
    """

    def __init__(
        self,
        name: str,
        split: str,
        classes: tuple[str, ...],
        recordings: Sequence[ScanRecording],
        sampling: ClipSampling = CAUSAL_CLIPS,
        *,
        feature_names: tuple[str, ...] = (),
        compensate: bool = False,
        missing: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        lengths = [len(recording) for recording in recordings]
        super().__init__(name, split, classes, lengths, sampling, feature_names, missing, notes)
        self.recordings = tuple(recordings)
        self.compensate = compensate
        for recording in self.recordings:
            if compensate and not recording.has_poses:
                raise DataError(
                    f'{recording.name} has no poses to take ego motion from',
                    'Add them, or leave ego motion in',
                )

    def describe(self) -> Description:
        """Recordings (``sequences``), ``scans`` and ``clips``, from listings and headers."""
        counts = {
            'sequences': len(self.recordings),
            'scans': sum(self._lengths),
            'clips': len(self),
        }
        return Description(
            self.name, {self.split: counts}, missing=self._missing, notes=self._notes
        )

    def verify(self) -> Iterator[DataError | None]:
        """Read every scan; yields what is wrong with it, or None."""
        for recording in self.recordings:
            for number in range(len(recording)):
                try:
                    recording.scan(number)
                except DataError as error:
                    yield error
                else:
                    yield None

    def _clip(self, which: int, frames: NDArray[np.int64]) -> Clip:
        recording = self.recordings[which]
        scans = {frame: recording.scan(frame) for frame in np.unique(frames).tolist()}
        clip = joined(
            [scans[frame][0] for frame in frames.tolist()],
            frames,
            actions=[scans[frame][1] for frame in frames.tolist()],
            compensate=self.compensate,
        )
        return replace(clip, sequence=recording.name)


def joined(
    scans: Sequence[Frame],
    numbers: NDArray[np.int64],
    *,
    actions: Sequence[int | None] = (),
    compensate: bool = False,
) -> Clip:
    """Make a clip of scans of one recording.

    Args:
        scans: T scans, oldest first; name, sequence and split are those of the last.
        numbers: (T,) their numbers in the recording.
        actions: Class of every scan; without all of them the clip has none.
        compensate: Bring all points into the frame of the last scan; every scan needs a pose.
    """
    last = scans[-1]
    poses = _all([scan.pose for scan in scans])
    points = [scan.points for scan in scans]
    if compensate and poses is not None:
        to_last = np.linalg.inv(poses[-1]) @ np.stack(poses)
        points = [
            # The last one exactly: a matrix times its inverse is only nearly nothing.
            scan.points if scan is last else moved(scan.points, motion)
            for scan, motion in zip(scans, to_last, strict=True)
        ]
        poses = [poses[-1]] * len(scans)
    times = _all([scan.time_s for scan in scans])
    known = [action for action in actions if action is not None]
    return Clip(
        points=points,
        name=last.name,
        features=_all([scan.features for scan in scans]),
        labels=_all([scan.labels for scan in scans]),
        actions=np.array(known) if scans and len(known) == len(scans) else None,
        sequence=last.sequence,
        split=last.split,
        frames=numbers,
        times_s=None if times is None else np.array(times),
        poses=None if poses is None else np.stack(poses),
    )


def moved(points: NDArray[np.float32], motion: NDArray[np.float64]) -> NDArray[np.float32]:
    """Apply a (4, 4) motion to points (N, 3)."""
    return (points @ motion[:3, :3].T + motion[:3, 3]).astype(np.float32)


def _all(values: list) -> list | None:
    """The values if there is one for every scan."""
    return None if any(value is None for value in values) else values
