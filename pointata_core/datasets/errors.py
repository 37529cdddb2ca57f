# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The error of a bad download: which file, what was found, what was expected.

Loaders raise nothing else for bad files, so a check can continue and list all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pointata_core.errors import PointataError

DOWNLOAD_AGAIN = 'Download or unpack it again'

_Item = TypeVar('_Item')


class DataError(PointataError):
    """A file of a data set is missing, cut, or not what its name promises.

    Args:
        message: Which file, what was found and what was expected.
        fix: What to do about it.
        path: The file or folder, where it is one.
    """

    def __init__(self, message: str, fix: str = '', path: Path | None = None) -> None:
        super().__init__(message, fix)
        self.path = path


def missing(path: Path, expected: str, fix: str = DOWNLOAD_AGAIN) -> DataError:
    """The error for a file or folder that does not exist."""
    return DataError(f'{path} is missing, expected {expected}', fix, path)


def damaged(path: Path, found: object, expected: object, fix: str = DOWNLOAD_AGAIN) -> DataError:
    """The error for a file that is cut or has another form."""
    return DataError(f'{path}: found {found}, expected {expected}', fix, path)


def require_file(path: Path, expected: str, fix: str = DOWNLOAD_AGAIN) -> Path:
    """Give ``path`` back if it is a file.

    Raises:
        DataError: It is not.
    """
    if not path.is_file():
        raise missing(path, expected, fix)
    return path


def require_folder(candidates: Sequence[Path], expected: str, fix: str = DOWNLOAD_AGAIN) -> Path:
    """The first of some folders that exists.

    Args:
        candidates: At least one folder; the first is the one an error names.
        expected: What lies in it.
        fix: What to do if there is none.

    Raises:
        DataError: None exists.
    """
    for path in candidates:
        if path.is_dir():
            return path
    raise missing(candidates[0], expected, fix)


def require_split(title: str, split: str, splits: Sequence[str]) -> str:
    """Return ``split`` if the data set has it.

    Raises:
        DataError: It does not; the fix lists those that exist.
    """
    if split not in splits:
        raise DataError(f"{title} has no split '{split}'", f'Choose one of {", ".join(splits)}')
    return split


def named_folder(root: str | Path, name: str) -> Path:
    """The folder ``name`` in ``root`` if it exists, else ``root``, which then stands for it."""
    return Path(root) / name if (Path(root) / name).is_dir() else Path(root)


def damaged_items(
    read: Callable[[_Item], object], items: Iterable[_Item]
) -> Iterator[DataError | None]:
    """Read items one by one; yield the error of each, or None if it could be read."""
    for item in items:
        try:
            read(item)
        except DataError as error:
            yield error
        else:
            yield None
