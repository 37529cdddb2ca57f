# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets of scenes and shapes in the layout of the public ones: names, keys, types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

MODELNET_NAMES = ('airplane', 'flower_pot', *(f'thing{number:02d}' for number in range(38)))


def write_hdf5(path: Path, **arrays: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, 'w') as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return path


def write_hoi4d_actions(
    root: Path, names: Iterable[str], sequences: int = 2, frames: int = 150, points: int = 8
) -> Path:
    """Challenge files; coordinate 0 of every point is ``sequence + frame / 1000``."""
    for number, name in enumerate(names):
        cloud = hoi4d_points(sequences, frames, points) + 100 * number
        arrays = {'pcd': cloud, 'center': cloud.mean(2)}
        if 'wolabel' not in name:
            arrays['label'] = np.tile(np.arange(frames) // 8 % 19, (sequences, 1)).astype(np.int32)
        write_hdf5(root / name, **arrays)
    return root


def hoi4d_points(sequences: int, frames: int, points: int) -> np.ndarray:
    cloud = np.random.default_rng(0).normal(size=(sequences, frames, points, 3))
    cloud[..., 0] = np.arange(sequences)[:, None, None] + np.arange(frames)[:, None] / 1000
    return cloud.astype(np.float32)


def write_hoi4d_semantics(
    root: Path, rows: dict[str, int], frames: int = 6, points: int = 50
) -> Path:
    """Challenge files of so many sequences; point i of a frame has the semantic id i % 49."""
    for number, (name, sequences) in enumerate(rows.items()):
        cloud = hoi4d_points(sequences, frames, points) + 100 * number
        ids = np.broadcast_to(np.arange(points) % 49, cloud.shape[:3]).astype(np.int32)
        write_hdf5(root / name, pcd=cloud, center=cloud.mean(2), semantic=ids)
    return root


def write_synthia(
    root: Path, split_list: str, frames: Sequence[tuple[str, int]], points: int = 64
) -> Path:
    """A list and its frames; the car stands at z = 10, points lie up to 8 m around it."""
    (root / 'pc').mkdir(parents=True, exist_ok=True)
    lines = []
    for sequence, number in frames:
        random = np.random.default_rng(number)
        cloud = random.uniform((-20, -2, 2), (20, 4, 18), (points, 3)).astype(np.float32)
        np.savez_compressed(
            root / 'pc' / f'{sequence}-{number:06d}.npz',
            pc=cloud,
            rgb=random.uniform(size=(points, 3)),
            semantic=np.resize([0, 2, 3, 8, 10, 15], points).astype(np.int32),
            center=np.array([1.0, 0.0, 10.0]),
        )
        clouds = f'{sequence}/point_clouds/{number:06d}.ply'
        lines.append(f'{clouds} {sequence}/labels/{number:06d}.ply\n')
    (root / split_list).write_text(''.join(lines))
    return root


CALIBRATION = np.eye(4)
CALIBRATION[:3, :3] = Rotation.from_euler('xyz', [92, -89, 1], degrees=True).as_matrix()
CALIBRATION[:3, 3] = [0.01, -0.07, -0.27]
LANDMARKS = np.random.default_rng(5).uniform(-30, 30, (20, 3))


def kitti_pose(scan: int) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('z', 4 * scan, degrees=True).as_matrix()
    pose[:3, 3] = [1.5 * scan, 0.2 * scan, 0]
    return pose


def write_kitti_sequence(
    folder: Path, scans: int = 4, raw: Sequence[int] = (40, 10, 252, 52), *, labels: bool = True
) -> Path:
    """A sequence that drives past ``LANDMARKS``, which are all of its points."""
    (folder / 'velodyne').mkdir(parents=True)
    if labels:
        (folder / 'labels').mkdir()
    for number in range(scans):
        pose = kitti_pose(number)
        rows = np.ones((len(LANDMARKS), 4), '<f4')
        rows[:, :3] = (LANDMARKS - pose[:3, 3]) @ pose[:3, :3]
        rows[:, 3] = number / 10
        (folder / 'velodyne' / f'{number:06d}.bin').write_bytes(rows.tobytes())
        packed = np.resize(raw, len(rows)).astype('<u4') | 7 << 16
        if labels:
            (folder / 'labels' / f'{number:06d}.label').write_bytes(packed.tobytes())
    camera = [CALIBRATION @ kitti_pose(n) @ np.linalg.inv(CALIBRATION) for n in range(scans)]
    (folder / 'poses.txt').write_text(_rows(camera))
    (folder / 'calib.txt').write_text(f'P0: 1 0 0\nTr: {_rows([CALIBRATION])}')
    (folder / 'times.txt').write_text(''.join(f'{0.1037 * n:.6e}\n' for n in range(scans)))
    return folder


def _rows(matrices: Iterable[np.ndarray]) -> str:
    return ''.join(' '.join(f'{v:.12e}' for v in m[:3].ravel()) + '\n' for m in matrices)


def write_shapenet(root: Path, train: Sequence[str], test: Sequence[str] = ()) -> Path:
    """``ShapeNet55-34`` with shapes of so many points as their place in the list, plus 10."""
    home = root / 'ShapeNet55-34'
    (home / 'shapenet_pc').mkdir(parents=True)
    (home / 'ShapeNet-55').mkdir()
    for split, names in (('train', train), ('test', test)):
        (home / 'ShapeNet-55' / f'{split}.txt').write_text(''.join(f'{n}.npy\n' for n in names))
        for number, name in enumerate(names):
            cloud = np.random.default_rng(number).normal(size=(10 + number, 3))
            np.save(home / 'shapenet_pc' / f'{name}.npy', cloud.astype(np.float32))
    return home


def write_modelnet_text(root: Path, train: Sequence[str], test: Sequence[str] = ()) -> Path:
    home = root / 'modelnet40_normal_resampled'
    home.mkdir(parents=True)
    (home / 'modelnet40_shape_names.txt').write_text('\n'.join(MODELNET_NAMES) + '\n')
    for split, names in (('train', train), ('test', test)):
        (home / f'modelnet40_{split}.txt').write_text(''.join(f'{name}\n' for name in names))
        for name in names:
            folder = home / name.rpartition('_')[0]
            folder.mkdir(exist_ok=True)
            np.savetxt(folder / f'{name}.txt', shape_with_normals(name), '%.6f', ',')
    return home


def shape_with_normals(name: str, points: int = 30) -> np.ndarray:
    random = np.random.default_rng(list(name.encode()))
    normals = random.normal(size=(points, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return np.concatenate([random.uniform(-1, 1, (points, 3)), normals], axis=1)


def write_modelnet_hdf5(root: Path, counts: dict[str, Sequence[int]], points: int = 16) -> Path:
    """Files of so many shapes per split; labels count up over all of them."""
    home = root / 'modelnet40_ply_hdf5_2048'
    home.mkdir(parents=True)
    (home / 'shape_names.txt').write_text('\n'.join(MODELNET_NAMES) + '\n')
    for split, sizes in counts.items():
        lines, first = [], 0
        for number, size in enumerate(sizes):
            name = f'ply_data_{split}{number}.h5'
            lines.append(f'data/modelnet40_ply_hdf5_2048/{name}\n')
            labels = np.arange(first, first + size)
            cloud = np.random.default_rng(first).normal(size=(size, points, 3)) + first
            write_hdf5(
                home / name,
                data=cloud.astype(np.float32),
                label=labels[:, None].astype(np.uint8),
                normal=cloud.astype(np.float32),
            )
            first += size
        (home / f'{split}_files.txt').write_text(''.join(lines))
    return home


def write_scanobjectnn(root: Path, file: str, labels: Sequence[int], points: int = 32) -> Path:
    cloud = np.random.default_rng(len(file)).normal(2.0, 1.0, (len(labels), points, 3))
    return write_hdf5(
        root / file,
        data=cloud.astype(np.float32),
        label=np.array(labels, np.int32),
        mask=np.zeros((len(labels), points), np.int32),
    )
