# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder of image shards: written by several processes, read as one sequence."""

from __future__ import annotations

import multiprocessing
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pointata_core.shapes.meshes.files import BrokenMesh
from pointata_core.shapes.rendering.cameras import Cameras
from pointata_core.shapes.rendering.rendered_shape import RenderedShape
from pointata_core.shapes.rendering.settings import RenderSettings
from pointata_core.shapes.rendering.shards import (
    RenderingShard,
    RenderingShardError,
    write_rendering_shard,
)
from pointata_core.shapes.rendering.sources import Source

_PATTERN = 'images-*.npz'


class RenderingFolder(Sequence[RenderedShape]):
    """All shapes of a folder of shards; works as a map-style PyTorch data set.

    Args:
        folder: Where ``write_renderings`` wrote.

    Attributes:
        shards: The shards in order.
        settings: How the images were made, the same in all shards.
        cameras: The same in all shards.
        names: Name of every shape.
        families: Family of every shape.
        broken: Meshes that were skipped.

    Raises:
        RenderingShardError: There is no shard, one is damaged, or settings differ between shards.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.shards = [RenderingShard(path) for path in sorted(self.folder.glob(_PATTERN))]
        if not self.shards:
            raise RenderingShardError(
                f'{self.folder} holds no {_PATTERN}', 'Give a folder of image shards'
            )
        self.settings: RenderSettings = self.shards[0].settings
        self.cameras: Cameras = self.shards[0].cameras
        for shard in self.shards:
            if shard.settings != self.settings:
                raise RenderingShardError(
                    f'{shard.path} and {self.shards[0].path} were made with different settings',
                    'Keep shards of one kind in one folder',
                )
        self.names = tuple(name for shard in self.shards for name in shard.names)
        self.families = tuple(family for shard in self.shards for family in shard.families)
        self.broken: tuple[BrokenMesh, ...] = tuple(
            mesh for shard in self.shards for mesh in shard.broken
        )
        self._starts = [0]
        for shard in self.shards:
            self._starts.append(self._starts[-1] + len(shard))

    def __len__(self) -> int:
        """Number of shapes."""
        return self._starts[-1]

    def __getitem__(self, index: int) -> RenderedShape:  # type: ignore[override]
        """Read one shape."""
        if not -len(self) <= index < len(self):
            raise IndexError(f'shape {index} of {len(self)}')
        index %= len(self)
        shard = bisect_right(self._starts, index) - 1
        return self.shards[shard][index - self._starts[shard]]


def write_renderings(
    folder: str | Path,
    sources: Sequence[Source],
    settings: RenderSettings,
    *,
    shard_size: int = 64,
    processes: int = 1,
    progress: bool = True,
) -> RenderingFolder:
    """Image many shapes; shards that are complete already are kept, so a killed run continues.

    Args:
        folder: Created if missing.
        sources: Shapes of the generator (``procedural_sources``) or files (``find_meshes``).
        settings: Images and points.
        shard_size: Shapes per shard.
        processes: Worker processes; 1 works in this one.
        progress: Show a bar.

    Returns:
        The folder, opened. Broken meshes are named in its ``broken``.

    Raises:
        RenderingShardError: The folder holds shards of other shapes or settings.
    """
    folder = Path(folder)
    jobs = [
        (folder / f'images-{start // shard_size:05d}.npz', sources[start : start + shard_size])
        for start in range(0, len(sources), shard_size)
    ]
    expected = {path for path, _ in jobs}
    others = [path for path in folder.glob(_PATTERN) if path not in expected]
    if others:
        raise RenderingShardError(
            f'{min(others)} does not belong to these {len(sources)} shapes',
            'Choose another folder or delete it',
        )
    columns = (TextColumn('picturing'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # stdout belongs to the outcome of a command.
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task('', total=len(sources))
        for count in _written(jobs, settings, processes):
            bar.advance(task, count)
    return RenderingFolder(folder)


def _written(
    jobs: Sequence[tuple[Path, Sequence[Source]]], settings: RenderSettings, processes: int
) -> Iterator[int]:
    """Write all shards and yield the number of sources of each one done."""
    if processes <= 1:
        for path, sources in jobs:
            write_rendering_shard(path, sources, settings)
            yield len(sources)
        return
    # spawn: a forked child would inherit the locks of a parent that already runs threads.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(write_rendering_shard, *job, settings) for job in jobs]
        try:
            for future, (_, sources) in zip(futures, jobs, strict=True):
                future.result()
                yield len(sources)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
