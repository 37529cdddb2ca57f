# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a download: which file, what was expected, what was found.

Loaders raise nothing else for bad files, so that a check can go on to the next one and list all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pointata_core.errors import PointataError

DOWNLOAD_AGAIN = 'Download or unpack it again'


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
    """A file or folder that is not there; ``expected`` says what it should be."""
    return DataError(f'{path} is missing, expected {expected}', fix, path)


def damaged(path: Path, found: object, expected: object, fix: str = DOWNLOAD_AGAIN) -> DataError:
    """A file that is cut or of another form; both sides in words or numbers."""
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
