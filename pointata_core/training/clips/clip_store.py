# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clips of a data set as the network sees them, prepared once and kept on disk.

Everything that no trained weight has a part in is done here: reading, choosing frames, augmenting,
voxels, tokens, patches. The folder is named by what it depends on, so a changed setting prepares
anew and an interrupted preparation goes on. Clips that a data set can name by all that they depend
on (``clip_keys``) are shared: simulated streets are prepared once for all trainings that mix them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import dataset_info
from pointata_core.errors import ConfigError
from pointata_core.safe_files import write_atomically
from pointata_core.tasks import WorkerLost, connect, run_tasks
from pointata_core.training.clips.clip_batch import ClipBatch, collate, frame_of
from pointata_core.training.clips.preparation import Task
from pointata_core.training.clips.store_recipe import StoreRecipe, task_classes

_MEMORY_BYTES = 6 << 30
Progress = Callable[[int, int], None]
Pair = tuple[int, int]
"""A clip and one of its copies."""
_Job = tuple[StoreRecipe, int, dict[int, Path]]


class Clips(Protocol):
    """Prepared clips by (number, copy): a store, windows of one, or frozen features."""

    @property
    def variants(self) -> int:
        """Copies of each clip."""

    @property
    def videos(self) -> np.ndarray:
        """``(count,)`` recording of each clip."""

    @property
    def classes(self) -> dict[Task, tuple[str, ...]]:
        """Class names of each task."""

    @property
    def kinds(self) -> Sequence[str]:
        """Kind of recording of each clip; empty names where the data set has none."""

    def __len__(self) -> int: ...

    def __getitem__(self, pairs: Sequence[Pair]) -> ClipBatch: ...


class ClipStore:
    """Prepared clips on disk.

    Args:
        folder: Where the files lie.
        count: Number of clips.
        variants: Copies of each.
        videos: ``(count,)`` recording of each clip.
        classes: Class names of each task.
        kinds: What kind of recording each clip is from; empty names where the data set has none.
        subjects: Who is seen in each clip; empty names where that is not known.
        info: Entry of the data set, with the rules of its score.
        shared: ``(count,)`` files of unaugmented clips that several stores hold; ``None`` for those
            in the folder.
    """

    def __init__(
        self,
        folder: Path,
        count: int,
        variants: int,
        videos: np.ndarray,
        classes: dict[Task, tuple[str, ...]],
        kinds: Sequence[str],
        subjects: Sequence[str] = (),
        info: DatasetInfo | None = None,
        shared: Sequence[Path | None] = (),
    ) -> None:
        self.folder, self.count, self.variants = folder, count, variants
        self.videos, self.classes, self.kinds = videos, classes, kinds
        self.subjects, self.info = subjects, info
        self._shared = shared
        self._kept: OrderedDict[Pair, dict[str, np.ndarray]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        """Number of clips."""
        return self.count

    @property
    def frames(self) -> int:
        """Frames of the first clip."""
        return len(self.arrays(0, 0)['action'])

    def path(self, clip: int, variant: int) -> Path:
        """File of one prepared clip."""
        shared = None if variant or not self._shared else self._shared[clip]
        if shared is not None:
            return shared
        return self.folder / f'{clip:06d}_{variant:02d}.npz'

    def arrays(self, clip: int, variant: int) -> dict[str, np.ndarray]:
        """Read one prepared clip; kept in memory while there is room."""
        key = (clip, variant)
        if key not in self._kept:
            arrays = self.read(clip, variant)
            size = sum(a.nbytes for a in arrays.values())
            if self._bytes + size > _MEMORY_BYTES:
                return arrays
            self._kept[key] = arrays
            self._bytes += size
        return self._kept[key]

    def read(self, clip: int, variant: int) -> dict[str, np.ndarray]:
        """Read one prepared clip from the disk."""
        if (clip, variant) in self._kept:
            return self._kept[clip, variant]
        with np.load(self.path(clip, variant)) as archive:
            return dict(archive)

    def forget(self) -> None:
        """Free the memory that clips take; they are read from the disk again."""
        self._kept.clear()
        self._bytes = 0

    def labels(self, task: Task) -> np.ndarray:
        """Labels of a task in the unaugmented clips, those to learn only, flat."""
        name = 'label' if task == 'points' else 'action'
        stop = 1 if task == 'clip' else None
        found = [self.arrays(clip, 0)[name][:stop].ravel() for clip in range(len(self))]
        labels = np.concatenate(found).astype(np.int64)
        return labels[labels >= 0]

    def __getitem__(self, pairs: Sequence[Pair]) -> ClipBatch:
        """Collate whole clips.

        Raises:
            ConfigError: They differ in length.
        """
        windows = []
        for clip, variant in pairs:
            arrays = self.arrays(clip, variant)
            found = len(arrays['action'])
            if found != self.frames:
                raise ConfigError(
                    f'clip {clip} has {found} frames, clip 0 has {self.frames}',
                    'Choose data.sampling or the window of the stage with a fixed number of frames',
                )
            windows.append([frame_of(arrays, t) for t in range(found)])
        return collate(windows)


class Windows:
    """Windows of a fixed number of frames, cut out of the clips of a store.

    Args:
        store: The clips; shorter ones give no window.
        frames: Frames of a window.
        hop: Frames between the starts of two windows of a clip.
        first: First frame of a clip that a window may begin with; negative counts from the end.

    Raises:
        ConfigError: No clip is long enough.
    """

    def __init__(self, store: ClipStore, frames: int, hop: int = 1, first: int = 0) -> None:
        self.store, self.frames = store, frames
        self.variants, self.classes = store.variants, store.classes
        self.starts = [
            (clip, start)
            for clip in range(len(store))
            for start in _starts(len(store.arrays(clip, 0)['action']), frames, hop, first)
        ]
        if not self.starts:
            raise ConfigError(
                f'no clip has {frames} frames', 'Choose a shorter window, or longer clips'
            )
        clips = [clip for clip, _ in self.starts]
        self.videos = store.videos[clips]
        self.kinds = [store.kinds[clip] for clip in clips]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.starts)

    def __getitem__(self, pairs: Sequence[Pair]) -> ClipBatch:
        """Collate windows."""
        windows = []
        for number, variant in pairs:
            clip, start = self.starts[number]
            arrays = self.store.arrays(clip, variant)
            windows.append([frame_of(arrays, t) for t in range(start, start + self.frames)])
        return collate(windows)


