# SPDX-License-Identifier: Apache-2.0
"""Reading files one does not trust, and writing files others can rely on."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointata_core.errors import BundleError

_RESTORE = 'Copy the bundle again from where it was made'


def read_bounded(path: Path, limit: int, expected_size: int | None = None) -> bytes:
    """Read a regular file, after its size was looked at.

    Args:
        path: The file; a symbolic link, pipe or device is refused.
        limit: Most bytes to read.
        expected_size: Exact length, if known.

    Raises:
        BundleError: There is no such file, it has the wrong size, or it cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with _opened(path, flags) as handle:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(f'{path}: found no regular file, expected one', _RESTORE)
            if expected_size is not None and status.st_size != expected_size:
                raise BundleError(
                    f'{path}: found {status.st_size} bytes, expected {expected_size}; '
                    'the file is cut off or belongs to another bundle',
                    _RESTORE,
                )
            if status.st_size > limit:
                raise BundleError(
                    f'{path}: found {status.st_size} bytes, expected at most {limit}', _RESTORE
                )
            return _read_all(handle, status.st_size, path)
    except OSError as error:
        raise BundleError(
            f'{path}: found {error.strerror or error}, expected a readable file that is no link',
            _RESTORE,
        ) from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    handle = os.open(path, flags)
    try:
        yield handle
    finally:
        os.close(handle)


def _read_all(handle: int, size: int, path: Path) -> bytes:
    with open(handle, 'rb', closefd=False) as stream:
        data = stream.read(size + 1)
    if len(data) != size:
        raise BundleError(f'{path}: changed while it was read', 'Load the bundle again')
    return data


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its final place, flush it to the disk, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    try:
        with open(handle, 'wb') as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            # mkstemp makes files private; a bundle is read by other users, too.
            os.fchmod(stream.fileno(), 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
