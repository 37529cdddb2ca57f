# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SemanticKITTI with its left colour camera (Behley et al., ICCV 2019; Geiger et al., CVPR 2012).

Layout: ``[dataset/]sequences/NN/`` with ``velodyne/NNNNNN.bin``, ``image_2/NNNNNN.png``,
``calib.txt`` (``P2``, ``Tr``) and, but for hidden sequences, ``labels/NNNNNN.label``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames, read_image, seen
from pointata_core.datasets.camera.projection import project
from pointata_core.datasets.errors import (
    damaged,
    require_file,
    require_folder,
    require_split,
)
from pointata_core.datasets.scenes.semantickitti import TR_ARCHIVE
from pointata_core.io.files.folders import visible

SPLITS = {
    'train': ('00', '01', '02', '03', '04', '05', '06', '09', '10'),
    'val': ('07',),
    'test': ('08',),
    'train_labelled': ('00', '01'),
    'train_unlabelled': (
        *(f'{number:02d}' for number in range(2, 7)),
        *(f'{number:02d}' for number in range(9, 22)),
    ),
}
"""As xMUDA divides it; ``train_labelled`` and ``train_unlabelled`` are for few target labels."""


def semantickitti_camera(root: Path | str, split: str, task: str) -> CameraFrames:
    """Open a split.

    Args:
        root: Folder that holds ``sequences`` or ``dataset/sequences``.
        split: One of ``SPLITS``.
        task: ``virtual_kitti_semantickitti`` or ``a2d2_semantickitti``.

    Raises:
        DataError: Unknown split; a sequence or its calibration is missing or damaged.
        ConfigError: Another task.
    """
    require_split('SemanticKITTI', split, tuple(SPLITS))
    root = Path(root)
    candidates = [root / 'sequences', root / 'dataset' / 'sequences']
    folder = require_folder(candidates, 'the sequences of SemanticKITTI')
    readers = []
    for sequence in SPLITS[split]:
        where = require_folder([folder / sequence], 'a sequence with velodyne and image_2')
        camera, transform = read_calibration(where / 'calib.txt')
        for scan in sorted(visible((where / 'velodyne').glob('*.bin'))):
            name = f'{sequence}/{scan.stem}'
            readers.append((name, partial(_read, name, scan, camera, transform)))
    if not readers:
        raise damaged(folder, 'no scans', 'NN/velodyne/NNNNNN.bin')
    return CameraFrames('semantickitti', split, task, 'semantickitti', readers)


def read_calibration(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projection ``P2`` (3, 4) and ``Tr`` (4, 4), LiDAR to camera, of a ``calib.txt``.

    Raises:
        DataError: The file or one of the two is missing or damaged.
    """
    require_file(path, 'the calibration of a sequence')
    found = {}
    for line in path.read_text(errors='replace').splitlines():
        key, _, numbers = line.partition(':')
        if key.strip() in ('P2', 'Tr'):
            try:
                found[key.strip()] = np.array(numbers.split(), np.float64).reshape(3, 4)
            except ValueError as error:
                raise damaged(path, f'{key}: {error}', 'twelve numbers') from error
    if set(found) != {'P2', 'Tr'}:
        raise damaged(path, f'lines {sorted(found)}', 'lines P2 and Tr', TR_ARCHIVE)
    return found['P2'], np.vstack([found['Tr'], [0, 0, 0, 1]])


def _read(
    name: str, scan: Path, camera: NDArray, transform: NDArray, rng: np.random.Generator
) -> CameraFrame:
    require_file(scan, 'a scan')
    if scan.stat().st_size % 16:
        raise damaged(scan, f'{scan.stat().st_size} bytes', 'rows of four float32')
    points = np.fromfile(scan, '<f4').reshape(-1, 4)[:, :3]
    folder = scan.parents[1]
    labels = None
    if (folder / 'labels').is_dir():
        path = require_file(folder / 'labels' / f'{scan.stem}.label', f'the labels of {scan}')
        labels = (np.fromfile(path, '<u4') & 0xFFFF).astype(np.int64)
        if len(labels) != len(points):
            raise damaged(path, f'{len(labels)} labels', f'{len(points)}, as points in {scan}')
    image = read_image(folder / 'image_2' / f'{scan.stem}.png')
    # What lies beside or behind the sensor may project into the image from the other side.
    ahead = points[:, 0] > 0
    pixels, _ = project(points[ahead], camera, transform)
    return seen(name, image, points[ahead], pixels, None if labels is None else labels[ahead])
