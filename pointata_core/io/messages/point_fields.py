# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Names and datatypes of point fields, with the aliases that drivers use.

The names occur in the public drivers of Velodyne, Ouster, Hesai, RoboSense, Livox and in
PCL's point types; there is no standard beyond x, y, z, intensity, rgb and rgba
(``sensor_msgs/msg/PointField``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

# sensor_msgs/msg/PointField: INT8 = 1 ... FLOAT64 = 8
DATATYPES: dict[int, np.dtype] = {
    1: np.dtype('i1'),
    2: np.dtype('u1'),
    3: np.dtype('i2'),
    4: np.dtype('u2'),
    5: np.dtype('i4'),
    6: np.dtype('u4'),
    7: np.dtype('f4'),
    8: np.dtype('f8'),
}
DATATYPE_OF: dict[np.dtype, int] = {dtype: code for code, dtype in DATATYPES.items()}

# Canonical name -> accepted names, the likeliest first.
FEATURE_ALIASES: dict[str, tuple[str, ...]] = {
    'intensity': (
        'intensity', 'intensities', 'i', 'reflectivity', 'reflectance', 'remission', 'signal',
    ),
    'time': (
        'time', 't', 'timestamp', 'timestamps', 'time_stamp', 'time_offset', 'offset_time',
        'gps_time', 'gpstime',
    ),
    'ring': ('ring', 'line', 'channel', 'laser_id', 'laser', 'beam'),
    'velocity': (
        'velocity', 'doppler', 'doppler_velocity', 'radial_speed', 'radial_velocity', 'v_r',
    ),
    'range': ('range', 'distance'),
    'ambient': ('ambient', 'near_ir'),
}  # fmt: skip

_Named = TypeVar('_Named')


def names_of(feature: str) -> tuple[str, ...]:
    """Return the field names that may hold ``feature``; an unknown feature is its own name."""
    return FEATURE_ALIASES.get(feature, (feature,))


def find_name(feature: str, names: Iterable[str]) -> str | None:
    """Return the field of ``names`` which holds ``feature``, or None.

    An exact spelling wins over one that differs in case only.
    """
    present = list(names)
    accepted = names_of(feature)
    for name in accepted:
        if name in present:
            return name
    folded = {name.casefold(): name for name in reversed(present)}
    return next((folded[name] for name in accepted if name in folded), None)


def canonical_columns(
    columns: dict[str, NDArray], skip: Sequence[str] = ('x', 'y', 'z')
) -> dict[str, NDArray[np.float32]]:
    """Turn the columns of a file into features: canonical names where known, float32.

    Args:
        columns: Field name -> (N,) numbers.
        skip: Names that are no features.
    """
    rest = {name: values for name, values in columns.items() if name not in skip}
    renamed = {find_name(feature, rest): feature for feature in FEATURE_ALIASES}
    return {
        renamed.get(name, name): as_feature(renamed.get(name, name), values, name)
        for name, values in rest.items()
    }


def as_feature(feature: str, values: NDArray, name: str = '') -> NDArray[np.float32]:
    """Convert raw field values (N,) to the float32 column of a feature.

    ``time`` becomes seconds since the earliest point of the cloud, subtracted *before* the
    conversion: an absolute stamp in float64 has a resolution of minutes in float32. For the unit
    see :func:`seconds_per_unit`.

    Args:
        feature: Canonical name.
        values: Raw values (N,).
        name: Name of the field, where it is another.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        if feature != 'time' or not values.size:
            return values.astype(np.float32)
        if values.dtype.kind in 'iu':
            # 64 bits first: the span of 32-bit values need not fit into 32 signed bits.
            wide = values.astype(np.uint64 if values.dtype.kind == 'u' else np.int64)
            start, offset = wide.min(), wide - wide.min()
        else:
            wide = values.astype(np.float64)
            finite = np.isfinite(wide)
            start = wide[finite].min() if finite.any() else 0.0
            offset = wide - start
        span = float(np.nanmax(np.where(np.isfinite(offset), offset, 0)))
        unit = seconds_per_unit(name, values.dtype.kind != 'f', float(start), span)
        return (offset * unit).astype(np.float32)


def seconds_per_unit(name: str, is_whole: bool, start: float, span: float) -> float:
    """Unit of the times of one cloud, in seconds.

    Absolute times tell it: only one unit puts them between the years 2001 and 2096. Relative ones
    have that of their kind (``t`` and ``offset_time`` nanoseconds, other whole numbers, too,
    floats seconds) unless a scan would take more than ten seconds, or less than half a millisecond,
    in it and a plausible time in another.

    Args:
        name: Name of the field.
        is_whole: Whether the datatype is an integer.
        start: Earliest time, in the unit of the field.
        span: Difference to the latest one.
    """
    for unit in (1e-3, 1e-6, 1e-9) if is_whole else (1.0, 1e-3, 1e-6, 1e-9):
        if _EARLIEST_S <= start * unit < _LATEST_S:
            return unit
    if name.casefold() in _NANOSECOND_NAMES and is_whole:
        return 1e-9
    if is_whole:
        # 0.5 ms in nanoseconds is half a second in microseconds.
        return 1e-6 if _SHORTEST_SCAN <= span < _SHORTEST_SCAN * 1e3 else 1e-9
    if span <= _LONGEST_SCAN_S or abs(start) > span:
        return 1.0
    return next((unit for unit in (1e-3, 1e-6) if span * unit <= _LONGEST_SCAN_S / 10), 1e-9)


_EARLIEST_S, _LATEST_S = 1e9, 4e9
_NANOSECOND_NAMES = ('t', 'offset_time')
_SHORTEST_SCAN = 5e2
_LONGEST_SCAN_S = 10.0
