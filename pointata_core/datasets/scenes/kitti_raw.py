# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""KITTI scans with images of one camera as a recording: clouds, images, calibration, transforms.

Layout: ``velodyne/*.bin`` (x, y, z, reflectance, float32), images of the same names in
``image_02`` or ``image_2`` and ``calib.txt``: either that of a raw drive (``P_rect_02``,
``R_rect_00``, ``Tr_velo_to_cam``) or that of a sequence of the odometry benchmark and SemanticKITTI
(``P2``, ``Tr``). Labels of SemanticKITTI (``labels/*.label``) are taken along if they are there.

Geiger et al., "Vision meets robotics: the KITTI dataset", IJRR 2013: scans at 10 Hz; the camera is
triggered when the scanner looks forward, so that both carry one stamp here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointata_core.datasets.scenes.semantickitti import TR_ARCHIVE
from pointata_core.errors import BagError
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.files.folders import natural_order, visible
from pointata_core.io.messages.camera_messages import camera_info, cloud, image, transform
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns

CLOUD_TOPIC = '/velodyne_points'
IMAGE_TOPIC = '/camera/image_rect'
INFO_TOPIC = '/camera/camera_info'
CLOUD_FRAME, CAMERA_FRAME = 'velodyne', 'camera'
PERIOD_NS = 100_000_000
START_NS = 1_317_042_000_000_000_000
"""26 September 2011, the day of the drives."""

_IMAGES = ('image_02', 'image_2')


def read_calibration(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projection (3, 4) of the rectified camera, and (4, 4) from the scanner to its frame.

    Raises:
        BagError: The file is missing, or lacks an entry.
    """
    rows: dict[str, NDArray] = {}
    try:
        for line in path.read_text(encoding='utf-8').splitlines():
            name, colon, numbers = line.partition(':')
            if colon and not line.startswith('#'):
                rows[name.strip()] = np.array([float(word) for word in numbers.split()])
    except (OSError, ValueError) as error:
        raise BagError(f'{path}: cannot be read as a calibration ({error})') from error
    projection = rows.get('P_rect_02', rows.get('P2'))
    place = rows.get('Tr_velo_to_cam', rows.get('Tr'))
    if projection is None or place is None or projection.size != 12 or place.size != 12:
        raise BagError(
            f'{path}: found {sorted(rows)}, expected P_rect_02, R_rect_00 and Tr_velo_to_cam, '
            'or P2 and Tr',
            f'Put the calibration of the drive into one file calib.txt. {TR_ARCHIVE}',
        )
    turn, pose = np.eye(4), np.eye(4)
    if 'R_rect_00' in rows:
        turn[:3, :3] = rows['R_rect_00'].reshape(3, 3)
    pose[:3] = place.reshape(3, 4)
    return projection.reshape(3, 4), turn @ pose


def write_kitti_bag(folder: str | Path, output: str | Path, storage: str = 'mcap') -> int:
    """Write a recording.

    Args:
        folder: With scans, images and calibration.
        output: Folder of the recording; must not exist.
        storage: ``mcap`` or ``sqlite3``.

    Returns:
        Number of scans written.

    Raises:
        BagError: Something is missing or damaged, or the output exists.
        ModuleNotFoundError: Pillow is not installed.
    """
    folder = Path(folder)
    scans = natural_order(visible((folder / 'velodyne').glob('*.bin')))
    if not scans:
        raise BagError(f'{folder}: found no velodyne/*.bin', 'Name the folder that holds velodyne/')
    images = next((folder / name for name in _IMAGES if (folder / name).is_dir()), None)
    if images is None:
        raise BagError(
            f'{folder}: found neither {" nor ".join(_IMAGES)}',
            'For scans alone: pointata data bag clouds --root velodyne',
        )
    projection, camera_from_lidar = read_calibration(folder / 'calib.txt')
    # The camera beside the first one: its offset is in the projection, and in ROS in the transform.
    camera_from_lidar[:3, 3] += np.linalg.solve(projection[:, :3], projection[:, 3])
    with BagWriter(output, storage) as bag:
        bag.add_topic('/tf_static', 'tf2_msgs/msg/TFMessage', transient_local=True, depth=1)
        bag.write('/tf_static', _mounting(bag.types, camera_from_lidar), START_NS)
        for number, scan in enumerate(scans):
            stamp_ns = START_NS + number * PERIOD_NS
            colours = _read_image(images / f'{scan.stem}.png')
            matrix = projection[:, :3]
            info = camera_info(bag.types, stamp_ns, CAMERA_FRAME, matrix, colours.shape[:2])
            # As a driver does it: the image is there before the scan is complete.
            bag.write(INFO_TOPIC, info, stamp_ns)
            bag.write(IMAGE_TOPIC, image(bag.types, stamp_ns, CAMERA_FRAME, colours), stamp_ns)
            bag.write(CLOUD_TOPIC, _cloud(bag.types, stamp_ns, scan, folder), stamp_ns)
    return len(scans)


def _mounting(types: dict[str, Any], camera_from_lidar: NDArray) -> Any:
    place = np.linalg.inv(camera_from_lidar)
    # Published matrices are rounded; the nearest rotation is what was meant.
    turn = Rotation.from_matrix(place[:3, :3]).as_quat()
    return transform(types, START_NS, CLOUD_FRAME, CAMERA_FRAME, place[:3, 3], turn)


def _read_image(path: Path) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert('RGB'))
    except (OSError, ValueError, SyntaxError) as error:
        raise BagError(f'{path}: cannot be read as an image ({error})', 'Copy it again') from error


def _cloud(types: dict[str, Any], stamp_ns: int, scan: Path, folder: Path) -> Any:
    try:
        rows = np.fromfile(scan, np.float32).reshape(-1, 4)
        columns = [*xyz_columns(rows[:, :3]), ('intensity', rows[:, 3])]
        labels = folder / 'labels' / f'{scan.stem}.label'
        if labels.is_file():
            ids = np.fromfile(labels, np.uint32) & 0xFFFF
            columns.append(('label', ids.astype(np.uint32)))
        return cloud(types, stamp_ns, CLOUD_FRAME, encode_fields(columns))
    except (OSError, ValueError) as error:
        raise BagError(
            f'{scan}: cannot be read as (N, 4) float32 with its labels ({error})', 'Copy it again'
        ) from error
