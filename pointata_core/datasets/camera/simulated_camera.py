# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera and LiDAR frames from our own simulator, made when first opened.

Layout: ``ROOT/SPLIT/split.json`` describes the recording; ``scene_NNNNN.npz`` holds one scene as
plain arrays: ``image`` (F, H, W, 3), flat ``points``, ``pixels`` and ``labels`` with ``offsets``,
``camera`` (3, 3), ``lidar_to_camera`` (4, 4) and ``pose`` (F, 4, 4). Only points that the camera
sees are kept. A scene appears under its name when it is complete, so an interrupted recording goes
on where it stopped.

Splits are named ``ROLE_DOMAIN`` with the roles train, val and test and the simulator's domains:
``train_day``, ``test_night``. No two splits share a scene.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames
from pointata_core.datasets.errors import DataError, damaged
from pointata_core.errors import ConfigError
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.simulation.camera.domains import DOMAINS, get_domain
from pointata_core.simulation.camera.frames import SimulatedCameraFrame, simulate_camera

ROLES = ('train', 'val', 'test')
_SCENES = {'train': 60, 'val': 12, 'test': 30}
_FORMAT, _HEAD = 1, 'split.json'
_AGAIN = 'Delete the folder and open it again: it is recorded anew'

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recording:
    """What a split holds.

    Attributes:
        scenes: How many streets.
        frames: Of each street.
        rate_hz: Frames per second.
        points: Most points of a frame, drawn from those the camera sees; None keeps all.

    Raises:
        ConfigError: A number below 1, or a rate that is not positive.
    """

    scenes: int
    frames: int = 4
    rate_hz: float = 0.5
    points: int | None = 600

    def __post_init__(self) -> None:
        least = min(self.scenes, self.frames, 1 if self.points is None else self.points)
        if least < 1 or not self.rate_hz > 0:
            raise ConfigError(f'cannot record {self}', 'Give numbers of 1 or more')


def simulated_camera(
    root: Path | str,
    split: str,
    task: str = 'nuscenes_lidarseg',
    recording: Recording | None = None,
    progress: Progress | None = None,
) -> CameraFrames:
    """Open a split; what is missing of it is simulated first, about a third of a second a frame.

    Args:
        root: Folder of all splits; created if missing.
        split: ``ROLE_DOMAIN``.
        task: Name in ``class_maps.tasks()``.
        recording: What to record; None takes what the folder has, or the default sizes.
        progress: Called with the number of finished scenes and of all.

    Raises:
        ConfigError: Unknown role or domain, or a task without classes for the simulator.
        DataError: The folder holds another recording, or something damaged.
    """
    role, domain = _parts(split)
    folder = Path(root) / split
    recording = _agreed(folder, split, recording or _found(folder) or Recording(_SCENES[role]))
    readers = []
    for scene in range(recording.scenes):
        path = folder / f'scene_{scene:05d}.npz'
        if not path.is_file():
            _record(path, domain, scene_seed(split, scene), recording)
        if progress is not None:
            progress(scene + 1, recording.scenes)
        for number in range(recording.frames):
            name = f'{split}/{scene:05d}/{number}'
            readers.append((name, partial(_read, name, path, number)))
    return CameraFrames('simulated', split, task, 'simulated', readers)


def scene_seed(split: str, scene: int) -> int:
    """Seed of a scene; no two splits have one in common."""
    role, domain = _parts(split)
    return (list(DOMAINS).index(domain) * len(ROLES) + ROLES.index(role)) * 1_000_000 + scene


def _parts(split: str) -> tuple[str, str]:
    role, _, domain = split.partition('_')
    if role not in ROLES:
        raise ConfigError(
            f"simulated frames have no split '{split}'",
            f'Choose {", ".join(ROLES)}, then _ and one of {", ".join(DOMAINS)}',
        )
    return role, get_domain(domain).name


def _found(folder: Path) -> Recording | None:
    path = folder / _HEAD
    if not path.is_file():
        return None
    try:
        head = json.loads(path.read_text(encoding='utf-8'))
        if head['format'] != _FORMAT:
            raise ValueError(f'format {head["format"]}')
        return Recording(**head['recording'])
    except (OSError, ValueError, KeyError, TypeError, ConfigError) as error:
        raise damaged(path, error, f'a recording of format {_FORMAT}', _AGAIN) from error


def _agreed(folder: Path, split: str, recording: Recording) -> Recording:
    before = _found(folder)
    if before is None:
        head = {'format': _FORMAT, 'split': split, 'recording': asdict(recording)}
        write_json(folder / _HEAD, head)
    elif before != recording:
        raise DataError(
            f'{folder} holds {before}, expected {recording}', 'Give another root', folder
        )
    return recording


def _record(path: Path, domain: str, seed: int, recording: Recording) -> None:
    rng = np.random.default_rng([seed, 1])
    frames = [
        (frame, _kept(frame, recording, rng))
        for frame in simulate_camera(domain, seed, recording.frames, recording.rate_hz)
    ]
    camera = get_domain(domain).camera
    arrays: dict[str, Any] = {
        'image': np.stack([frame.image for frame, _ in frames]),
        'points': np.concatenate([frame.lidar.points[kept] for frame, kept in frames]),
        'pixels': np.concatenate([frame.pixels[kept] for frame, kept in frames]),
        'labels': np.concatenate([frame.lidar.label[kept] for frame, kept in frames]),
        'offsets': np.cumsum([0, *(len(kept) for _, kept in frames)]),
        'pose': np.stack([frame.lidar.pose for frame, _ in frames]),
        'camera': camera.intrinsics,
        'lidar_to_camera': camera.extrinsics,
    }
    arrays['pixels'] = arrays['pixels'].astype(np.float32)
    write_atomically(path, lambda stream: np.savez(stream, **arrays))


def _kept(
    frame: SimulatedCameraFrame, recording: Recording, rng: np.random.Generator
) -> np.ndarray:
    # In float32 a pixel at the very edge may round to outside.
    seen = np.flatnonzero(
        frame.visible & (frame.pixels < np.array(frame.classes.shape) - 1e-3).all(1)
    )
    if recording.points is None or len(seen) <= recording.points:
        return seen
    return np.sort(rng.choice(seen, recording.points, replace=False))


def _read(name: str, path: Path, number: int, _: np.random.Generator) -> CameraFrame:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            rows = slice(*arrays['offsets'][number : number + 2])
            return CameraFrame(
                name,
                arrays['image'][number],
                arrays['points'][rows],
                arrays['pixels'][rows],
                arrays['labels'][rows].astype(np.int64),
            )
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError) as error:
        raise damaged(path, error, 'a simulated scene', _AGAIN) from error
    except zipfile.BadZipFile as error:
        raise damaged(path, error, 'a simulated scene', _AGAIN) from error
