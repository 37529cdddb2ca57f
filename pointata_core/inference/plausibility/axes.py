# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether z points up: judged by the ground, or by the field of view of a camera.

Most clouds show a plane below the sensor, and then nothing is wrong. Only where there is none, and
something else looks like the ground, z is suspected. Walls look like a ground seen in wrong axes,
except that they are bounded by floor and ceiling; a ceiling looks like the ground of a sensor
upside down, except that rooms are low. The limits follow from that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pointata_core.inference.plausibility.planes import Plane, planes_of, thinned
from pointata_core.inference.plausibility.suspicion import Suspicion

FEWEST_POINTS = 150
_TILT = np.radians(15.0)  # slopes of roads and mountings are smaller
_FIELD_OF_VIEW = np.radians(60.0)  # half of it
_REACH_M = 40.0
_PLANES = 5
# The ground: not far below, behind it is hardly anything, and it extends in both directions.
_NEAREST_M, _FARTHEST_M = 0.15, 4.0
_GROUND_SHARE, _MOST_BEYOND = 0.2, 0.02
_GROUND_BREADTH_M, _WALL_BREADTH_M = 2.0, 6.0
# A floor that is seen at all, though it is hardly more than a few rings.
_SEEN_SHARE = 0.04
_TALL_ROOM_M, _LOWEST_FLOOR_M, _WIDE_ROOM_M = 3.2, 1.2, 12.0
_NO_UP = 'networks expect z up (REP-103)'
_REMEDY = 'Set sensor_pose (--sensor-pose) to "{}", or target_frame (--target-frame)'
_OPTICAL_POSE = '0 0 0 -1.5708 0 -1.5708'


def axes(points: NDArray[np.float32], frame_id: str, is_turned: bool) -> Suspicion | None:
    """A cloud whose z does not seem to point up.

    Args:
        points: (N, 3) returns, metres about the sensor, placed as the settings ask for.
        frame_id: Of the cloud; empty where there is none.
        is_turned: Whether the settings turn the cloud, so that the name of the frame tells nothing.
    """
    if len(points) < FEWEST_POINTS:
        return None
    is_optical = 'optical' in frame_id.lower() and not is_turned
    if _looks_along_z(points):
        named = f" (frame '{frame_id}')" if is_optical else ''
        return _optical(f'all points lie in a cone about +z{named}')
    planes, kept = _planes(points)
    if any(_is_floor(plane) for plane in planes):
        return None
    ground = next((plane for plane in planes if _may_be_ground(plane)), None)
    if is_optical:
        seen = '' if ground is None else f', and the ground seems to lie {_where(ground)}'
        return _optical(f"the frame of the clouds is '{frame_id}'{seen}")
    return None if ground is None else _judge(ground, kept)


def _judge(ground: Plane, points: NDArray[np.float64]) -> Suspicion | None:
    tilt = _tilt(ground)
    if tilt > np.pi - _TILT:
        if _may_be_ceiling(ground, points):
            return None
        return Suspicion(
            'upside_down',
            f'the ground seems to be {ground.distance:.1f} m above the sensor: it seems to hang '
            f'upside down, and {_NO_UP}. {_REMEDY.format("0 0 0 3.1416 0 0")}',
        )
    if _TILT < tilt < np.pi / 2 - _TILT and ground.breadth >= _GROUND_BREADTH_M:
        return Suspicion(
            'tilted',
            f'the ground seems to be tilted by {np.degrees(tilt):.0f} degrees: {_NO_UP}. '
            + _REMEDY.format(levelling_pose(ground.normal)),
        )
    if ground.breadth >= _WALL_BREADTH_M:
        return Suspicion(
            'axes',
            f'the ground seems to lie {_where(ground)}: {_NO_UP}. '
            + _REMEDY.format(levelling_pose(ground.normal)),
        )
    return None


def levelling_pose(up: NDArray[np.float64]) -> str:
    """The ``sensor_pose`` without yaw that turns ``up`` (3,) to z."""
    roll = np.arctan2(up[1], up[2])
    pitch = np.arctan2(-up[0], np.hypot(up[1], up[2]))
    return f'0 0 0 {roll:.4f} {pitch:.4f} 0'


def _optical(found: str) -> Suspicion:
    return Suspicion(
        'optical_frame',
        f'{found}: the axes seem to be those of a camera (z forward), and {_NO_UP}. '
        + _REMEDY.format(_OPTICAL_POSE),
    )


def _looks_along_z(points: NDArray[np.float32]) -> bool:
    """Whether the field of view is that of a camera about +z."""
    across = np.hypot(points[:, 0], points[:, 1])
    angle = np.arctan2(across, points[:, 2])
    return bool(np.percentile(angle, 98) < _FIELD_OF_VIEW)


def _planes(points: NDArray[np.float32]) -> tuple[list[Plane], NDArray[np.float64]]:
    distance = np.linalg.norm(points, axis=1)
    near = points[distance < _REACH_M]
    if len(near) < FEWEST_POINTS:
        return [], near.astype(np.float64)
    median = float(np.median(distance[distance < _REACH_M]))
    kept = thinned(near, float(np.clip(median / 20, 0.03, 0.3)))
    if len(kept) < FEWEST_POINTS // 2:
        return [], kept
    tolerance = float(np.clip(0.015 * median, 0.03, 0.12))
    return list(planes_of(kept, tolerance, _PLANES)), kept


def _tilt(plane: Plane) -> float:
    """Angle between the normal, towards the sensor, and z."""
    return float(np.arccos(np.clip(plane.normal[2], -1.0, 1.0)))


def _is_floor(plane: Plane) -> bool:
    """Whether this is a floor where it should be."""
    return _tilt(plane) <= _TILT and plane.distance <= _FARTHEST_M and plane.share >= _SEEN_SHARE


def _may_be_ground(plane: Plane) -> bool:
    return (
        plane.share >= _GROUND_SHARE
        and plane.beyond <= _MOST_BEYOND
        and _NEAREST_M <= plane.distance <= _FARTHEST_M
        and plane.breadth >= _GROUND_BREADTH_M
    )


def _may_be_ceiling(plane: Plane, points: NDArray[np.float64]) -> bool:
    """Whether a floor may be hidden below the field of view, in a room that is not too large."""
    if plane.breadth > _WIDE_ROOM_M:
        return False
    across = np.hypot(points[:, 0], points[:, 1])
    slope = np.percentile(points[:, 2] / np.maximum(across, 1e-3), 1)
    lowest_floor = max(0.0, -slope * float(np.percentile(across, 98)))
    return lowest_floor < _LOWEST_FLOOR_M or lowest_floor + plane.distance < _TALL_ROOM_M


def _where(ground: Plane) -> str:
    axis = int(np.abs(ground.normal).argmax())
    sign = '-' if ground.normal[axis] > 0 else '+'
    return f'in the direction {sign}{"xyz"[axis]} of the sensor'
