# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""People followed from cloud to cloud, each under a number of its own.

Blobs are assigned to people by the Hungarian method over Mahalanobis distances. Nobody is reported
before several sightings, and nobody is forgotten at the first miss. The result is a function of the
clouds and their stamps alone, so it is the same live and offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pointata_core.tracking.blobs import Blob, BlobSettings, find_blobs
from pointata_core.tracking.motion_filter import corrected, distances, first_state, predicted
from pointata_core.tracking.track_state import TRACK, pack, unpack

_GATE = 13.8  # squared; 99.9 % of the chi-square distribution with two degrees of freedom
_UNCONFIRMED = 4.0  # added to the cost: who is followed already comes first
_NOISE, _NOISE_GROWTH = 0.08, 0.006  # metres, and metres per metre of range
_BODY = 0.1  # metres from the visible surface to the middle of a body
_SMOOTHING = 0.2  # of the size, per sighting


@dataclass(frozen=True)
class TrackerSettings:
    """When people appear and disappear.

    Args:
        confirm: Sightings until a person is reported.
        confirm_s: Seconds until then, at least.
        forget_s: Seconds without a sighting until a reported person is forgotten.
        doubt_s: The same, of a person that was never reported.
        most: Most people followed; the nearest are kept.
        blobs: How points become blobs.
    """

    confirm: int = 3
    confirm_s: float = 0.15
    forget_s: float = 1.2
    doubt_s: float = 0.35
    most: int = 32
    blobs: BlobSettings = field(default_factory=BlobSettings)


@dataclass(frozen=True, eq=False)
class Person:
    """One person at the time of a cloud.

    Attributes:
        number: Names the person as long as it is followed; never given twice in a stream.
        centre: (3,) metres, middle of its box in the fixed frame.
        size: (3,) metres, of its box.
        velocity: (2,) metres per second, over the ground.
        distance: Metres from the sensor, along the ground.
        rows: (n,) int64, its points among those of the cloud; none while it is hidden.
        since_ns: Stamp of its first sighting.
        seen_ns: Stamp of its last sighting.
    """

    number: int
    centre: NDArray[np.float64]
    size: NDArray[np.float64]
    velocity: NDArray[np.float64]
    distance: float
    rows: NDArray[np.int64]
    since_ns: int
    seen_ns: int


