# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sequence of SemanticKITTI: scans, labels of every point, and poses.

Behley et al., SemanticKITTI: A Dataset for Semantic Scene Understanding of LiDAR Sequences, ICCV
2019; format as on semantic-kitti.org. A sequence is a folder with ``velodyne/NNNNNN.bin`` (float32
x y z remission), ``labels/NNNNNN.label`` (uint32: lower 16 bits the class, upper the instance)
and, each optional, ``poses.txt`` (3 x 4 camera poses), ``calib.txt`` (``Tr``: LiDAR to camera) and
``times.txt`` (seconds). The hidden test sequences have no labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import CloudFileError
from pointata_core.io.files.folders import natural_order, visible

RATE_HZ = 10.0

# Axes of KITTI's camera (right, down, forward) in those of its LiDAR (forward, left, up): what `Tr`
# is but for the offset of some decimetres and a rotation below a degree.
NOMINAL_LIDAR_TO_CAMERA = np.array(
    [[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64
)


@dataclass(frozen=True, eq=False)
class SemanticKittiScan:
    """One scan with what is known about it.

    Args:
        points: (N, 3) float32 metres in the LiDAR frame.
        intensity: (N,) float32 remission in [0, 1].
        label: (N,) uint16 raw class ids of the data set; None in a sequence without labels.
        instance: (N,) uint16 object ids, 0 = none; None in a sequence without labels.
        pose: (4, 4) float64, LiDAR frame to that of the first scan; None without poses.
        stamp_ns: Time since the beginning of the sequence.
        name: File name without its ending.
    """

    points: NDArray[np.float32]
    intensity: NDArray[np.float32]
    label: NDArray[np.uint16] | None
    instance: NDArray[np.uint16] | None
    pose: NDArray[np.float64] | None
    stamp_ns: int
    name: str


class SemanticKittiSequence:
    """The scans of one sequence, read from disk on demand.

    Args:
        folder: The folder that holds ``velodyne``.

    Attributes:
        paths: The files of the scans, in order.
        poses: (F, 4, 4) float64, or None; LiDAR poses relative to the first scan. Without ``Tr``
            they use the nominal axes of camera and LiDAR, which is exact but for the lever arm
            between the two.
        notes: What is lost because an optional file is short or damaged, as sentences.

    Raises:
        CloudFileError: Something is absent or does not fit; names the files and the fix.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.paths = natural_order(visible((self.folder / 'velodyne').glob('*.bin')))
        if not self.paths:
            raise CloudFileError(
                f'{self.folder / "velodyne"} holds no .bin files',
                'Give the folder of one sequence, such as sequences/00',
            )
        self.has_labels = (self.folder / 'labels').is_dir()
        self.notes: list[str] = []
        times = self._read_rows('times.txt', 1, f'stamps {RATE_HZ:.0f} Hz apart are assumed')
        seconds = np.arange(len(self.paths)) / RATE_HZ if times is None else times[:, 0]
        self._stamps_ns = np.round(seconds * 1e9).astype(np.int64)
        lidar_to_camera = self._read_calibration()
        self.poses = self._read_poses(
            NOMINAL_LIDAR_TO_CAMERA if lidar_to_camera is None else lidar_to_camera
        )

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.paths)

    def __iter__(self) -> Iterator[SemanticKittiScan]:
        """Read all scans in order."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> SemanticKittiScan:
        """Read one scan.

        Raises:
            CloudFileError: A file is absent, cut, or its labels belong to another scan.
        """
        path = self.paths[index]
        rows = _read_array(path, '<f4', 4).reshape(-1, 4)
        label, instance = self._read_labels(path, len(rows)) if self.has_labels else (None, None)
        return SemanticKittiScan(
            points=np.ascontiguousarray(rows[:, :3]),
            intensity=np.ascontiguousarray(rows[:, 3]),
            label=label,
            instance=instance,
            pose=None if self.poses is None else self.poses[index],
            stamp_ns=int(self._stamps_ns[index]),
            name=path.stem,
        )

    def _read_labels(self, scan: Path, count: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        path = self.folder / 'labels' / f'{scan.stem}.label'
        if not path.is_file():
            raise CloudFileError(f'{scan} has no labels: {path} is absent', 'Download the labels')
        packed = _read_array(path, '<u4', 1)
        if len(packed) != count:
            raise CloudFileError(
                f'{path} holds {len(packed)} labels, {scan} holds {count} points',
                'Take both from the same release of the data set',
            )
        return (packed & 0xFFFF).astype(np.uint16), (packed >> 16).astype(np.uint16)

    def _read_poses(self, lidar_to_camera: NDArray[np.float64]) -> NDArray[np.float64] | None:
        rows = self._read_rows('poses.txt', 12, 'the sequence is read without poses')
        if rows is None:
            return None
        camera = np.tile(np.eye(4), (len(rows), 1, 1))
        camera[:, :3] = rows.reshape(-1, 3, 4)
        lidar = np.linalg.inv(lidar_to_camera) @ camera @ lidar_to_camera
        return np.linalg.inv(lidar[0]) @ lidar

    def _read_calibration(self) -> NDArray[np.float64] | None:
        path = self.folder / 'calib.txt'
        if not path.is_file():
            return None
        found = 'has no line Tr'
        for line in path.read_text(errors='replace').splitlines():
            key, _, numbers = line.partition(':')
            if key.strip() in {'Tr', 'Tr_velo_to_cam'}:
                try:
                    matrix = np.eye(4)
                    matrix[:3] = np.array(numbers.split(), np.float64).reshape(3, 4)
                    np.linalg.inv(matrix)
                except (ValueError, np.linalg.LinAlgError) as error:
                    found = f'has a line {key} that is no pose ({error})'
                else:
                    return matrix
        self.notes.append(
            f'{path} {found}; the nominal axes of camera and LiDAR are used. {TR_ARCHIVE}'
        )
        return None

    def _read_rows(self, name: str, columns: int, instead: str) -> NDArray[np.float64] | None:
        """Rows of numbers, one a scan; None without such a file, and with a note if it is short."""
        path, count = self.folder / name, len(self.paths)
        if not path.is_file():
            return None
        try:
            rows = np.loadtxt(path, dtype=np.float64, ndmin=2)
            found = f'{rows.shape[0]} rows of {rows.shape[1]} numbers'
            if rows.shape[1] == columns and len(rows) >= count and np.isfinite(rows).all():
                # A part of a sequence may come with the poses of all of it, from the first scan on.
                return rows[:count]
        except ValueError as error:
            found = f'something else ({str(error).splitlines()[0]})'
        self.notes.append(
            f'{path} holds {found}, expected {count} scans of {columns} finite numbers; {instead}'
        )
        return None


TR_ARCHIVE = (
    'data_odometry_calib.zip of KITTI has calib.txt with Tr; that of the colour images has none'
)
_FIX = 'Download it again'


def _read_array(path: Path, dtype: str, columns: int) -> NDArray:
    row = 4 * columns
    size = path.stat().st_size
    if size % row:
        raise CloudFileError(f'{path} has {size} bytes, expected a multiple of {row}', _FIX)
    return np.fromfile(path, dtype)
