# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading files one does not trust, and writing files others can rely on."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pointata_core.errors import BundleError, OutputError

_RESTORE = 'Copy the bundle again from where it was made'
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_FOLDER = {errno.ENOTDIR, errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}
_OF_DISK = {errno.EIO, errno.ENXIO, errno.ESTALE}


def read_bounded(path: Path, limit: int, expected_size: int | None = None) -> bytes:
    """Read a regular file after a check of its size.

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


def output_error(path: str | Path, error: OSError) -> OutputError | None:
    """Describe a fault of the system in writing a file; None for an error of another kind."""
    if isinstance(error, OutputError):
        return error
    fix = 'Choose another folder for the output'
    if error.errno in _NO_ROOM or (error.errno is None and 'requested and' in str(error)):
        fix = 'Make room on that disk, or choose a folder on another one'
    elif error.errno in _NO_PERMISSION:
        fix = 'Choose a folder in which you may write'
    elif error.errno not in _NO_FOLDER | _OF_DISK:
        return None
    return OutputError(f'{path} cannot be written ({error.strerror or error})', fix)


def make_output_folder(path: str | Path) -> Path:
    """Make a folder for results, and make sure before the work that files can be written there.

    Raises:
        OutputError: It is a file, cannot be made, or takes no files.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b'0')
            file.flush()
    except OSError as error:
        if folder.is_file():
            raise OutputError(
                f'{folder} is a file, expected a folder for the output', 'Name another folder'
            ) from error
        raise output_error(folder, error) or error from error
    return folder


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write a file beside its final place, flush it to the disk, then move it there.

    Readers see the old file or the whole new one, whatever ends this process.

    Args:
        path: Final place; missing folders are made.
        content: The bytes, or a function that writes them to the stream it is given. The stream's
            ``name`` is the path of the temporary file.

    Raises:
        OutputError: The system does not let it be written; nothing is left of it.
    """
    try:
        _write_beside(path, content)
    except OSError as error:
        raise output_error(path, error) or error from error


def _write_beside(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    os.close(handle)
    try:
        with open(temporary, 'wb') as stream:
            if callable(content):
                content(stream)
            else:
                stream.write(content)
        # mkstemp makes files private; a bundle is read by other users, too.
        os.chmod(temporary, 0o644)
        _flush(Path(temporary))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush(path.parent)


def write_json(path: Path, value: Any, *, sort_keys: bool = False) -> None:
    """Write a value as indented JSON, see :func:`write_atomically`."""
    text = json.dumps(value, indent=2, sort_keys=sort_keys) + '\n'
    write_atomically(path, text.encode())


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
