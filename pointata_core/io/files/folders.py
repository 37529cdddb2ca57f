# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cloud files of a folder, in the order of their recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from pointata_core.errors import CloudFileError
from pointata_core.io.cloud import Cloud
from pointata_core.io.files.cloud_files import READABLE, read_cloud

# Text is a cloud only where nothing else is: times, poses and notes lie beside scans.
_TEXT = ('.txt', '.csv', '.asc')
_DECIMAL = re.compile(r'\d+\.\d+')
_COMPANIONS = ('times', 'timestamps', 'poses', 'calib', 'readme', 'license')


def visible(paths: Iterable[Path]) -> list[Path]:
    """Leave hidden files out, such as ``._000000.bin`` (AppleDouble, written by macOS)."""
    return [path for path in paths if not path.name.startswith(('.', '~$'))]


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort by name, with numbers by value: ``scan_2`` before ``scan_10``.

    Names that are decimal numbers throughout (seconds, as in ``12.5.pcd``) are sorted as such.
    """
    found = list(paths)
    stems = [_stem(path) for path in found]
    if all(map(_DECIMAL.fullmatch, stems)):
        return sorted(found, key=lambda path: Decimal(_stem(path)))
    return sorted(found, key=lambda path: (_pieces(path.name), path.name))


def list_clouds(folder: Path, endings: Sequence[str] = READABLE) -> list[Path]:
    """Cloud files of a folder in natural order, without hidden files.

    Args:
        folder: The folder; its sub-folders are not searched.
        endings: Accepted endings, in lower case.

    Raises:
        CloudFileError: The folder is absent, or holds none; names sub-folders that have some.
    """
    if not folder.is_dir():
        raise CloudFileError(f'{folder} is not a folder', 'Check the path')
    found = _clouds_of(folder, endings)
    if found:
        return natural_order(found)
    others = [
        sub.name for sub in visible(folder.iterdir()) if sub.is_dir() and _clouds_of(sub, endings)
    ]
    raise CloudFileError(
        f'{folder}: no {" ".join(endings)} file in this folder',
        f'Name one of its sub-folders: {", ".join(sorted(others)[:5])}'
        if others
        else 'Name another folder',
    )


def read_clouds(
    files: Sequence[Path], columns: Sequence[str] | None = None
) -> Iterator[tuple[Path, Cloud | CloudFileError]]:
    """Read files one by one; a file that cannot be read gives its error, and the others follow.

    Args:
        files: In the order of the recording.
        columns: See :func:`~pointata_core.io.files.cloud_files.read_cloud`.
    """
    for path in files:
        try:
            yield path, read_cloud(path, columns=columns)
        except CloudFileError as error:
            yield path, error


def _clouds_of(folder: Path, endings: Sequence[str]) -> list[Path]:
    files = [
        path
        for path in visible(folder.iterdir())
        if path.suffix.lower() in endings and not path.is_dir()
    ]
    clouds = [path for path in files if path.suffix.lower() not in _TEXT]
    return clouds or [path for path in files if path.stem.lower() not in _COMPANIONS]


def _stem(path: Path) -> str:
    return path.name.removesuffix(path.suffix)


def _pieces(name: str) -> list[tuple[str, int]]:
    return [(text.casefold(), int(digits or 0)) for text, digits in re.findall(r'(\D*)(\d*)', name)]
