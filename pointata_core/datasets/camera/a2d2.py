# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A2D2, the Audi data set (Geyer et al., arXiv:2004.06320), front camera.

Layout: ``DRIVE/{camera,lidar,label}/cam_front_center/DATE_{camera,lidar,label}_frontcenter_N.*``
with ``cams_lidars.json`` and ``class_list.json``. The archives already name each point's pixel,
but in the rectified image; images and label images come as the lens made them. Labels are read
at the nearest pixel there: interpolating a label image would invent colours.
"""

from __future__ import annotations

import json
import zipfile
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from pointata_core.datasets.camera.class_maps import A2D2_CLASSES, A2D2_UNKNOWN
from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames, read_image, seen
from pointata_core.datasets.camera.projection import distort
from pointata_core.datasets.errors import (
    damaged,
    require_file,
    require_folder,
    require_split,
)
from pointata_core.io.files.folders import visible

TEST_DRIVE = '20180807_145028'
TRAIN_DRIVES = (
    '20180810_142822', '20180925_101535', '20180925_112730', '20180925_124435', '20180925_135056',
    '20181008_095521', '20181016_082154', '20181016_125231', '20181107_132300', '20181107_132730',
    '20181107_133258', '20181107_133445', '20181108_084007', '20181108_091945', '20181108_103155',
    '20181108_123750', '20181108_141609', '20181204_135952', '20181204_154421', '20181204_170238',
)  # fmt: skip
SPLITS = {'train': TRAIN_DRIVES, 'test': (TEST_DRIVE,)}

_SIDE = 'cam_front_center'


def a2d2(root: Path | str, split: str, task: str = 'a2d2_semantickitti') -> CameraFrames:
    """Open a split; drives or frames without LiDAR are left out, as published.

    Args:
        root: Folder that holds the drives and both JSON files, or ``camera_lidar_semantic`` there.
        split: ``train`` or ``test``.
        task: ``a2d2_semantickitti``.

    Raises:
        DataError: Unknown split; a drive or a file is missing or damaged.
    """
    require_split('A2D2', split, tuple(SPLITS))
    root = Path(root)
    if (root / 'camera_lidar_semantic').is_dir():
        root = root / 'camera_lidar_semantic'
    lens = read_lens(root)
    colours = read_colours(root / 'class_list.json')
    readers = []
    for drive in SPLITS[split]:
        folder = require_folder([root / drive], 'a drive with camera, lidar and label')
        for cloud in sorted(visible((folder / 'lidar' / _SIDE).glob('*_lidar_frontcenter_*.npz'))):
            if 'row' in _keys_of(cloud):
                name = f'{drive}/{cloud.stem.rpartition("_")[2]}'
                readers.append((name, partial(_read, name, cloud, folder, lens, colours)))
    if not readers:
        raise damaged(root, 'no frames', f'DRIVE/lidar/{_SIDE}/*.npz')
    return CameraFrames('a2d2', split, task, 'a2d2', readers)


Lens = tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, ...]]


def read_lens(root: Path) -> Lens:
    """Rectified and original camera matrix and the distortion of the front camera.

    Raises:
        DataError: ``cams_lidars.json`` is missing or damaged, or its lens is another one.
    """
    path = require_file(_beside(root, 'cams_lidars.json'), 'the calibration')
    try:
        camera = json.loads(path.read_text(encoding='utf-8'))['cameras']['front_center']
        rectified = np.array(camera['CamMatrix'], np.float64).reshape(3, 3)
        original = np.array(camera['CamMatrixOriginal'], np.float64).reshape(3, 3)
        coefficients = tuple(np.ravel(camera['Distortion']).astype(float).tolist())
        lens = camera['Lens']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, repr(error), 'cameras.front_center with both matrices') from error
    if lens != 'Telecam':
        raise damaged(path, f'the lens {lens}', 'Telecam, as the released front camera has')
    return rectified, original, coefficients


def read_colours(path: Path) -> dict[int, int]:
    """Colour of a label image (red * 65536 + green * 256 + blue) -> class of ``A2D2_CLASSES``.

    Raises:
        DataError: The file is missing, damaged, or names another class.
    """
    require_file(_beside(path.parent, path.name), 'colours and names of the classes')
    path = _beside(path.parent, path.name)
    try:
        listed = json.loads(path.read_text(encoding='utf-8'))
        return {int(k.lstrip('#'), 16): A2D2_CLASSES.index(v) for k, v in listed.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise damaged(path, error, 'the released colours and class names') from error


def _beside(root: Path, name: str) -> Path:
    """Both JSON files lie in the root of the release or one folder above the drives."""
    above = root.parent / name
    return above if not (root / name).is_file() and above.is_file() else root / name


def _keys_of(cloud: Path) -> set[str]:
    try:
        with zipfile.ZipFile(cloud) as archive:
            return {name.removesuffix('.npy') for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise damaged(cloud, error, 'an .npz archive') from error


def _read(
    name: str,
    cloud: Path,
    drive: Path,
    lens: Lens,
    colours: dict[int, int],
    rng: np.random.Generator,
) -> CameraFrame:
    try:
        with np.load(cloud, allow_pickle=False) as arrays:
            points = arrays['points']
            pixels = np.stack([arrays['row'], arrays['col']], axis=1)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(cloud, error, 'points, row and col') from error
    if points.ndim != 2 or points.shape[1] != 3 or len(points) != len(pixels):
        raise damaged(cloud, f'points {points.shape}, pixels {pixels.shape}', '(N, 3) and (N, 2)')

    def beside(kind: str) -> Path:
        file = cloud.name.replace('_lidar_', f'_{kind}_').replace('.npz', '.png')
        return drive / kind / _SIDE / file

    image = rectify(read_image(beside('camera')), lens)
    labels = _labels_at(read_image(beside('label')), pixels, lens, colours)
    return seen(name, image, points, pixels, labels)


def rectify(image: NDArray[np.uint8], lens: Lens) -> NDArray[np.uint8]:
    """Take the lens's distortion out of an image (H, W, 3), black where it did not look."""
    rectified, original, coefficients = lens
    height, width = image.shape[:2]
    where = _map(height, width, rectified.tobytes(), original.tobytes(), coefficients)
    out = np.empty_like(image)
    for channel in range(3):
        map_coordinates(image[..., channel], where, out[..., channel], order=1, cval=0)
    return out


@cache
def _map(
    height: int, width: int, rectified: bytes, original: bytes, coefficients: tuple[float, ...]
) -> NDArray[np.float64]:
    """Source (2, H, W) of every pixel; one camera and one size in a whole data set."""
    before, after = (np.frombuffer(m).reshape(3, 3) for m in (rectified, original))
    grid = np.moveaxis(np.indices((height, width)), 0, -1).reshape(-1, 2).astype(np.float64)
    return distort(grid, before, after, coefficients).T.reshape(2, height, width)


def _labels_at(
    labels: NDArray[np.uint8], pixels: NDArray, lens: Lens, colours: dict[int, int]
) -> NDArray[np.int64]:
    height, width = labels.shape[:2]
    where = np.rint(distort(np.floor(pixels), *lens)).astype(np.int64)
    inside = ((where >= 0) & (where < [height, width])).all(axis=1)
    red, green, blue = labels[tuple(where[inside].T)].astype(np.int64).T
    colour = red << 16 | green << 8 | blue
    found = np.full(len(pixels), A2D2_UNKNOWN, np.int64)
    known, inverse = np.unique(colour, return_inverse=True)
    classes = np.array([colours.get(int(c), A2D2_UNKNOWN) for c in known], np.int64)
    found[inside] = classes[inverse]
    return found
