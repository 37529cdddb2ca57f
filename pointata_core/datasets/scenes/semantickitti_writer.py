# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scans with labels in the layout of SemanticKITTI, so that other tools can go on with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.scenes.semantickitti import NOMINAL_LIDAR_TO_CAMERA
from pointata_core.safe_files import write_atomically
from pointata_core.taxonomy import SEGMENTATION_CLASSES, SEMANTICKITTI_TO_OURS

_RAW = {
    'road': 40, 'sidewalk': 48, 'terrain': 72, 'building': 50, 'fence': 51, 'pole': 80, 'trunk': 71,
    'vegetation': 70, 'car': 10, 'bicycle': 11, 'person': 30,
}  # fmt: skip
FIRST_OWN_ID = 1000
"""Id of class 0 of a folder with classes that the data set lacks; class n has this and n."""
assert all(SEMANTICKITTI_TO_OURS[raw] == SEGMENTATION_CLASSES.index(n) for n, raw in _RAW.items())


class SequenceWriter:
    """One sequence: ``velodyne``, ``labels``, ``poses.txt``, ``calib.txt`` and ``times.txt``.

    Args:
        folder: Of the sequence; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._poses: list[NDArray[np.float64]] = []
        self._stamps_ns: list[int] = []
        for name in ('velodyne', 'labels'):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def add(
        self,
        points: NDArray,
        intensity: NDArray,
        raw: NDArray,
        stamp_ns: int,
        pose: NDArray | None = None,
    ) -> None:
        """Write one scan.

        Args:
            points: ``(N, 3)`` metres.
            intensity: ``(N,)``.
            raw: ``(N,)`` ids of the data set, see :func:`raw_ids`.
            stamp_ns: When it was taken; the file counts from the first scan.
            pose: ``(4, 4)`` of the LiDAR in a frame at rest; without one of any scan there is no
                ``poses.txt``.
        """
        name = f'{len(self._stamps_ns):06d}'
        rows = np.column_stack([points, intensity]).astype('<f4')
        (self.folder / 'velodyne' / f'{name}.bin').write_bytes(rows.tobytes())
        (self.folder / 'labels' / f'{name}.label').write_bytes(raw.astype('<u4').tobytes())
        self._stamps_ns.append(stamp_ns)
        if pose is not None:
            self._poses.append(np.asarray(pose, np.float64))

    def close(self) -> None:
        """Write what belongs to all scans."""
        self._write(
            'times.txt', [f'{(t - self._stamps_ns[0]) * 1e-9:.9f}' for t in self._stamps_ns]
        )
        self._write('calib.txt', [f'Tr: {_row(NOMINAL_LIDAR_TO_CAMERA)}'])
        if len(self._poses) == len(self._stamps_ns) and self._poses:
            turn, first = NOMINAL_LIDAR_TO_CAMERA, np.linalg.inv(self._poses[0])
            camera = [turn @ first @ pose @ np.linalg.inv(turn) for pose in self._poses]
            self._write('poses.txt', [_row(pose) for pose in camera])

    def _write(self, name: str, lines: list[str]) -> None:
        write_atomically(self.folder / name, ''.join(f'{line}\n' for line in lines).encode())


def raw_ids(labels: NDArray) -> NDArray[np.uint32]:
    """Ids of SemanticKITTI ``(N,)`` of our labels; 0, unlabelled, for classes that it lacks."""
    table = np.zeros(1 << 16, np.uint32)
    for name, raw in _RAW.items():
        table[SEGMENTATION_CLASSES.index(name)] = raw
    return table[labels]


def _row(matrix: NDArray) -> str:
    return ' '.join(f'{value:.12e}' for value in matrix[:3].ravel())
