# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small files in the exact public layouts of the camera and LiDAR data sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pointata_core.datasets.camera.a2d2 import TEST_DRIVE
from pointata_core.datasets.camera.class_maps import A2D2_CLASSES, NUSCENES_COARSE
from pointata_core.datasets.camera.virtual_kitti import SCENES, WEATHERS

KITTI_P2 = np.array([[70.0, 0, 60, 3.0], [0, 70, 20, 0.5], [0, 0, 1, 0.003]])
KITTI_TR = np.array([[0, -1, 0, 0.01], [0, 0, -1, -0.08], [1, 0, 0, -0.27]])


def image(path: Path, width: int, height: int, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Blocks of one colour: noise would take long to compress.
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-height // 8), -(-width // 8), 3))
    pixels = np.repeat(np.repeat(blocks, 8, 0), 8, 1)[:height, :width].astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def cloud(count: int, seed: int = 0) -> np.ndarray:
    """Points around the sensor, half of them behind it."""
    rng = np.random.default_rng(seed)
    return rng.uniform([-20, -8, -2], [20, 8, 2], (count, 3)).astype(np.float32)


def write_kitti_sequence(folder: Path, scans: int = 2, labels: bool = True, points: int = 400):
    (folder / 'velodyne').mkdir(parents=True)
    rows = [
        f'P2: {" ".join(map(str, KITTI_P2.ravel()))}',
        f'Tr: {" ".join(map(str, KITTI_TR.ravel()))}',
    ]
    (folder / 'calib.txt').write_text('P0: 1 0 0 0 0 1 0 0 0 0 1 0\n' + '\n'.join(rows) + '\n')
    for number in range(scans):
        xyz = cloud(points, number)
        np.column_stack([xyz, np.ones(points)]).astype('<f4').tofile(
            folder / 'velodyne' / f'{number:06d}.bin'
        )
        image(folder / 'image_2' / f'{number:06d}.png', 124, 40, number)
        if labels:
            (folder / 'labels').mkdir(exist_ok=True)
            raw = np.random.default_rng(number).choice([0, 10, 40, 50, 70, 252], points)
            instance = np.arange(points) << 16
            (raw | instance).astype('<u4').tofile(folder / 'labels' / f'{number:06d}.label')


def write_virtual_kitti(root: Path, points: int = 300):
    for scene in SCENES:
        rng = np.random.default_rng(int(scene))
        depth = rng.uniform(2, 60, points)
        column, row = rng.uniform(1, 1241, points), rng.uniform(1, 374, points)
        x, y = (column - 620.5) / 725 * depth, (row - 187) / 725 * depth
        rows = np.column_stack([depth, -x, -y, rng.integers(0, 256, (points, 3))])
        rows = np.column_stack([rows, rng.choice([0, 3, 4, 5, 9, 11, 12, 99], points)])
        (root / 'vkitti3d_npy' / scene).mkdir(parents=True)
        np.save(root / 'vkitti3d_npy' / scene / '00007.npy', rows)
        for number, weather in enumerate(WEATHERS):
            image(root / 'vkitti_1.3.1_rgb' / scene / weather / '00007.png', 1242, 375, number)


A2D2_RECTIFIED = [[170.0, 0, 96], [0, 170, 60], [0, 0, 1]]
A2D2_ORIGINAL = [[169.0, 0, 95], [0, 168, 61], [0, 0, 1]]
A2D2_DISTORTION = [[-0.25, 0.08, 0.001, -0.002, 0.01]]
A2D2_SIZE = (192, 121)


def write_a2d2(root: Path, drive: str = TEST_DRIVE, frames: int = 2, points: int = 200):
    colours = {f'#{17 * n + 1000:06x}': name for n, name in enumerate(A2D2_CLASSES)}
    root.mkdir(parents=True, exist_ok=True)
    (root / 'class_list.json').write_text(json.dumps(colours))
    camera = {
        'CamMatrix': A2D2_RECTIFIED, 'CamMatrixOriginal': A2D2_ORIGINAL,
        'Distortion': A2D2_DISTORTION, 'Lens': 'Telecam', 'Resolution': list(A2D2_SIZE),
    }  # fmt: skip
    (root / 'cams_lidars.json').write_text(json.dumps({'cameras': {'front_center': camera}}))
    width, height = A2D2_SIZE
    stamp = drive.replace('_', '')
    for number in range(frames):

        def path(kind, ending, number=number):
            folder = root / drive / kind / 'cam_front_center'
            folder.mkdir(parents=True, exist_ok=True)
            return folder / f'{stamp}_{kind}_frontcenter_{91 + number:09d}.{ending}'

        rng = np.random.default_rng(number)
        image(path('camera', 'png'), width, height, number)
        # Left half: class of the stripe; the last stripe has a colour of no class.
        stripes = np.repeat(np.arange(16), width // 16)[None].repeat(height, 0)
        codes = np.where(stripes == 15, 5, 17 * stripes + 1000)
        label = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1).astype(np.uint8)
        Image.fromarray(label).save(path('label', 'png'))
        np.savez(
            path('lidar', 'npz'), points=cloud(points, number).astype(np.float64),
            row=rng.uniform(20, height - 20, points), col=rng.uniform(20, width - 20, points),
            reflectance=rng.integers(0, 255, points), timestamp=np.arange(points),
        )  # fmt: skip
    without = (
        root / drive / 'lidar' / 'cam_front_center' / f'{stamp}_lidar_frontcenter_000000999.npz'
    )
    np.savez(without, points=np.zeros((0, 3)))


NUSCENES_CAMERA = [[1266.0, 0, 816], [0, 1266, 491], [0, 0, 1]]


def write_nuscenes(root: Path, scenes: list[tuple[str, str, str]], points: int = 300):
    """Scenes are (name, location, description); each has one key frame."""
    version = root / 'v1.0-trainval'
    version.mkdir(parents=True)
    tables: dict[str, list] = {
        name: [] for name in ('scene', 'log', 'sample', 'sample_data', 'ego_pose', 'lidarseg')
    }
    tables['sensor'] = [
        {'token': f's{c}', 'channel': c} for c in ('LIDAR_TOP', 'CAM_FRONT', 'RADAR_FRONT')
    ]
    turn = [0.5, -0.5, 0.5, -0.5]  # camera axes (right, down, forward) in the vehicle's
    tables['calibrated_sensor'] = [
        {'token': 'cLIDAR_TOP', 'sensor_token': 'sLIDAR_TOP', 'translation': [0.9, 0, 1.8],
         'rotation': [0.70710678, 0, 0, -0.70710678], 'camera_intrinsic': []},
        {'token': 'cCAM_FRONT', 'sensor_token': 'sCAM_FRONT', 'translation': [1.7, 0, 1.5],
         'rotation': turn, 'camera_intrinsic': NUSCENES_CAMERA},
        {'token': 'cRADAR_FRONT', 'sensor_token': 'sRADAR_FRONT', 'translation': [3, 0, 0.5],
         'rotation': [1, 0, 0, 0], 'camera_intrinsic': []},
    ]  # fmt: skip
    names = ['noise', *NUSCENES_COARSE, 'vehicle.ego']
    tables['category'] = [{'token': n, 'name': n, 'index': i} for i, n in enumerate(names)]
    for number, (name, location, description) in enumerate(scenes):
        tables['log'].append({'token': f'l{name}', 'location': location})
        tables['scene'].append(
            {'token': f't{name}', 'name': name, 'log_token': f'l{name}', 'description': description}
        )
        tables['sample'].append({'token': f'k{name}', 'scene_token': f't{name}'})
        for channel, ending in (
            ('LIDAR_TOP', 'pcd.bin'),
            ('CAM_FRONT', 'png'),
            ('RADAR_FRONT', 'pcd'),
        ):
            for key in (True, False):
                token = f'd{name}{channel}{key}'
                moved = 1.0 if channel == 'CAM_FRONT' else 0.0
                tables['ego_pose'].append(
                    {
                        'token': f'e{token}',
                        'translation': [100 + moved, 50, 0],
                        'rotation': [1, 0, 0, 0],
                    }
                )
                tables['sample_data'].append(
                    {'token': token, 'sample_token': f'k{name}', 'ego_pose_token': f'e{token}',
                     'calibrated_sensor_token': f'c{channel}', 'timestamp': 1000 + number,
                     'filename': f'samples/{channel}/{token}.{ending}', 'is_key_frame': key}
                )  # fmt: skip
        rng = np.random.default_rng(number)
        xyz = rng.uniform([-20, -20, -2], [20, 20, 2], (points, 3))
        scan = root / f'samples/LIDAR_TOP/d{name}LIDAR_TOPTrue.pcd.bin'
        scan.parent.mkdir(parents=True, exist_ok=True)
        np.column_stack([xyz, np.ones((points, 2))]).astype('<f4').tofile(scan)
        image(root / f'samples/CAM_FRONT/d{name}CAM_FRONTTrue.png', 1600, 900, number)
        label = root / f'lidarseg/v1.0-trainval/d{name}_lidarseg.bin'
        label.parent.mkdir(parents=True, exist_ok=True)
        rng.integers(0, len(names), points).astype(np.uint8).tofile(label)
        tables['lidarseg'].append(
            {'token': f'g{name}', 'sample_data_token': f'd{name}LIDAR_TOPTrue',
             'filename': str(label.relative_to(root))}
        )  # fmt: skip
    for table, rows in tables.items():
        (version / f'{table}.json').write_text(json.dumps(rows))
