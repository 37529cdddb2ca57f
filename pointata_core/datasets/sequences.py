# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips cut from recordings: the part that all data sets of actions share.

A data set lists its recordings and reads one; cutting into clips, choosing points, counting and
checking happen here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.errors import DataError, damaged_items
from pointata_core.datasets.protocol import Clip, Description
from pointata_core.datasets.sampling import (
    ClipSampling,
    choose_points,
    generator_for,
    nearest_filled,
)


@dataclass(frozen=True)
class Recording:
    """One recording on disk.

    Args:
        name: Unique in the data set.
        path: File or folder.
        length: Number of frames.
        action: Class of the whole recording.
        subject: Who is seen, where known.
    """

    name: str
    path: Path
    length: int
    action: int
    subject: str | None = None


@dataclass(frozen=True, eq=False)
class Content:
    """What was read of a recording; fields as in ``Clip``."""

    points: Sequence[NDArray[np.float32]]
    features: Sequence[NDArray[np.float32]] | None = None
    times_s: NDArray[np.float64] | None = None

    def take(self, frames: NDArray[np.int64]) -> Content:
        """Some frames, in any order, with repetition."""
        return Content(
            points=[self.points[index] for index in frames],
            features=None if self.features is None else [self.features[i] for i in frames],
            times_s=None if self.times_s is None else self.times_s[frames],
        )


Reader = Callable[[Recording], Content]


class RecordingClips(ABC):
    """Clips of one split by number, cut from recordings one after the other.

    Args:
        name: Name in the registry.
        split: Name of the split.
        classes: Class names.
        lengths: Frames of every recording.
        sampling: Which frames make a clip, and how many points of each are kept.
        feature_names: Columns of ``Clip.features``.
        missing: Files that should exist and do not.
        notes: Sentences for ``describe``.

    Attributes:
        epoch: Mixed into random choices; set it before a loader starts its processes for an epoch
            of training (persistent ones keep their old copy). Tests leave it at 0.
    """

    def __init__(
        self,
        name: str,
        split: str,
        classes: tuple[str, ...],
        lengths: Sequence[int],
        sampling: ClipSampling,
        feature_names: tuple[str, ...],
        missing: Sequence[str],
        notes: Sequence[str],
    ) -> None:
        self.name, self.split, self.classes = name, split, classes
        self.feature_names = feature_names
        self.sampling = sampling
        self.epoch = 0
        self._missing, self._notes = tuple(missing), tuple(notes)
        self._lengths = tuple(lengths)
        self._ends = np.cumsum([sampling.clips_in(length) for length in lengths], dtype=np.int64)

    def __len__(self) -> int:
        """Number of clips."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Clip:
        """Read one clip.

        Raises:
            IndexError: There is no such clip.
            DataError: A file of it cannot be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f'clip {index} of {len(self)}')
        which = int(np.searchsorted(self._ends, index, side='right'))
        number = index - (int(self._ends[which - 1]) if which else 0)
        generator = generator_for(self.sampling.seed, self.epoch, index)
        frames = self.sampling.frames_of(self._lengths[which], number, generator)
        clip = self._clip(which, frames)
        clip = replace(clip, name=f'{clip.sequence}#{number}')
        if self.sampling.points is None:
            return clip
        return with_fixed_points(clip, self.sampling.points, generator)

    @property
    def clip_recordings(self) -> NDArray[np.int64]:
        """(clips,) number of the recording of every clip; what video accuracy sums over."""
        return np.repeat(np.arange(len(self._lengths)), np.diff(self._ends, prepend=0))

    @abstractmethod
    def _clip(self, which: int, frames: NDArray[np.int64]) -> Clip:
        """Some frames of a recording; ``Clip.sequence`` is the name of the recording."""


