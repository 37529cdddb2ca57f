# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses between frames at any recorded moment, from ``/tf`` and ``/tf_static``, without ROS.

The semantics are those of tf2: between two stamps, translations are interpolated linearly and
rotations spherically; nothing is extrapolated; a static transform holds at all times. By default
the buffer keeps everything, so a whole recording can be read ahead of its frames; the node bounds
it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from pointata_core.errors import PointataError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.messages.message_types import TRANSFORMS
from pointata_core.io.messages.stamps import stamp_of

_FORGET_EVERY = 64
_Pose = tuple[NDArray[np.float64], NDArray[np.float64]]  # translation, quaternion x y z w


class TransformError(PointataError):
    """Two frames are not connected, or not at the requested moment."""


class TransformBuffer:
    """All known transforms, as a forest in which every frame has at most one parent.

    Attributes:
        refused: Reason -> transforms left out: ``not_finite``, ``not_a_rotation``, ``no_name``,
            ``own_parent``, ``other_parent`` (a frame keeps the first parent it was given).

    Args:
        keep_ns: Poses older than the newest one of their frame by more than this are forgotten;
            ``None`` keeps everything.
    """

    def __init__(self, keep_ns: int | None = None) -> None:
        self.refused: Counter[str] = Counter()
        self._keep_ns = keep_ns
        self._parents: dict[str, str] = {}
        self._static: dict[str, _Pose] = {}
        self._moving: dict[str, list[tuple[int, _Pose]]] = {}

    @classmethod
    def from_recording(cls, reader: BagReader) -> TransformBuffer:
        """Read every transform of a recording; ``/tf_static`` by the end of its topic's name."""
        buffer = cls()
        topics = [topic.name for topic in reader.topics if topic.type == TRANSFORMS]
        for topic, _, message in reader.messages(topics):
            buffer.add_message(message, static=topic.endswith('tf_static'))
        return buffer

    @property
    def frames(self) -> list[str]:
        """Names of all frames."""
        return sorted({*self._parents, *self._parents.values()})

    def add_message(self, message: Any, *, static: bool = False) -> None:
        """Add all transforms of a ``tf2_msgs/msg/TFMessage`` of rclpy or rosbags."""
        for stamped in message.transforms:
            pose = stamped.transform
            self.add(
                stamped.header.frame_id,
                stamped.child_frame_id,
                stamp_of(stamped),
                (pose.translation.x, pose.translation.y, pose.translation.z),
                (pose.rotation.x, pose.rotation.y, pose.rotation.z, pose.rotation.w),
                static=static,
            )

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        translation: Sequence[float],
        quaternion: Sequence[float],
        *,
        static: bool = False,
    ) -> bool:
        """Add the pose of ``child`` in ``parent``.

        Args:
            parent: Frame of the translation.
            child: Frame whose origin and axes are described.
            stamp_ns: Moment in nanoseconds; of two poses at one moment the later one counts.
            translation: x, y, z in metres.
            quaternion: x, y, z, w; of any length but zero.
            static: Whether the pose holds at all times.

        Returns:
            Whether the pose was accepted; if not, its reason is counted in ``refused``.
        """
        parent, child = _bare(parent), _bare(child)
        offset, turn = np.array(translation, np.float64), np.array(quaternion, np.float64)
        reason = self._reason_against(parent, child, offset, turn)
        if reason:
            self.refused[reason] += 1
            return False
        self._parents[child] = parent
        pose = (offset, turn / np.linalg.norm(turn))
        if static:
            self._static[child] = pose
            return True
        entries = self._moving.setdefault(child, [])
        position = bisect_left(entries, stamp_ns, key=itemgetter(0))
        if position < len(entries) and entries[position][0] == stamp_ns:
            entries[position] = (stamp_ns, pose)
        else:
            insort(entries, (stamp_ns, pose), key=itemgetter(0))
            self._forget_old(entries)
        return True

    def clear_moving(self) -> None:
        """Forget all poses but the static ones, which hold at all times."""
        self._moving.clear()
        self._parents = {child: self._parents[child] for child in self._static}

    def missing_ns(self, target: str, source: str, stamp_ns: int) -> int | None:
        """By how much the transform between two frames ends before a moment; 0 if it does not.

        Returns:
            Nanoseconds; ``None`` if a frame is unknown or the two are not connected.
        """
        target, source = _bare(target), _bare(source)
        up, down = self._ancestors(source), self._ancestors(target)
        if up[-1] != down[-1]:
            return None
        ends = [
            self._moving[frame][-1][0]
            for frame in {*up} ^ {*down}  # above the common ancestor nothing matters
            if frame in self._moving and frame not in self._static
        ]
        return max(0, stamp_ns - min(ends, default=stamp_ns))

    def lookup(self, target: str, source: str, stamp_ns: int) -> NDArray[np.float64]:
        """Return the (4, 4) matrix that takes points of ``source`` into ``target`` at a moment.

        Raises:
            TransformError: A frame is unknown, the two are not connected, or a transform between
                them is not known at ``stamp_ns``.
        """
        target, source = _bare(target), _bare(source)
        if target == source:
            return np.eye(4)
        self._require(target)
        self._require(source)
        up, down = self._ancestors(source), self._ancestors(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise TransformError(
                f'frames {source!r} and {target!r} are not connected: {source!r} hangs from '
                f'{up[-1]!r}, {target!r} from {down[-1]!r}',
                f'Record or publish a transform between {up[-1]!r} and {down[-1]!r}',
            )
        into_common = self._climb(up[: up.index(common)], stamp_ns)
        target_into_common = self._climb(down[: down.index(common)], stamp_ns)
        return _inverse(target_into_common) @ into_common

    def _forget_old(self, entries: list[tuple[int, _Pose]]) -> None:
        # All at once now and then: each removal moves the whole list.
        if self._keep_ns is None or len(entries) % _FORGET_EVERY:
            return
        oldest_ns = entries[-1][0] - self._keep_ns
        # The one before is needed to interpolate up to the first that stays.
        del entries[: max(0, bisect_left(entries, oldest_ns, key=itemgetter(0)) - 1)]

    def _reason_against(
        self, parent: str, child: str, offset: NDArray, turn: NDArray
    ) -> str | None:
        if not parent or not child:
            return 'no_name'
        if not (np.isfinite(offset).all() and np.isfinite(turn).all()):
            return 'not_finite'
        if np.linalg.norm(turn) < 1e-6:
            return 'not_a_rotation'
        if self._parents.get(child, parent) != parent:
            return 'other_parent'
        if child in self._ancestors(parent):
            return 'own_parent'
        return None

    def _require(self, frame: str) -> None:
        if frame not in self._parents and frame not in self._parents.values():
            raise TransformError(
                f'frame {frame!r} is unknown; known are {", ".join(self.frames) or "no frames"}',
                'Check the frame id of the clouds and the recorded /tf topics',
            )

    def _ancestors(self, frame: str) -> list[str]:
        """Return the frame and its parents up to the root; ``add`` keeps loops out."""
        chain = [frame]
        while chain[-1] in self._parents:
            chain.append(self._parents[chain[-1]])
        return chain

    def _climb(self, frames: Sequence[str], stamp_ns: int) -> NDArray[np.float64]:
        """Compose the poses of ``frames``, each in the next one."""
        matrix = np.eye(4)
        for frame in frames:
            matrix = _matrix(self._pose_at(frame, stamp_ns)) @ matrix
        return matrix

    def _pose_at(self, frame: str, stamp_ns: int) -> _Pose:
        if frame in self._static:
            return self._static[frame]
        entries = self._moving[frame]
        after = bisect_left(entries, stamp_ns, key=itemgetter(0))
        if after < len(entries) and entries[after][0] == stamp_ns:
            return entries[after][1]
        if after in (0, len(entries)):
            nearest_ns = entries[0][0] if after == 0 else entries[-1][0]
            raise TransformError(
                f'the pose of {frame!r} in {self._parents[frame]!r} is not known at '
                f'{stamp_ns * 1e-9:.6f} s: it {"begins" if after == 0 else "ends"} at '
                f'{nearest_ns * 1e-9:.6f} s, {abs(stamp_ns - nearest_ns) * 1e-9:.3f} s away',
                'Transforms are not extrapolated; record /tf for as long as the clouds',
            )
        (before_ns, (start, turn)), (after_ns, (end, turned)) = entries[after - 1 : after + 1]
        share = (stamp_ns - before_ns) / (after_ns - before_ns)
        turns = Slerp((0.0, 1.0), Rotation.from_quat((turn, turned)))
        return (1 - share) * start + share * end, turns(share).as_quat()


def _matrix(pose: _Pose) -> NDArray[np.float64]:
    translation, turn = pose
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_quat(turn).as_matrix()
    matrix[:3, 3] = translation
    return matrix


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    inverse = np.eye(4)
    inverse[:3, :3] = matrix[:3, :3].T
    inverse[:3, 3] = -matrix[:3, :3].T @ matrix[:3, 3]
    return inverse


def _bare(frame: str) -> str:
    """Drop the leading slash, which tf2 does not use."""
    return frame.removeprefix('/')
