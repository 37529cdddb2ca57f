# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a tracker remembers, as an array and as bytes."""

from __future__ import annotations

import io

import numpy as np

from pointata_core.errors import ConfigError

TRACK = np.dtype(
    [
        ('number', '<i8'),
        ('since', '<i8'),  # nanoseconds
        ('seen', '<i8'),  # nanoseconds
        ('sightings', '<i8'),
        ('confirmed', '?'),
        ('mean', '<f8', (4,)),
        ('covariance', '<f8', (4, 4)),
        ('low', '<f8'),
        ('high', '<f8'),
        ('width', '<f8', (2,)),
    ]
)
"""One person that is followed."""


def pack(tracks: np.ndarray, following: int, stamp_ns: int | None) -> bytes:
    """Tracks, the next number, and the stamp of the last cloud, as bytes."""
    file = io.BytesIO()
    stamp = np.array([] if stamp_ns is None else [stamp_ns], np.int64)
    np.savez(file, tracks=tracks, next=np.int64(following), stamp=stamp)
    return file.getvalue()


def unpack(data: bytes) -> tuple[np.ndarray, int, int | None]:
    """What :func:`pack` was given.

    Raises:
        ConfigError: The bytes are no such state.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            tracks, following, stamp = file['tracks'], file['next'], file['stamp']
        if tracks.dtype != TRACK or tracks.ndim != 1 or stamp.size > 1:
            raise ValueError(f'tracks of type {tracks.dtype}')
        return tracks, int(following), int(stamp[0]) if stamp.size else None
    except Exception as error:  # the archive may be anything
        raise ConfigError(
            f'saved tracker: its state cannot be read ({error!r})',
            'Restore only what to_bytes of the same version returned',
        ) from error
