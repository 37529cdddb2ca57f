# SPDX-License-Identifier: Apache-2.0
"""Read a data set once, keep what networks need of it, and train from that.

Making a cache goes on where it was interrupted: shards that are there are whole (``cache_files``).
The index is written last; a cache without one is not finished and is not opened.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pointata_core.datasets.cache_files import (
    MAKE_AGAIN,
    Encoding,
    Frames,
    map_array,
    read_facts,
    write_shard,
)
from pointata_core.datasets.errors import DataError, damaged, missing
from pointata_core.datasets.protocol import Clip
from pointata_core.datasets.sampling import ClipSampling, choose_points, generator_for
from pointata_core.datasets.sequences import Content, Recording, SequenceClips
from pointata_core.errors import ConfigError

_FORMAT = 1
_INDEX = 'index.json'


@dataclass(frozen=True)
class CacheConfig:
    """What is kept.

    Args:
        encoding: ``int16`` (relative to each recording's extent), ``float16`` or ``float32``;
            features are halved in size by both of the small ones.
        points: At most so many points per frame, drawn once; None keeps all.
        recordings_per_shard: How much is lost by an interruption, and how many files there are.
        seed: Seed of the draw.

    Raises:
        ConfigError: A value is out of range.
    """

    encoding: Encoding = 'int16'
    points: int | None = None
    recordings_per_shard: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.encoding not in ('int16', 'float16', 'float32'):
            raise ConfigError(f"encoding is '{self.encoding}'", 'Choose int16, float16 or float32')
        for name in ('points', 'recordings_per_shard'):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f'{name} is {value}, expected at least 1', 'Raise it')


def write_cache(
    dataset: SequenceClips,
    folder: str | Path,
    config: CacheConfig | None = None,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make a cache of all recordings of a data set, or finish one.

    Args:
        dataset: Opened split; its clip sampling plays no part.
        folder: Where; created if absent.
        config: What is kept.
        workers: Processes that read.
        progress: Called with shards done and of how many.

    Returns:
        The folder.

    Raises:
        ConfigError: The folder holds a cache of something else, or another process is at work.
        DataError: A recording cannot be read; what was done stays, to go on from.
    """
    folder, config = Path(folder), config or CacheConfig()
    folder.mkdir(parents=True, exist_ok=True)
    facts = _facts(dataset, config)
    shards = _shards(dataset, config)
    with _locked(folder):
        _require_same(folder, shards, facts)
        open_shards = [number for number in shards if not _path(folder, number).is_dir()]
        done = len(shards) - len(open_shards)
        if progress is not None:
            progress(done, len(shards))
        tasks = [
            (dataset, shards[number], _path(folder, number), facts, config)
            for number in open_shards
        ]
        for finished, _ in enumerate(_run(tasks, workers), done + 1):
            if progress is not None:
                progress(finished, len(shards))
        index = {
            **facts,
            'classes': dataset.classes,
            'feature_names': dataset.feature_names,
            'recordings': [
                {
                    'name': recording.name,
                    'length': recording.length,
                    'action': recording.action,
                    'subject': recording.subject,
                    'shard': _path(folder, number).name,
                }
                for number, members in shards.items()
                for recording in (dataset.recordings[which] for which in members)
            ],
        }
        partial = folder / f'{_INDEX}.partial'
        partial.write_text(json.dumps(index, indent=1))
        os.replace(partial, folder / _INDEX)
    return folder


def open_cache(folder: str | Path, sampling: ClipSampling) -> SequenceClips:
    """Open a finished cache.

    Args:
        folder: As given to ``write_cache``.
        sampling: How recordings become clips.

    Returns:
        A data set that equals the cached one but for rounding and the points left out.

    Raises:
        DataError: There is none, it is not finished, or a file of it is damaged.
    """
    folder = Path(folder)
    path = folder / _INDEX
    try:
        index = json.loads(path.read_text())
        if index['format'] != _FORMAT:
            raise damaged(path, f'format {index["format"]}', f'format {_FORMAT}', MAKE_AGAIN)
        recordings = [
            Recording(r['name'], folder / r['shard'], r['length'], r['action'], r['subject'])
            for r in index['recordings']
        ]
        return SequenceClips(
            index['name'],
            index['split'],
            tuple(index['classes']),
            recordings,
            CacheReader(),
            sampling,
            feature_names=tuple(index['feature_names']),
            keep=64,
        )
    except FileNotFoundError as error:
        raise missing(path, 'the index of a finished cache', 'Run the caching again') from error
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(path, error, 'the index of a cache', MAKE_AGAIN) from error


class CacheReader:
    """Finds a recording in its shard; frames are read when they are used.

    Shards stay mapped. A copy in another process maps them anew.
    """

    def __init__(self) -> None:
        self._shards: dict[Path, _Shard] = {}

    def __call__(self, recording: Recording) -> Content:
        """Give access to one recording.

        Raises:
            DataError: Its shard is damaged or does not hold it.
        """
        if recording.path not in self._shards:
            self._shards[recording.path] = _Shard(recording.path)
        return self._shards[recording.path].content(recording)

    def __getstate__(self) -> dict[str, Any]:
        """Leave maps behind."""
        return {'_shards': {}}


class _Shard:
    def __init__(self, folder: Path) -> None:
        facts = read_facts(folder)
        self._folder = folder
        self._points = map_array(folder, 'points')
        self._offsets = map_array(folder, 'offsets')
        self._features = map_array(folder, 'features', optional=True)
        self._times = map_array(folder, 'times', optional=True)
        self._places = {}
        first = 0
        for member, scale in zip(facts['recordings'], facts['scales'], strict=True):
            self._places[member['name']] = (first, first + member['length'], scale)
            first += member['length']
        if first + 1 != len(self._offsets) or self._offsets[-1] != len(self._points):
            raise damaged(
                folder,
                f'{len(self._offsets) - 1} frames and {len(self._points)} points',
                f'{first} frames and {self._offsets[-1]} points',
                MAKE_AGAIN,
            )

    def content(self, recording: Recording) -> Content:
        if recording.name not in self._places:
            raise damaged(self._folder, f'no {recording.name}', 'it, by the index', MAKE_AGAIN)
        first, end, scale = self._places[recording.name]
        offsets = self._offsets[first : end + 1]
        return Content(
            points=Frames(self._points, offsets, scale),
            features=None if self._features is None else Frames(self._features, offsets),
            times_s=None if self._times is None else self._times[first:end],
        )


def _facts(dataset: SequenceClips, config: CacheConfig) -> dict[str, Any]:
    """What must be equal for shards to belong to one cache."""
    names = [[r.name, r.length, r.action, r.subject] for r in dataset.recordings]
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    return {
        'format': _FORMAT,
        'name': dataset.name,
        'split': dataset.split,
        'config': asdict(config),
        'recordings_sha256': digest,
    }


def _shards(dataset: SequenceClips, config: CacheConfig) -> dict[int, range]:
    size, count = config.recordings_per_shard, len(dataset.recordings)
    return {n: range(s, min(s + size, count)) for n, s in enumerate(range(0, count, size))}


def _path(folder: Path, number: int) -> Path:
    return folder / f'shard_{number:05d}'


def _require_same(folder: Path, shards: dict[int, range], facts: dict[str, Any]) -> None:
    for number in shards:
        if not _path(folder, number).is_dir():
            continue
        there = read_facts(_path(folder, number))
        for name, value in facts.items():
            if there.get(name) != value:
                raise ConfigError(
                    f'{folder} holds a cache with another {name}: {there.get(name)}, not {value}',
                    'Give another folder, or delete this one',
                )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / '.lock').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f'another process is writing {folder}', 'Wait for it to end'
            ) from error
        yield


