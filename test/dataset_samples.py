# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small files in the exact layouts of public data sets, for the tests of their loaders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import savemat

RADAR_MESSAGE = """header: 
  seq: {seq}
  stamp: 
    secs: {secs}
    nsecs: {nsecs:9d}
  frame_id: "ti_mmwave"
point_id: {point_id}
x: {x}
y: {y}
z: {z}
range: {range}
velocity: {velocity}
doppler_bin: {doppler_bin}
bearing: {bearing}
intensity: {intensity}
---
"""  # noqa: W291 - rostopic prints blanks after these colons, and pads nanoseconds to nine places
RADAR_FIELDS = ('x', 'y', 'z', 'range', 'velocity', 'doppler_bin', 'bearing', 'intensity')


def depth_video(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """(F, H, W) uint16 millimetres, mostly empty."""
    generator = np.random.default_rng(seed)
    video = np.zeros((frames, height, width), np.uint16)
    for frame in video:
        pixels = generator.integers(0, height * width, 40)
        frame.ravel()[pixels] = generator.integers(500, 4000, 40)
    return video


def write_utd(folder: Path, key: tuple[int, int, int], video: np.ndarray, **options) -> Path:
    """One depth video of UTD-MHAD; (240, 320, F) in the file."""
    action, subject, trial = key
    path = folder / f'a{action}_s{subject}_t{trial}_depth.mat'
    savemat(path, {'d_depth': np.moveaxis(video, 0, -1)}, do_compression=True, **options)
    return path


def write_msr_raw(folder: Path, name: str, video: np.ndarray) -> Path:
    """Raw MSR-Action3D: frames, width, height, then rows of pixels."""
    path = folder / f'{name}_sdepth.bin'
    frames, height, width = video.shape
    header = np.array([frames, width, height], '<u4')
    path.write_bytes(header.tobytes() + video.astype('<u4').tobytes())
    return path


def write_msr_mat(folder: Path, name: str, video: np.ndarray) -> Path:
    """MSR-Action3D as MATLAB files: (H, W, F) in the file."""
    path = folder / f'{name}_sdepth.mat'
    savemat(path, {'depth': np.moveaxis(video, 0, -1)}, do_compression=True)
    return path


def write_clouds(path: Path, key: str, clouds: Sequence[np.ndarray]) -> Path:
    """A converted video: an object array, as public scripts save it."""
    video = np.empty(len(clouds), object)
    for index, cloud in enumerate(clouds):
        video[index] = np.asarray(cloud, np.float64)
    np.savez_compressed(path, **{key: video})
    return path


def radar_points(counts: Sequence[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of eight numbers, and the time of every frame in seconds."""
    rows = np.random.default_rng(seed).normal(size=(sum(counts), 8)).round(6)
    return rows.astype(np.float32), 1561686032.25 + np.arange(len(counts)) / 32


def write_radar_text(path: Path, counts: Sequence[int], rows, times, first_id: int = 0) -> Path:
    """RadHAR as published; point ids have gaps, as the real ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text, row = '', 0
    for frame, count in enumerate(counts):
        for point in range(count):
            values = {name: repr(float(v)) for name, v in zip(RADAR_FIELDS, rows[row])}
            secs = int(times[frame])
            text += RADAR_MESSAGE.format(
                seq=row, secs=secs, nsecs=round((times[frame] - secs) * 1e9) + point,
                point_id=2 * point + (first_id if frame == 0 else 0), **values,
            )  # fmt: skip
            row += 1
    path.write_text(text)
    return path


def write_radar_npz(path: Path, counts: Sequence[int], rows, times) -> Path:
    """RadHAR packed by frames."""
    starts = np.cumsum([0, *counts[:-1]]).astype(np.int32)
    np.savez(path, points=rows, frame_start=starts, frame_time=times)
    return path


def hands(points: int, seed: int = 0, empty: Sequence[int] = ()) -> np.ndarray:
    """(32, points, 8) integers as PointLSTM's scripts write them; only the first four matter."""
    generator = np.random.default_rng(seed)
    array = np.zeros((32, points, 8), np.int64)
    array[..., 0] = generator.integers(100, 300, (32, points))
    array[..., 1] = generator.integers(200, 500, (32, points))
    array[..., 2] = generator.integers(300, 900, (32, points))
    array[..., 3] = np.arange(32)[:, None]
    for frame in empty:
        array[frame] = 0
    return array
