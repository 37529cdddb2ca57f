# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One decoded frame of points, and the reasons for rejecting one.

A driver bug must not stop a robot's perception, so the decoder raises nothing: it returns a
``Cloud``, or a ``Rejected`` with a reason from a closed list, which the caller counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class RejectReason(str, Enum):
    """Why a cloud was refused."""

    NOT_A_CLOUD = 'not_a_cloud'  # an attribute of the message is absent or of the wrong type
    BAD_STAMP = 'bad_stamp'  # seconds are negative, or nanoseconds are not in [0, 1e9)
    TOO_MANY_POINTS = 'too_many_points'  # width x height is above the limit
    TOO_MANY_BYTES = 'too_many_bytes'  # the data, or a step, is above the limit
    TOO_MANY_FIELDS = 'too_many_fields'  # the list of fields is longer than the limit
    DATA_WITHOUT_POINTS = 'data_without_points'  # width x height is zero, yet there is data
    MISSING_FIELD = 'missing_field'  # a field that is needed is not there
    DUPLICATE_FIELD = 'duplicate_field'  # two fields carry the name of a field that is needed
    UNKNOWN_DATATYPE = 'unknown_datatype'  # the datatype of a needed field is none of PointField
    BAD_COUNT = 'bad_count'  # a needed field does not hold exactly one element (xyz: three)
    FIELD_OUTSIDE_POINT = 'field_outside_point'  # a needed field reaches beyond point_step
    OVERLAPPING_FIELDS = 'overlapping_fields'  # two needed fields share bytes
    BAD_POINT_STEP = 'bad_point_step'  # point_step is zero although there are points
    BAD_ROW_STEP = 'bad_row_step'  # row_step is smaller than width x point_step
    TRUNCATED_DATA = 'truncated_data'  # the data ends before the last addressed byte
    NO_CALIBRATION = 'no_calibration'  # a depth image came before the camera_info
    NOT_INTEGRAL = 'not_integral'  # a label field holds values that are not whole numbers

    def __str__(self) -> str:
        """Return the value, as StrEnum (Python 3.11) does."""
        return self.value


@dataclass(frozen=True)
class CloudLimits:
    """Caps checked before any byte is touched, and how integers are read.

    Args:
        max_points: Largest accepted ``width * height``.
        max_bytes: Largest accepted size of the data, of ``point_step`` and of ``row_step``.
        max_fields: Longest accepted list of fields.
        integer_scale_m: Metres per unit of integer coordinates. PointCloud2 cannot declare one; the
            default takes integers as metres, a sensor in millimetres needs ``0.001``.
    """

    max_points: int = 10_000_000
    max_bytes: int = 1 << 30
    max_fields: int = 256
    integer_scale_m: float = 1.0


@dataclass(frozen=True, eq=False)
class Cloud:
    """One decoded frame; ``N = width * height`` points in the order of the message (row-major).

    Args:
        points: (N, 3) float32 metres, C-contiguous; may hold non-finite values, see ``finite``.
        features: Canonical name -> (N,) float32; a wanted feature that is absent has no entry.
        finite: (N,) bool, true where x, y and z are all finite, independent of ``is_dense``.
        width: Points per row.
        height: Rows; 1 for an unorganised cloud.
        stamp_ns: Time of the header in nanoseconds; 0 is passed on as it is.
        frame_id: Frame of the points; may be empty.
        fields: Names of all fields of the source, in its order.
        notes: What is implausible about the source, as sentences; what was read in spite of it.
    """

    points: NDArray[np.float32]
    features: dict[str, NDArray[np.float32]]
    finite: NDArray[np.bool_]
    width: int
    height: int
    stamp_ns: int = 0
    frame_id: str = ''
    fields: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of points, non-finite ones included."""
        return len(self.points)


@dataclass(frozen=True)
class Rejected:
    """A refused cloud: the reason to count and the detail to log."""

    reason: RejectReason
    detail: str

    def __str__(self) -> str:
        """Reason and detail in one line."""
        return f'{self.reason}: {self.detail}'


def finite_rows(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows of ``points`` (N, 3) hold no NaN and no infinity; (N,) bool."""
    finite = np.isfinite(points)
    # Three ands over columns are several times faster than a reduction over an axis of length 3.
    return finite[:, 0] & finite[:, 1] & finite[:, 2]
