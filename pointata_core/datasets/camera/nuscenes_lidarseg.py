# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""nuScenes-lidarseg with its front camera (Caesar et al., CVPR 2020; Fong et al., RA-L 2022).

Layout: the tables ``VERSION/*.json``, ``samples/LIDAR_TOP/*.pcd.bin``, ``samples/CAM_FRONT/*.jpg``
and ``lidarseg/VERSION/*_lidarseg.bin``. Scan and image have times of their own, so a point goes
from the LiDAR to the vehicle then, to the map, to the vehicle when the image was taken, and to
the camera.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera.class_maps import NUSCENES_COARSE
from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames, read_image, seen
from pointata_core.datasets.camera.projection import project, rigid
from pointata_core.datasets.errors import (
    damaged,
    require_file,
    require_folder,
    require_split,
)


def _scenes(*ranges: int | tuple[int, int]) -> frozenset[str]:
    spans = [(r, r) if isinstance(r, int) else r for r in ranges]
    return frozenset(f'scene-{n:04d}' for first, last in spans for n in range(first, last + 1))


OFFICIAL_VALIDATION = _scenes(
    3, (12, 18), 35, 36, 38, 39, (92, 110), 221, (268, 278), (329, 332), (344, 346), (519, 524),
    (552, 565), (625, 627), 629, 630, (632, 638), 770, 771, 775, 777, 778, (780, 784), (794, 800),
    802, (904, 917), (919, 931), 962, 963, (966, 969), 971, 972, (1059, 1073),
)  # fmt: skip
"""The 150 scenes of the official validation split, which serve as test here."""

VALIDATION_NIGHT = _scenes((1044, 1058))
VALIDATION_SINGAPORE = _scenes(
    (4, 11), (45, 54), (347, 349), (356, 359), 786, 787, (789, 792), (847, 856), 858, (860, 866),
    (975, 984), (988, 991), 1044, (1106, 1110),
)  # fmt: skip
"""Scenes that xMUDA holds out of the official training split, 15 and 69."""

SPLITS = (
    'train_usa', 'test_usa', 'train_singapore', 'val_singapore', 'test_singapore',
    'train_day', 'test_day', 'train_night', 'val_night', 'test_night',
)  # fmt: skip


def in_split(split: str, scene: str, location: str, description: str) -> bool:
    """Whether a scene belongs to a split.

    Args:
        split: One of ``SPLITS``.
        scene: Such as ``scene-0001``.
        location: Of its log, such as ``boston-seaport``.
        description: Text about the scene; it contains ``night`` for scenes at night.
    """
    part, _, domain = split.partition('_')
    there = {
        'usa': 'boston' in location,
        'singapore': 'singapore' in location,
        'night': 'night' in description.lower(),
        'day': 'night' not in description.lower(),
    }[domain]
    held_out = {'night': VALIDATION_NIGHT, 'singapore': VALIDATION_SINGAPORE}.get(domain, ())
    official = scene in OFFICIAL_VALIDATION
    if part == 'test' or official:
        return there and official and part == 'test'
    return there and (scene in held_out) == (part == 'val')


def nuscenes_lidarseg(
    root: Path | str,
    split: str,
    task: str = 'nuscenes_lidarseg',
    version: str = 'v1.0-trainval',
) -> CameraFrames:
    """Open a split: every key frame of its scenes.

    Args:
        root: Folder that holds the tables, ``samples`` and ``lidarseg``.
        split: One of ``SPLITS``.
        task: ``nuscenes_lidarseg``.
        version: Folder of the tables.

    Raises:
        DataError: Unknown split; tables are missing or damaged.
    """
    require_split('nuScenes', split, tuple(SPLITS))
    root = Path(root)
    tables = require_folder([root / version], 'the tables of nuScenes')
    try:
        readers = _list(root, tables, split)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(tables, repr(error), 'tables that refer to each other') from error
    if not readers:
        raise damaged(tables, f'no frames of {split}', 'scenes of that split')
    return CameraFrames('nuscenes_lidarseg', split, task, 'nuscenes', readers)


def _table(folder: Path, name: str) -> list[dict[str, Any]]:
    path = require_file(folder / f'{name}.json', 'a table of nuScenes')
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise damaged(path, error, 'a table of nuScenes') from error


def _by_token(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row['token']: row for row in rows}


def _list(root: Path, tables: Path, split: str) -> list[tuple[str, partial]]:
    logs = _by_token(_table(tables, 'log'))
    chosen = {
        scene['token']: scene['name']
        for scene in _table(tables, 'scene')
        if in_split(
            split, scene['name'], logs[scene['log_token']]['location'], scene['description']
        )
    }
    samples = {
        row['token']: chosen[row['scene_token']]
        for row in _table(tables, 'sample')
        if row['scene_token'] in chosen
    }
    sensors = {row['token']: row['channel'] for row in _table(tables, 'sensor')}
    mounted = _by_token(_table(tables, 'calibrated_sensor'))
    frames: dict[str, dict[str, dict[str, Any]]] = {token: {} for token in samples}
    for row in _table(tables, 'sample_data'):
        if row['is_key_frame'] and row['sample_token'] in frames:
            channel = sensors[mounted[row['calibrated_sensor_token']]['sensor_token']]
            if channel in ('LIDAR_TOP', 'CAM_FRONT'):
                frames[row['sample_token']][channel] = row
    needed = {data['ego_pose_token'] for frame in frames.values() for data in frame.values()}
    poses = {row['token']: row for row in _table(tables, 'ego_pose') if row['token'] in needed}
    labels = {row['sample_data_token']: row['filename'] for row in _table(tables, 'lidarseg')}
    coarse = _coarse_table(_table(tables, 'category'))
    readers = []
    for token, frame in frames.items():
        lidar, camera = frame['LIDAR_TOP'], frame['CAM_FRONT']
        name = f'{samples[token]}/{token}'
        reader = partial(
            _read,
            name,
            root / lidar['filename'],
            root / camera['filename'],
            root / labels[lidar['token']] if lidar['token'] in labels else None,
            *_camera_of(lidar, camera, mounted, poses),
            coarse,
        )
        readers.append((lidar['timestamp'], name, reader))
    return [(name, reader) for _, name, reader in sorted(readers, key=lambda row: row[:2])]


def _coarse_table(categories: list[dict[str, Any]]) -> NDArray[np.int64]:
    table = np.zeros(256, np.int64)
    for row in categories:
        table[row['index']] = NUSCENES_COARSE.get(row['name'], 0)
    return table


def _camera_of(
    lidar: dict, camera: dict, mounted: dict, poses: dict
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intrinsic matrix, and LiDAR at its time into camera at the image's time."""

    def placed(row: dict[str, Any]) -> NDArray[np.float64]:
        return rigid(row['translation'], row['rotation'])

    lidar_mount = mounted[lidar['calibrated_sensor_token']]
    camera_mount = mounted[camera['calibrated_sensor_token']]
    to_map = placed(poses[lidar['ego_pose_token']]) @ placed(lidar_mount)
    camera_to_map = placed(poses[camera['ego_pose_token']]) @ placed(camera_mount)
    intrinsic = np.array(camera_mount['camera_intrinsic'], np.float64).reshape(3, 3)
    return intrinsic, np.linalg.inv(camera_to_map) @ to_map


def _read(
    name: str,
    scan: Path,
    image: Path,
    label_file: Path | None,
    camera: NDArray,
    transform: NDArray,
    coarse: NDArray,
    rng: np.random.Generator,
) -> CameraFrame:
    require_file(scan, 'a scan')
    if scan.stat().st_size % 20:
        raise damaged(scan, f'{scan.stat().st_size} bytes', 'rows of five float32')
    points = np.fromfile(scan, '<f4').reshape(-1, 5)[:, :3]
    labels = None
    if label_file is not None:
        require_file(label_file, f'the labels of {scan}')
        labels = coarse[np.fromfile(label_file, np.uint8)]
        if len(labels) != len(points):
            raise damaged(label_file, f'{len(labels)} labels', f'{len(points)}, as in {scan}')
    pixels, _ = project(points, camera, transform)
    return seen(name, read_image(image), points, pixels, labels)
