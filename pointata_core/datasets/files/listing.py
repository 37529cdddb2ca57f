# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists the recordings of a split and the damaged files among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pointata_core.datasets.errors import DOWNLOAD_AGAIN, DataError, missing
from pointata_core.datasets.sequences import Recording

_Key = TypeVar('_Key')


def list_recordings(
    files: Mapping[Path, _Key],
    describe: Callable[[Path, _Key], Recording],
    root: Path,
    expected: str,
    *,
    strict: bool,
) -> tuple[list[Recording], list[DataError]]:
    """Describe every file of a split.

    Args:
        files: Files or folders in the order of the recordings, with what their names tell.
        describe: Makes a recording of one of them; reads at most its header.
        root: Folder that was searched, for the error.
        expected: What should lie there, for the error.
        strict: Raise at the first damaged file and for an empty split, so that nobody trains on a
            part of a data set unknowingly. Otherwise damage is returned.

    Returns:
        The recordings, and the errors of the other files.

    Raises:
        DataError: A file is damaged or there is none, and ``strict``.
    """
    recordings, problems = [], []
    for path, key in files.items():
        try:
            recordings.append(describe(path, key))
        except DataError as error:
            if strict:
                raise
            problems.append(error)
    if strict and not recordings:
        raise missing(root, expected, DOWNLOAD_AGAIN)
    return recordings, problems
