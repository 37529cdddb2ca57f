# SPDX-License-Identifier: Apache-2.0
"""One-way import of the splits that xMUDA and FtD++ keep as Python pickles.

Unpickling a file from the internet means running whatever it says, so only what builds arrays and
plain containers is let through. Two kinds of split also hold torch tensors, in columns that nothing
here needs: their storage is skipped unread.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.camera import virtual_kitti
from pointata_core.datasets.camera.exported import FrameWriter
from pointata_core.datasets.camera.projection import project
from pointata_core.datasets.errors import DataError, damaged, require_file

_ARRAYS = {
    (module, name)
    for package in ('numpy.core', 'numpy._core')
    for module, name in (
        (f'{package}.multiarray', '_reconstruct'),
        (f'{package}.multiarray', 'scalar'),
        (f'{package}.numeric', '_frombuffer'),
    )
} | {('numpy', 'ndarray'), ('numpy', 'dtype'), ('_codecs', 'encode')}
_CONTAINERS = {('collections', 'OrderedDict')}


class _Skipped:
    """Stands where a tensor was."""


def _skip(*_: Any) -> _Skipped:
    return _Skipped()


_TENSORS = {('torch.storage', '_load_from_bytes'), ('torch._utils', '_rebuild_tensor_v2')}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _TENSORS:
            return _skip
        if (module, name) not in _ARRAYS | _CONTAINERS:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which is no array')
        return super().find_class(module, name)


def read_split(path: Path | str) -> list[dict[str, Any]]:
    """Read a pickled split: a list with one dictionary for every frame.

    Raises:
        DataError: The file is missing, cut, holds anything but arrays and plain containers, or is
            no such list.
    """
    path = require_file(Path(path), 'a pickled split')
    try:
        with path.open('rb') as stream:
            frames = _PlainUnpickler(stream, encoding='latin1').load()
    # A damaged pickle is a damaged program: it fails in whatever way its instructions lead to.
    except Exception as error:
        raise damaged(path, error, 'a list of frames as xMUDA writes it') from error
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise damaged(path, type(frames).__name__, 'a list of frames as xMUDA writes it')
    return frames


@dataclass(frozen=True)
class _Origin:
    """What is particular about the pickles of one data set."""

    label_set: str
    name: Callable[[dict[str, Any]], str]
    images: Callable[[dict[str, Any]], list[str]]
    pixels: Callable[[dict[str, Any]], NDArray]


def _stored_pixels(frame: dict[str, Any]) -> NDArray:
    return frame['points_img']


def _virtual_pixels(frame: dict[str, Any]) -> NDArray:
    pixels, _ = project(frame['points'], virtual_kitti.CAMERA, virtual_kitti.TO_CAMERA)
    return pixels


def _virtual_images(frame: dict[str, Any]) -> list[str]:
    return [
        f'vkitti_1.3.1_rgb/{frame["scene_id"]}/{weather}/{frame["frame_id"]}.png'
        for weather in virtual_kitti.WEATHERS
    ]


def _image(frame: dict[str, Any]) -> list[str]:
    return [frame['camera_path']]


def _scan(frame: dict[str, Any]) -> str:
    return str(PurePosixPath(frame['lidar_path']).with_suffix(''))


ORIGINS = {
    'nuscenes_lidarseg': _Origin(
        'nuscenes', lambda f: f'{f["scene_name"]}/{f["sample_token"]}', _image, _stored_pixels
    ),
    'semantickitti': _Origin('semantickitti', _scan, _image, _stored_pixels),
    'a2d2': _Origin('a2d2', _scan, _image, _stored_pixels),
    'virtual_kitti': _Origin(
        'virtual_kitti',
        lambda f: f'{f["scene_id"]}/{f["frame_id"]}',
        _virtual_images,
        _virtual_pixels,
    ),
}
"""Data sets whose pickles can be imported."""


def import_split(path: Path | str, dataset: str, split: str, folder: Path | str) -> int:
    """Write a pickled split in our own format; images stay where they are.

    Args:
        path: ``SPLIT.pkl``.
        dataset: One of ``ORIGINS``.
        split: Its name, for the index.
        folder: Where to.

    Returns:
        Number of frames.

    Raises:
        DataError: Unknown data set; the file is unsafe or damaged; a frame lacks something.
    """
    if dataset not in ORIGINS:
        raise DataError(
            f"pickles of '{dataset}' cannot be imported", f'Choose one of {", ".join(ORIGINS)}'
        )
    origin, frames = ORIGINS[dataset], read_split(path)
    # Everything is looked through before anything is written.
    rows = list(_rows(Path(path), frames, origin))
    with FrameWriter(folder, dataset, split, origin.label_set) as writer:
        for row in rows:
            writer.add(*row)
    return len(rows)


def _rows(path: Path, frames: list[dict[str, Any]], origin: _Origin) -> Iterator[tuple]:
    for number, frame in enumerate(frames):
        try:
            points = _numbers(frame['points'], 3)
            pixels = _numbers(origin.pixels(frame), 2)
            labels = frame['seg_labels']
            if labels is not None:
                labels = np.asarray(labels)
                if labels.dtype.kind not in 'iu' or labels.shape != (len(points),):
                    raise ValueError(f'labels {labels.dtype} {labels.shape}')
            if len(pixels) != len(points):
                raise ValueError(f'{len(pixels)} pixels for {len(points)} points')
            yield origin.name(frame), points, pixels, labels, origin.images(frame)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(path, f'frame {number}: {error!r}', 'the frames of xMUDA') from error


def _numbers(value: Any, columns: int) -> NDArray:
    array = np.asarray(value)
    if array.dtype.kind not in 'fiu' or array.ndim != 2 or array.shape[1] != columns:
        raise ValueError(f'an array {array.dtype} {array.shape}, expected (N, {columns})')
    return array