class SequenceClips(RecordingClips):
    """Clips of one split, cut from recordings that are read on demand.

    Args:
        name: Name in the registry.
        split: Name of the split.
        classes: Class names.
        recordings: In order; those of the split only.
        reader: Reads a whole recording; picklable, as loaders in several processes need.
        sampling: How recordings become clips.
        feature_names: Columns of ``Clip.features``.
        missing: Files that should exist and do not.
        damaged: Errors found while listing.
        notes: Sentences for ``describe``.
        keep: Recordings kept in memory, those used last.
    """

    def __init__(
        self,
        name: str,
        split: str,
        classes: tuple[str, ...],
        recordings: Sequence[Recording],
        reader: Reader,
        sampling: ClipSampling,
        *,
        feature_names: tuple[str, ...] = (),
        missing: Sequence[str] = (),
        damaged: Sequence[DataError] = (),
        notes: Sequence[str] = (),
        keep: int = 2,
    ) -> None:
        lengths = [recording.length for recording in recordings]
        super().__init__(name, split, classes, lengths, sampling, feature_names, missing, notes)
        self.recordings = tuple(recordings)
        self._reader = reader
        self._damaged = tuple(damaged)
        self._keep = keep
        self._kept: OrderedDict[int, Content] = OrderedDict()

    @property
    def labels(self) -> NDArray[np.int64]:
        """(clips,) action of every clip, without reading any."""
        counts = np.diff(self._ends, prepend=0)
        return np.repeat([recording.action for recording in self.recordings], counts).astype(
            np.int64
        )

    def whole(self, which: int) -> Clip:
        """A recording as one clip with all its frames and points."""
        recording = self.recordings[which]
        return self._clip(which, np.arange(recording.length))

    def describe(self) -> Description:
        """Recordings (``videos``), frames and clips of this split, from listings and headers."""
        per_class = Counter(recording.action for recording in self.recordings)
        counts = {
            'videos': len(self.recordings),
            'frames': sum(recording.length for recording in self.recordings),
            'clips': len(self),
        }
        return Description(
            name=self.name,
            counts={self.split: counts},
            per_class={
                self.split: {name: per_class[number] for number, name in enumerate(self.classes)}
            },
            missing=self._missing,
            notes=(*self._notes, *self._short_recordings()),
            damaged=tuple(error.message for error in self._damaged),
        )

    def verify(self) -> Iterator[DataError | None]:
        """Read every recording; yield its error, or None."""
        yield from self._damaged
        yield from damaged_items(self._read, self.recordings)

    def __getstate__(self) -> dict:
        """Leave kept recordings behind: a worker process starts with its own."""
        return {**self.__dict__, '_kept': OrderedDict()}

    def _clip(self, which: int, frames: NDArray[np.int64]) -> Clip:
        recording = self.recordings[which]
        content = self._content(which).take(frames)
        return Clip(
            points=content.points,
            name=recording.name,
            features=content.features,
            action=recording.action,
            sequence=recording.name,
            split=self.split,
            subject=recording.subject,
            frames=frames,
            times_s=content.times_s,
        )

    def _content(self, which: int) -> Content:
        if which not in self._kept:
            self._kept[which] = self._read(self.recordings[which])
        self._kept.move_to_end(which)
        while len(self._kept) > self._keep:
            self._kept.popitem(last=False)
        return self._kept[which]

    def _read(self, recording: Recording) -> Content:
        content = self._reader(recording)
        if len(content.points) != recording.length:
            raise DataError(
                f'{recording.path}: found {len(content.points)} frames, expected '
                f'{recording.length} as its header or the list of the data set states',
                'Download it again',
                recording.path,
            )
        return content

    def _short_recordings(self) -> Iterator[str]:
        if self.sampling.window != 'sliding':
            return
        short = sum(recording.length < self.sampling.span for recording in self.recordings)
        if short:
            fate = {'pad': 'padded with their last frame', 'drop': 'left out'}
            yield (
                f'{short} videos are shorter than the {self.sampling.span} frames of a clip: '
                f'{fate[self.sampling.short]}'
            )


def with_fixed_points(clip: Clip, count: int, generator: np.random.Generator) -> Clip:
    """Give every frame of a clip the same number of points.

    An empty frame repeats the last one that has points, and is marked invalid.

    Args:
        clip: Any clip.
        count: Points per frame.
        generator: Source of randomness.

    Returns:
        The clip with (count, 3) points in every frame; zeros if all of it is empty.
    """
    counts = np.array([len(cloud) for cloud in clip.points])
    source = nearest_filled(counts)
    chosen = [
        choose_points(counts[frame], count, generator) if counts[frame] else None
        for frame in source
    ]

    def chosen_of(per_point: Sequence[NDArray]) -> list[NDArray]:
        return [
            np.zeros((count, *rows.shape[1:]), rows.dtype) if pick is None else rows[pick]
            for pick, rows in ((pick, per_point[frame]) for pick, frame in zip(chosen, source))
        ]

    return replace(
        clip,
        points=chosen_of(clip.points),
        features=None if clip.features is None else chosen_of(clip.features),
        labels=None if clip.labels is None else chosen_of(clip.labels),
        valid=counts > 0,
    )
