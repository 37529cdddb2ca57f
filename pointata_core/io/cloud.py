# SPDX-License-Identifier: Apache-2.0
"""One frame of points as the rest of the package sees it, and the reasons for refusing one.

A driver bug must not stop a robot's perception, so the decoder answers with values: a ``Cloud``, or
a ``Rejected`` with a reason from a closed list, which the caller counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class RejectReason(str, Enum):
    """Why a cloud was refused; ``meaning`` says it in one line."""

    NOT_A_CLOUD = 'not_a_cloud'
    BAD_STAMP = 'bad_stamp'
    TOO_MANY_POINTS = 'too_many_points'
    TOO_MANY_BYTES = 'too_many_bytes'
    TOO_MANY_FIELDS = 'too_many_fields'
    DATA_WITHOUT_POINTS = 'data_without_points'
    MISSING_FIELD = 'missing_field'
    DUPLICATE_FIELD = 'duplicate_field'
    UNKNOWN_DATATYPE = 'unknown_datatype'
    BAD_COUNT = 'bad_count'
    FIELD_OUTSIDE_POINT = 'field_outside_point'
    OVERLAPPING_FIELDS = 'overlapping_fields'
    BAD_POINT_STEP = 'bad_point_step'
    BAD_ROW_STEP = 'bad_row_step'
    TRUNCATED_DATA = 'truncated_data'
    NOT_INTEGRAL = 'not_integral'

    def __str__(self) -> str:
        """Return the value, as StrEnum (Python 3.11) does."""
        return self.value

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS = {
    RejectReason.NOT_A_CLOUD: 'an attribute of the message is absent or of the wrong type',
    RejectReason.BAD_STAMP: 'seconds are negative, or nanoseconds are not in [0, 1e9)',
    RejectReason.TOO_MANY_POINTS: 'width x height is above the limit',
    RejectReason.TOO_MANY_BYTES: 'the data, or a step, is above the limit',
    RejectReason.TOO_MANY_FIELDS: 'the list of fields is longer than the limit',
    RejectReason.DATA_WITHOUT_POINTS: 'width x height is zero, yet there is data',
    RejectReason.MISSING_FIELD: 'a field that is needed is not there',
    RejectReason.DUPLICATE_FIELD: 'two fields carry the name of a field that is needed',
    RejectReason.UNKNOWN_DATATYPE: 'the datatype of a needed field is none of PointField',
    RejectReason.BAD_COUNT: 'a needed field does not hold exactly one element (xyz: three)',
    RejectReason.FIELD_OUTSIDE_POINT: 'a needed field reaches beyond point_step',
    RejectReason.OVERLAPPING_FIELDS: 'two needed fields share bytes',
    RejectReason.BAD_POINT_STEP: 'point_step is zero although there are points',
    RejectReason.BAD_ROW_STEP: 'row_step is smaller than width x point_step',
    RejectReason.TRUNCATED_DATA: 'the data ends before the last addressed byte',
    RejectReason.NOT_INTEGRAL: 'a label field holds values that are not whole numbers',
}


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
        finite: (N,) bool, true where x, y and z are all finite, whatever ``is_dense`` claims.
        width: Points per row.
        height: Rows; 1 for an unorganised cloud.
        stamp_ns: Time of the header in nanoseconds; 0 is passed on as it is.
        frame_id: Frame of the points; may be empty.
        fields: Names of all fields of the source, in its order.
        unused_bytes: Bytes after the last row, which no point claims (0 in a tidy message).
    """

    points: NDArray[np.float32]
    features: dict[str, NDArray[np.float32]]
    finite: NDArray[np.bool_]
    width: int
    height: int
    stamp_ns: int = 0
    frame_id: str = ''
    fields: tuple[str, ...] = field(default=())
    unused_bytes: int = 0

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
    """Tell which rows of ``points`` (N, 3) hold no NaN and no infinity; (N,) bool."""
    finite = np.isfinite(points)
    # Three ands over columns are several times faster than a reduction over an axis of length 3.
    return finite[:, 0] & finite[:, 1] & finite[:, 2]