class Tracker:
    """The people of one stream.

    Args:
        settings: When people appear and disappear.
    """

    def __init__(self, settings: TrackerSettings = TrackerSettings()) -> None:
        self.settings = settings
        self._tracks = np.zeros(0, TRACK)
        self._next = 1
        self._stamp_ns: int | None = None

    def __len__(self) -> int:
        """People followed, those that are not reported yet included."""
        return len(self._tracks)

    @property
    def nbytes(self) -> int:
        """Bytes that are remembered."""
        return self._tracks.nbytes

    def reset(self) -> None:
        """Forget everybody. Numbers go on, so that none means two people."""
        self._tracks, self._stamp_ns = np.zeros(0, TRACK), None

    def update(
        self,
        points: np.ndarray,
        stamp_ns: int,
        is_person: np.ndarray,
        pose: np.ndarray | None = None,
    ) -> list[Person]:
        """Take the next cloud.

        Args:
            points: (N, 3) metres, z up.
            stamp_ns: When it was taken; rising.
            is_person: (N,) bool, which points belong to people.
            pose: (4, 4) of the frame of the points in a fixed frame with z up; ``None`` where it is
                not known: then the sensor is taken to stand still.

        Returns:
            The people that are reported, by number.

        Raises:
            ValueError: The stamp does not rise, or ``is_person`` has another length.
        """
        if self._stamp_ns is not None and stamp_ns <= self._stamp_ns:
            raise ValueError(f'stamp {stamp_ns} does not follow {self._stamp_ns}')
        if np.shape(is_person) != (len(points),):
            raise ValueError(f'is_person is {np.shape(is_person)} for {len(points)} points')
        pose = np.eye(4) if pose is None else pose
        rows = np.flatnonzero(is_person)
        rows = rows[np.isfinite(points[rows]).all(1)]
        placed = points[rows].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        self._forget(stamp_ns)
        self._predict(stamp_ns)
        expected = self._tracks['mean'][self._tracks['confirmed'], :2]
        blobs = find_blobs(placed, pose[:3, 3], expected, self.settings.blobs)
        mine = self._assign(blobs)
        for track, blob in mine.items():
            self._see(track, blobs[blob], stamp_ns)
        new = [blobs[i] for i in range(len(blobs)) if i not in mine.values()]
        before = len(self._tracks)
        self._add(new, stamp_ns)
        owned = {int(self._tracks['number'][t]): rows[blobs[b].rows] for t, b in mine.items()}
        fresh = zip(self._tracks['number'][before:], new, strict=True)
        owned |= {int(number): rows[blob.rows] for number, blob in fresh}
        self._bound(pose[:3, 3])
        self._stamp_ns = stamp_ns
        return [
            _person(track, owned.get(int(track['number'])), pose[:3, 3])
            for track in self._tracks[self._tracks['confirmed']]
        ]

    def to_bytes(self) -> bytes:
        """Everything that the tracker remembers."""
        return pack(self._tracks, self._next, self._stamp_ns)

    def restore(self, data: bytes) -> None:
        """Continue where :meth:`to_bytes` left off.

        Raises:
            ConfigError: The bytes are no such state; nothing changes.
        """
        self._tracks, self._next, self._stamp_ns = unpack(data)

    def _predict(self, stamp_ns: int) -> None:
        if self._stamp_ns is None or not len(self._tracks):
            return
        seconds = (stamp_ns - self._stamp_ns) * 1e-9
        mean, covariance = self._tracks['mean'], self._tracks['covariance']
        self._tracks['mean'], self._tracks['covariance'] = predicted(mean, covariance, seconds)

    def _assign(self, blobs: list[Blob]) -> dict[int, int]:
        """Which blob each track takes, by their indices."""
        if not blobs or not len(self._tracks):
            return {}
        centres = np.stack([blob.centre for blob in blobs])
        noise = np.array([_noise(blob) for blob in blobs])
        squared, spread = distances(
            self._tracks['mean'], self._tracks['covariance'], centres, noise
        )
        cost = squared + spread + _UNCONFIRMED * ~self._tracks['confirmed'][:, None]
        allowed = squared <= _GATE
        far = 1e3 + np.abs(cost).max()
        tracks, chosen = linear_sum_assignment(np.where(allowed, cost, far))
        return {int(t): int(b) for t, b in zip(tracks, chosen, strict=True) if allowed[t, b]}

    def _see(self, number: int, blob: Blob, stamp_ns: int) -> None:
        track = self._tracks[number]
        track['mean'], track['covariance'] = corrected(
            track['mean'], track['covariance'], blob.centre, _noise(blob)
        )
        for name, value in (('low', blob.low[2]), ('high', blob.high[2])):
            track[name] += _SMOOTHING * (value - track[name])
        track['width'] += _SMOOTHING * ((blob.high - blob.low)[:2] - track['width'])
        track['seen'] = stamp_ns
        track['sightings'] += 1
        lasted = stamp_ns - track['since'] >= self.settings.confirm_s * 1e9
        track['confirmed'] |= bool(lasted and track['sightings'] >= self.settings.confirm)

    def _add(self, blobs: list[Blob], stamp_ns: int) -> None:
        new = np.zeros(len(blobs), TRACK)
        for track, blob in zip(new, blobs, strict=True):
            track['number'], track['since'], track['seen'] = self._next, stamp_ns, stamp_ns
            track['sightings'] = 1
            track['mean'], track['covariance'] = first_state(blob.centre, _noise(blob))
            track['low'], track['high'] = blob.low[2], blob.high[2]
            track['width'] = (blob.high - blob.low)[:2]
            self._next += 1
        self._tracks = np.concatenate([self._tracks, new])

    def _forget(self, stamp_ns: int) -> None:
        """Drop who was not seen for too long."""
        tracks, settings = self._tracks, self.settings
        patience = np.where(tracks['confirmed'], settings.forget_s, settings.doubt_s) * 1e9
        self._tracks = tracks[stamp_ns - tracks['seen'] <= patience]

    def _bound(self, sensor: np.ndarray) -> None:
        """Drop the farthest of too many; who is not reported yet goes first."""
        tracks, most = self._tracks, self.settings.most
        if len(tracks) > most:
            away = np.linalg.norm(tracks['mean'][:, :2] - sensor[:2], axis=1)
            order = np.lexsort((tracks['number'], away, ~tracks['confirmed']))
            self._tracks = tracks[np.sort(order[:most])]


def _noise(blob: Blob) -> float:
    return _NOISE + _NOISE_GROWTH * blob.distance


def _person(track: np.ndarray, rows: NDArray[np.int64] | None, sensor: np.ndarray) -> Person:
    place = track['mean'][:2].copy()
    away = place - sensor[:2]
    distance = float(np.linalg.norm(away))
    # Only the near side of a body is seen; its middle lies behind that.
    place += _BODY * away / max(distance, 1e-6)
    height = track['high'] - track['low']
    return Person(
        number=int(track['number']),
        centre=np.array([*place, (track['high'] + track['low']) / 2]),
        size=np.array([*np.maximum(track['width'], 0.4), max(height, 0.2)]),
        velocity=track['mean'][2:].copy(),
        distance=distance,
        rows=np.zeros(0, np.int64) if rows is None else rows,
        since_ns=int(track['since']),
        seen_ns=int(track['seen']),
    )
