# SPDX-License-Identifier: Apache-2.0
"""Turn files into recordings, and tell what was wrong with those that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from pointata_core.datasets.errors import DOWNLOAD_AGAIN, DataError, missing
from pointata_core.datasets.sequences import Recording


def list_recordings(
    found: Iterable[Path], describe: Callable[[Path], Recording], *, strict: bool
) -> tuple[list[Recording], list[DataError]]:
    """Describe every file.

    Args:
        found: Files or folders, in order.
        describe: Reads a header.
        strict: Raise at the first damaged one, so that nobody trains on a part of a data set
            without knowing; otherwise collect what is wrong.

    Returns:
        Recordings, and what was wrong with the others.

    Raises:
        DataError: See ``strict``.
    """
    recordings, problems = [], []
    for path in found:
        try:
            recordings.append(describe(path))
        except DataError as error:
            if strict:
                raise
            problems.append(error)
    return recordings, problems


def require_recordings(
    recordings: list[Recording], root: Path, expected: str, *, strict: bool
) -> None:
    """Refuse an empty split.

    Raises:
        DataError: There are none, and ``strict``.
    """
    if strict and not recordings:
        raise missing(root, expected, DOWNLOAD_AGAIN)