def _run(tasks: list[tuple], workers: int) -> Iterator[None]:
    if workers <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield _write(*task)
        return
    # A forked copy of a process with torch's threads may hang; a new one cannot.
    with ProcessPoolExecutor(workers, mp_context=get_context('spawn')) as pool:
        futures = [pool.submit(_write, *task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write(
    dataset: SequenceClips, members: range, path: Path, facts: dict[str, Any], config: CacheConfig
) -> None:
    clips = [_thinned(dataset.whole(which), which, config) for which in members]
    lengths = [{'name': clip.name, 'length': len(clip)} for clip in clips]
    write_shard(path, clips, {**facts, 'recordings': lengths}, config.encoding)


def _thinned(clip: Clip, which: int, config: CacheConfig) -> Clip:
    if config.points is None:
        return clip
    generator = generator_for(config.seed, 0, which)
    chosen = [
        choose_points(len(cloud), config.points, generator)
        if len(cloud) > config.points
        else slice(None)
        for cloud in clip.points
    ]
    features = clip.features
    return replace(
        clip,
        points=[cloud[rows] for cloud, rows in zip(clip.points, chosen)],
        features=features and [feature[rows] for feature, rows in zip(features, chosen)],
    )


def require_cacheable(dataset: object) -> SequenceClips:
    """Give a data set back if a cache can be made of it.

    Raises:
        DataError: It does not consist of recordings of ragged clouds.
    """
    if not isinstance(dataset, SequenceClips):
        raise DataError(
            'only data sets of recorded actions can be cached',
            'Train from the files; HDF5 sets are read by frames anyway',
        )
    return dataset