def _starts(length: int, frames: int, hop: int, first: int) -> range:
    return range(first if first >= 0 else length + first, length - frames + 1, hop)


def open_store(
    recipe: StoreRecipe,
    cache: str | Path,
    progress: Progress | None = None,
    processes: int = 1,
    ray: str | None = None,
) -> ClipStore:
    """Prepare what is missing and open the clips.

    Args:
        recipe: What to prepare.
        cache: Folder of all stores.
        progress: Called with clips done and their number.
        processes: Processes that prepare.
        ray: Address of a Ray cluster that prepares instead, ``local`` for one on this machine;
            data set and cache are on a disk that all workers share.

    Raises:
        DataError: The data set cannot be read.
        ConfigError: It holds no labels for a task.
    """
    dataset = recipe.open()
    available = len(dataset)
    chosen = np.arange(available)
    if recipe.limit and recipe.limit < available:
        chosen = np.arange(recipe.limit) * available // recipe.limit
    folder = Path(cache) / 'clips' / recipe.key
    folder.mkdir(parents=True, exist_ok=True)
    kinds = getattr(dataset, 'clip_kinds', ('',) * available)
    videos = np.asarray(getattr(dataset, 'clip_recordings', np.arange(available)))[chosen]
    recordings: Sequence[Any] = getattr(dataset, 'recordings', ())
    keys = getattr(dataset, 'clip_keys', ('',) * available)
    common = Path(cache) / 'clips' / recipe.shared_key
    common.mkdir(parents=True, exist_ok=True)
    store = ClipStore(
        folder,
        len(chosen),
        recipe.variants,
        videos,
        {task: task_classes(dataset, task, recipe.tasks) for task in recipe.tasks},
        [kinds[index] for index in chosen],
        [getattr(recordings[v], 'subject', None) or '' for v in videos] if recordings else (),
        dataset_info(recipe.name),
        [common / f'{keys[index]}.npz' if keys[index] else None for index in chosen],
    )
    _prepare(store, dataset, chosen, recipe, progress, processes, ray)
    return store


def _prepare(
    store: ClipStore,
    dataset: ClipDataset,
    chosen: np.ndarray,
    recipe: StoreRecipe,
    progress: Progress | None,
    processes: int,
    ray: str | None,
) -> None:
    """Prepare what is missing, one clip with its copies at a time."""
    shared = replace(recipe, root=str(Path(recipe.root).resolve()))  # for workers elsewhere
    jobs: list[_Job] = []
    for number, index in enumerate(chosen.tolist()):
        paths = {
            variant: path.resolve()
            for variant in range(store.variants)
            if not (path := store.path(number, variant)).exists()
        }
        if paths:
            jobs.append((shared, index, paths))
    alone = ray is None and (processes == 1 or len(jobs) < 2)
    with ExitStack() as stack:
        ended: Iterable[Any]
        if not jobs:
            return
        if alone:
            ended = run_tasks(lambda job: _prepare_one(recipe, dataset, *job[1:]), jobs)
        elif ray is None:
            ended = run_tasks(_prepare_in_worker, jobs, processes)
        else:
            cluster = stack.enter_context(connect(ray))
            ended = map(_require, cluster.run(_prepare_in_worker, jobs))
        for done, _ in enumerate(ended, start=len(chosen) - len(jobs) + 1):
            if progress is not None:
                progress(done, len(chosen))


def _require(ended: tuple[int, Any]) -> None:
    if isinstance(ended[1], WorkerLost):
        raise ended[1]


def _prepare_one(
    recipe: StoreRecipe, dataset: ClipDataset, index: int, paths: dict[int, Path]
) -> None:
    for variant, path in paths.items():
        arrays = recipe.prepare(dataset, index, variant)
        write_atomically(path, partial(_save, arrays))


def _save(arrays: dict[str, np.ndarray], stream: BinaryIO) -> None:
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # its stub takes names for options


def _prepare_in_worker(job: _Job, _: Progress | None = None) -> None:
    recipe, index, paths = job
    if recipe.key not in _opened:
        import torch

        torch.set_num_threads(1)
        _opened.clear()
        _opened[recipe.key] = recipe.open()
    _prepare_one(recipe, _opened[recipe.key], index, paths)


_opened: dict[str, ClipDataset] = {}
"""The data set that a worker process prepares, by its recipe; it is opened once."""
