# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Virtual KITTI 1.3.1 (Gaidon et al., CVPR 2016) with the point clouds of vkitti3D.

Layout: ``vkitti3d_npy/SCENE/FFFFF.npy`` (N, 7: x, y, z, red, green, blue, class) and
``vkitti_1.3.1_rgb/SCENE/WEATHER/FFFFF.png``. The clouds come from depth images, so every point is
seen; weather changes the image alone.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames, read_image, seen
from pointata_core.datasets.camera.projection import project
from pointata_core.datasets.errors import DataError, damaged, require_folder, require_split
from pointata_core.io.files.folders import visible

SCENES = ('0001', '0002', '0006', '0018', '0020')
WEATHERS = ('clone', 'fog', 'morning', 'overcast', 'rain', 'sunset')
CAMERA = np.array([[725, 0, 620.5], [0, 725, 187], [0, 0, 1]])

# Camera axes (right, down, forward) in those of the clouds (forward, left, up).
TO_CAMERA = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)


def virtual_kitti(
    root: Path | str,
    split: str = 'train',
    task: str = 'virtual_kitti_semantickitti',
    weather: str = 'random',
) -> CameraFrames:
    """Open the only split, ``train``.

    Args:
        root: Folder that holds ``vkitti3d_npy`` and ``vkitti_1.3.1_rgb``.
        split: ``train``.
        task: ``virtual_kitti_semantickitti``.
        weather: One of ``WEATHERS``, or ``random`` for another one whenever a frame is read.

    Raises:
        DataError: Unknown split or weather; a scene is missing.
    """
    require_split('Virtual KITTI', split, ('train',))
    if weather not in (*WEATHERS, 'random'):
        raise DataError(
            f"Virtual KITTI has no weather '{weather}'", f'Choose {", ".join(WEATHERS)}'
        )
    root = Path(root)
    readers = []
    for scene in SCENES:
        clouds = require_folder([root / 'vkitti3d_npy' / scene], 'clouds of a scene, FFFFF.npy')
        images = require_folder([root / 'vkitti_1.3.1_rgb' / scene], 'images of a scene')
        for cloud in sorted(visible(clouds.glob('*.npy'))):
            name = f'{scene}/{cloud.stem}'
            readers.append((name, partial(_read, name, cloud, images, weather)))
    if not readers:
        raise damaged(root / 'vkitti3d_npy', 'no clouds', 'SCENE/FFFFF.npy')
    return CameraFrames('virtual_kitti', split, task, 'virtual_kitti', readers)


def _read(
    name: str, cloud: Path, images: Path, weather: str, rng: np.random.Generator
) -> CameraFrame:
    try:
        rows = np.load(cloud, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise damaged(cloud, error, 'an array (N, 7)') from error
    if rows.ndim != 2 or rows.shape[1] != 7:
        raise damaged(cloud, f'an array {rows.shape}', '(N, 7): x y z, colour, class')
    chosen = WEATHERS[rng.integers(len(WEATHERS))] if weather == 'random' else weather
    image = read_image(images / chosen / f'{cloud.stem}.png')
    points = rows[:, :3].astype(np.float32)
    pixels, _ = project(points, CAMERA, TO_CAMERA)
    return seen(name, image, points, pixels, rows[:, 6].astype(np.int64))
