# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in our own format: plain arrays, one archive per frame, and an index.

``index.json`` lists the frames in order with their archive and their images, relative to a folder
of images; ``frames/NNNNNN.npz`` holds ``points``, ``pixels`` and, if known, raw ``labels``. A
frame with several images (one cloud in all weathers) shows another one whenever it is read; one
without any is of a LiDAR alone.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera.frames import CameraFrame, CameraFrames, read_image, seen
from pointata_core.datasets.errors import DataError, damaged, require_file
from pointata_core.safe_files import write_json

INDEX = 'index.json'
_FORMAT = 1


class FrameWriter:
    """Writes frames; a context manager, and an index appears only if all went well.

    Args:
        folder: Must not hold an index yet.
        name: Of the data set.
        split: Which one.
        label_set: Whose ids the labels are, as in ``class_maps``.

    Raises:
        DataError: The folder holds frames already.
    """

    def __init__(self, folder: Path | str, name: str, split: str, label_set: str) -> None:
        self.folder = Path(folder)
        if (self.folder / INDEX).exists():
            raise DataError(f'{self.folder} holds frames already', 'Give another folder')
        (self.folder / 'frames').mkdir(parents=True, exist_ok=True)
        self._head = {'format': _FORMAT, 'name': name, 'split': split, 'label_set': label_set}
        self._frames: list[dict[str, object]] = []

    def add(
        self,
        name: str,
        points: NDArray,
        pixels: NDArray,
        labels: NDArray | None,
        images: Sequence[str],
    ) -> None:
        """Write one frame.

        Args:
            name: Unique.
            points: (N, 3) metres.
            pixels: (N, 2) row and column in the image.
            labels: (N,) raw ids, or None.
            images: Paths of its images, relative to the folder of images; none of a LiDAR
                alone, and pixels then mean nothing.
        """
        file = f'frames/{len(self._frames):06d}.npz'
        arrays = {'points': np.float32(points), 'pixels': np.float32(pixels)}
        if labels is not None:
            arrays['labels'] = np.asarray(labels).astype(np.uint16)
        np.savez_compressed(self.folder / file, **arrays)
        self._frames.append({'name': name, 'file': file, 'images': list(images)})

    def __enter__(self) -> FrameWriter:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write the index, unless there was an error."""
        if kind is None:
            write_json(self.folder / INDEX, {**self._head, 'frames': self._frames})


def export_frames(frames: CameraFrames, folder: Path | str, max_points: int | None = None) -> int:
    """Copy a data set, images as PNG beside the archives.

    Args:
        frames: What to copy.
        folder: Where to.
        max_points: Frames with more are left out (A2D2 has a few with many scans in one).

    Returns:
        How many frames were left out.
    """
    from PIL import Image

    folder, skipped = Path(folder), 0
    with FrameWriter(folder, frames.name, frames.split, frames.label_set) as writer:
        (folder / 'images').mkdir(exist_ok=True)
        for number in range(len(frames)):
            frame = frames.raw_frame(number, np.random.default_rng(0))
            if max_points is not None and len(frame.points) > max_points:
                skipped += 1
                continue
            image = f'images/{number:06d}.png'
            if frame.image is not None:
                Image.fromarray(frame.image).save(folder / image)
            images = [] if frame.image is None else [image]
            writer.add(frame.name, frame.points, frame.pixels, frame.labels, images)
    return skipped


def exported_frames(
    folder: Path | str, task: str, images: Path | str | None = None
) -> CameraFrames:
    """Open frames in our format.

    Args:
        folder: With the index.
        task: Name in ``class_maps.tasks()``.
        images: Folder of images; the same folder when None.

    Raises:
        DataError: The index is missing or damaged, or names a file outside of its folder.
        ConfigError: The task does not fit the labels.
    """
    folder = Path(folder)
    images = folder if images is None else Path(images)
    path = require_file(folder / INDEX, 'an index of frames', 'Write it again')
    try:
        index = json.loads(path.read_text(encoding='utf-8'))
        if index['format'] != _FORMAT:
            raise ValueError(f'format {index["format"]}, expected {_FORMAT}')
        readers = [
            (
                str(row['name']),
                partial(
                    _read,
                    str(row['name']),
                    folder / _inside(row['file']),
                    [images / _inside(image) for image in row['images']],
                ),
            )
            for row in index['frames']
        ]
        name, split, label_set = (str(index[key]) for key in ('name', 'split', 'label_set'))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, error, 'an index of frames', 'Write it again') from error
    return CameraFrames(name, split, task, label_set, readers)


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts:
        raise ValueError(f'a path out of the folder: {name}')
    return path


def _read(name: str, path: Path, images: list[Path], rng: np.random.Generator) -> CameraFrame:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            points, pixels = arrays['points'], arrays['pixels']
            labels = arrays.get('labels')
        if points.ndim != 2 or points.shape[1] != 3 or pixels.shape != (len(points), 2):
            raise ValueError(f'points {points.shape} and pixels {pixels.shape}')
        if labels is not None and labels.shape != (len(points),):
            raise ValueError(f'labels {labels.shape} of {len(points)} points')
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise damaged(path, error, 'points, pixels and labels', 'Write it again') from error
    if not images:
        labels = None if labels is None else labels.astype(np.int64)
        return CameraFrame(name, None, np.float32(points), np.float32(pixels), labels)
    return seen(name, read_image(images[rng.integers(len(images))]), points, pixels, labels)
