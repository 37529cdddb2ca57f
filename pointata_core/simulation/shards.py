# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training shards: one simulated recording per ``.npz`` file, written once and read many times.

A shard holds plain arrays and a JSON text, nothing that unpickling could execute. It appears under
its name only when complete (written aside, then renamed), so an interrupted run is resumed by
running it again. Points are kept in steps of 5 mm, well below the noise of every sensor.
"""

from __future__ import annotations

import json
import multiprocessing
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pointata_core.errors import PointataError
from pointata_core.safe_files import write_atomically
from pointata_core.simulation.scanning import SimulatedFrame, simulate

FORMAT = 2
_READ = (1, 2)
"""Formats that can be read: the first has no ``moving``."""

_STEP = 0.005  # metres
_ARRAYS = (
    'points',
    'intensity',
    'ring',
    'label',
    'instance',
    'offsets',
    'action',
    'stamp_ns',
    'pose',
    'metadata',
)
_ADDED = ('moving',)


class ShardError(PointataError):
    """A shard cannot be read."""


@dataclass(frozen=True)
class ShardJob:
    """One recording to simulate; the arguments of ``simulate``, with the sensor by name."""

    scene: str
    sensor: str
    seed: int
    duration_s: float
    rate_hz: float = 10.0

    @property
    def filename(self) -> str:
        """Name of the shard; different jobs have different names unless only times differ."""
        return f'{self.scene}-{self.sensor}-{self.seed:08d}.npz'


class Shard:
    """A shard on disk; arrays are read on first use.

    Args:
        path: The ``.npz`` file.

    Raises:
        ShardError: Not a shard, or one of another format version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with np.load(self.path, allow_pickle=False) as archive:
                missing = [name for name in _ARRAYS if name not in archive.files]
                metadata = json.loads(bytes(archive['metadata'])) if not missing else {}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ShardError(f'{path} is not a shard: {error}', 'Delete and rewrite it') from error
        if missing or metadata.get('format') not in _READ:
            found = f'no {missing[0]}' if missing else f'format {metadata.get("format")}'
            raise ShardError(
                f'{path}: found {found}, expected a shard of format {FORMAT}',
                'Delete and rewrite it',
            )
        self.metadata: dict = metadata

    @property
    def has_moving(self) -> bool:
        """Whether it marks moving points; shards of format 1 do not."""
        return self.metadata['format'] >= 2

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays as stored: points int16 in 5 mm, intensity uint8 of 255, flat over frames."""
        names = [*_ARRAYS, *(_ADDED if self.has_moving else ())]
        with np.load(self.path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names if name != 'metadata'}

    def __len__(self) -> int:
        return int(self.metadata['frames'])

    def __getitem__(self, index: int) -> SimulatedFrame:
        if not -len(self) <= index < len(self):
            raise IndexError(f'frame {index} of {len(self)}')
        index %= len(self)
        data = self.arrays
        rows = slice(data['offsets'][index], data['offsets'][index + 1])
        return SimulatedFrame(
            points=data['points'][rows].astype(np.float32) * np.float32(_STEP),
            intensity=data['intensity'][rows].astype(np.float32) / 255,
            ring=data['ring'][rows],
            label=data['label'][rows],
            instance=data['instance'][rows],
            action=int(data['action'][index]),
            stamp_ns=int(data['stamp_ns'][index]),
            pose=data['pose'][index],
            moving=data['moving'][rows] if self.has_moving else None,
        )


def read_shard(path: str | Path) -> Shard:
    """Open a shard: a sequence of ``SimulatedFrame`` with ``metadata`` and flat ``arrays``."""
    return Shard(path)


def pack_frames(frames: Sequence[SimulatedFrame]) -> dict[str, Any]:
    """The arrays of a shard, without its metadata."""
    counts = [len(frame.points) for frame in frames]

    def flat(name: str) -> np.ndarray:
        return np.concatenate([getattr(frame, name) for frame in frames])

    return {
        'points': np.rint(flat('points') / _STEP).clip(-32767, 32767).astype(np.int16),
        'intensity': np.rint(flat('intensity') * 255).astype(np.uint8),
        'ring': flat('ring'),
        'label': flat('label'),
        'instance': flat('instance'),
        'moving': flat('moving'),
        'offsets': np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        'action': np.array([frame.action for frame in frames], np.uint8),
        'stamp_ns': np.array([frame.stamp_ns for frame in frames], np.int64),
        'pose': np.stack([frame.pose for frame in frames]),
    }


def write_shard(directory: str | Path, job: ShardJob) -> Path:
    """Simulate one job and write its shard, unless a complete one for this very job exists."""
    path = Path(directory) / job.filename
    if _is_complete(path, job):
        return path
    frames = list(simulate(job.scene, job.sensor, job.seed, job.duration_s, job.rate_hz))
    metadata = {'format': FORMAT, 'frames': len(frames), **asdict(job)}
    text = np.frombuffer(json.dumps(metadata, sort_keys=True).encode(), np.uint8)
    arrays = {'metadata': text, **pack_frames(frames)}
    write_atomically(path, lambda stream: np.savez(stream, **arrays))
    return path


def _is_complete(path: Path, job: ShardJob) -> bool:
    try:
        metadata = Shard(path).metadata
    except ShardError:
        return False
    return all(metadata.get(key) == value for key, value in asdict(job).items())


def write_shards(
    directory: str | Path,
    jobs: Sequence[ShardJob],
    processes: int = 1,
    *,
    progress: bool = True,
) -> list[Path]:
    """Simulate many recordings; those already on disk are kept.

    Args:
        directory: Created if missing.
        jobs: What to simulate; no two with the same file name.
        processes: Worker processes; 1 works in this one.
        progress: Show a bar.

    Returns:
        Paths in the order of ``jobs``.

    Raises:
        ValueError: Two jobs would write the same file.
    """
    names = [job.filename for job in jobs]
    if len(set(names)) != len(names):
        raise ValueError('two jobs share scene, sensor and seed: they would write the same shard')
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn('simulating'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task('', total=len(jobs))
        if processes <= 1:
            for job in jobs:
                write_shard(directory, job)
                bar.advance(task)
        else:
            _in_processes(directory, jobs, processes, lambda: bar.advance(task))
    return [directory / name for name in names]


def _in_processes(
    directory: Path, jobs: Sequence[ShardJob], processes: int, done: Callable[[], None]
) -> None:
    # spawn: a forked child would inherit the locks of a parent that already runs torch threads.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(write_shard, directory, job) for job in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                done()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
