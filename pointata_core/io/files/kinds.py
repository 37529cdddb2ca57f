# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that are not what their name promises, told by their first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Foreign(NamedTuple):
    """What a file is instead of a cloud, and what to do about it."""

    what: str
    fix: str


_HEAD = 512
_BEGINNINGS: tuple[tuple[bytes, Foreign], ...] = (
    (
        b'version https://git-lfs',
        Foreign(
            'it is a Git LFS pointer, not the file itself',
            'Run `git lfs pull` in its repository, or download the file itself',
        ),
    ),
    (
        b'/annex/objects/',
        Foreign('it is a git-annex pointer, not the file itself', 'Run `git annex get` on it'),
    ),
    (
        b'\x00\x05\x16\x07',
        Foreign(
            'it is an AppleDouble file with attributes of macOS, not the file itself',
            'Use the file without `._` before its name',
        ),
    ),
    (b'\x1f\x8b', Foreign('it is compressed with gzip', 'Unpack it with `gunzip`')),
    (b'\x28\xb5\x2f\xfd', Foreign('it is compressed with Zstandard', 'Unpack it with `zstd -d`')),
    (b'BZh', Foreign('it is compressed with bzip2', 'Unpack it with `bunzip2`')),
    (b'\xfd7zXZ', Foreign('it is compressed with xz', 'Unpack it with `unxz`')),
)
_PAGES = (b'<!doctype html', b'<html', b'<?xml')


def foreign_kind(path: Path) -> Foreign | None:
    """What the file is, if its first bytes show that it is no cloud in any format."""
    with path.open('rb') as file:
        head = file.read(_HEAD)
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head.lstrip(b'\xef\xbb\xbf \r\n\t')[:14].lower().startswith(_PAGES):
        return Foreign(
            'it is a web page or an error message of a server', 'Download the file itself'
        )
    return None
