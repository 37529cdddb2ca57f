# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated streets and recorded ones as frames in our own format, made when first asked for.

The simulated LiDAR has the rings, the height and about the azimuth step of the recorded one, and
the simulated camera its field of view. Whole turns are cut into quarters for training, so that a
batch holds several streets; what is tested is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointata_core.datasets.camera.exported import INDEX, FrameWriter
from pointata_core.datasets.camera.projection import project, visible
from pointata_core.datasets.scenes.kitti_raw import read_calibration
from pointata_core.simulation.camera.domains import CameraDomain
from pointata_core.simulation.camera.frames import SimulatedCameraFrame, simulate_camera
from pointata_core.simulation.camera.model import CameraModel
from pointata_core.simulation.sensing.sensors import SENSORS

LABELLED, RENDERED = 'semantickitti00_range_21f', 'kitti_raw_10f'
ADAPT, FEW, TEST = range(14), (0, 7), range(16, 21)
"""Numbers of the labelled recording's frames; 14 and 15 part what is learned from and tested."""

_KITTI = CameraDomain(
    'kitti',
    'day',
    SENSORS['hdl64'].with_columns(1000),
    CameraModel(width=414, height=125, view_deg=81.4, position=(0.27, 0.0, -0.08)),
    lidar_height=1.73,
)
_SEEDS = {'train': 50_000_000, 'test': 51_000_000}
_QUARTERS = 4

Frames = Iterator[tuple[str, NDArray, NDArray]]


def prepare(root: Path, data: Path, streets: int, frames: int) -> None:
    """Make every folder that is not there yet.

    Args:
        root: Folder of all of them.
        data: Folder with both recordings.
        streets: Simulated ones to train on.
        frames: Of each.
    """
    if not all(_done(root / f'simulated_{name}') for name in ('view', 'quarters')):
        _write_simulated(root, streets, frames)
    kitti, ours = 'semantickitti', 'simulated'
    _write(root / 'simulated_test', ours, lambda: _simulated_test(streets // 4))
    _write(root / 'street_quarters', kitti, lambda: _quarters(_scans(data, ADAPT)))
    _write(root / 'street_few', kitti, lambda: _quarters(_scans(data, FEW)))
    _write(root / 'street_test', kitti, lambda: _scans(data, TEST))
    _write(root / 'street_test_view', kitti, lambda: _in_view(_scans(data, TEST), data))
    if not _done(root / 'kitti_raw'):
        _write_rendered(root / 'kitti_raw', data / RENDERED)


def _done(folder: Path) -> bool:
    if (folder / INDEX).is_file():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _write(folder: Path, label_set: str, frames: Callable[[], Frames]) -> None:
    if _done(folder):
        return
    with FrameWriter(folder, folder.name, folder.name, label_set) as writer:
        for name, points, labels in frames():
            writer.add(name, points, np.zeros((len(points), 2)), labels, [])


def _drive(role: str, street: int, frames: int) -> Iterator[tuple[str, SimulatedCameraFrame]]:
    for number, frame in enumerate(simulate_camera(_KITTI, _SEEDS[role] + street, frames, 0.5)):
        yield f'{role}/{street}/{number}', frame


def _write_simulated(root: Path, streets: int, frames: int) -> None:
    """One simulation for both setups: what the camera sees with its image, and the whole turn."""
    view, quarters = (root / f'simulated_{name}' for name in ('view', 'quarters'))
    for folder in (view, quarters):
        shutil.rmtree(folder, ignore_errors=True)
    (view / 'images').mkdir(parents=True)
    with (
        FrameWriter(view, view.name, view.name, 'simulated') as seen,
        FrameWriter(quarters, quarters.name, quarters.name, 'simulated') as turns,
    ):
        for street in range(streets):
            for name, frame in _drive('train', street, frames):
                # In float32 a pixel at the very edge may round to outside.
                size = np.array(frame.classes.shape) - 1e-3
                rows = np.flatnonzero(frame.visible & (frame.pixels < size).all(1))
                image = f'images/{name.replace("/", "_")}.png'
                Image.fromarray(frame.image).save(view / image)
                points, labels = frame.lidar.points, frame.lidar.label
                seen.add(name, points[rows], frame.pixels[rows], labels[rows], [image])
                for part, cloud, truth in _quarters(iter([(name, points, labels)])):
                    turns.add(part, cloud, np.zeros((len(cloud), 2)), truth, [])


def _simulated_test(streets: int) -> Frames:
    for street in range(streets):
        for name, frame in _drive('test', street, 1):
            yield name, frame.lidar.points, frame.lidar.label


def _scans(data: Path, numbers: range | tuple[int, ...]) -> Frames:
    for number in numbers:
        folder = data / LABELLED
        points = np.fromfile(folder / f'velodyne/{number:06d}.bin', '<f4').reshape(-1, 4)[:, :3]
        labels = np.fromfile(folder / f'labels/{number:06d}.label', '<u4') & 0xFFFF
        yield f'{number:06d}', points, labels


def _quarters(frames: Frames) -> Frames:
    for name, points, labels in frames:
        angle = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi)
        # The first quarter looks ahead, as a camera would.
        number = np.floor((angle + 1 / (2 * _QUARTERS)) * _QUARTERS).astype(int) % _QUARTERS
        for part in range(_QUARTERS):
            rows = number == part
            yield f'{name}/{part}', points[rows], labels[rows]


def _seen_by(points: NDArray, data: Path) -> tuple[NDArray, NDArray]:
    """Pixels in the recorded camera's image, and which points lie in it."""
    camera, transform = read_calibration(data / RENDERED / 'calib.txt')
    pixels, _ = project(points, camera, transform)
    return pixels, visible(pixels, 375, 1242) & (points[:, 0] > 0)


def _in_view(frames: Frames, data: Path) -> Frames:
    for name, points, labels in frames:
        _, rows = _seen_by(points, data)
        yield name, points[rows], labels[rows]


def _write_rendered(folder: Path, recording: Path) -> None:
    """Scans with the recording's own images, which stay where they are; there are no labels."""
    with FrameWriter(folder, folder.name, folder.name, 'semantickitti') as writer:
        for scan in sorted((recording / 'velodyne').glob('*.bin')):
            points = np.fromfile(scan, '<f4').reshape(-1, 4)[:, :3]
            pixels, rows = _seen_by(points, recording.parent)
            image = f'image_02/{scan.stem}.png'
            writer.add(scan.stem, points[rows], pixels[rows], None, [image])
