# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One sequence in the layout of SemanticKITTI: copied bit for bit, or written of a recording."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.datasets.scenes.semantickitti_writer import SequenceWriter
from pointata_core.errors import BagError, OutputError
from pointata_core.training.domain.recorded_scans import RecordedScan

TABLES = ('poses.txt', 'calib.txt', 'times.txt')


def refuse_content(folder: Path) -> None:
    """Make sure that a folder is new or empty.

    Raises:
        OutputError: It holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f'{folder} is there already', 'Name a folder that is new or empty')


def copy_scans(source: Path, target: Path) -> SemanticKittiSequence:
    """Copy scans, poses, calibration and times of a sequence; labels are left to the caller.

    Args:
        source: Folder that holds ``velodyne``.
        target: Gets the same file names with the same bytes.

    Returns:
        The source.

    Raises:
        CloudFileError: A file of the source is missing or damaged.
    """
    sequence = SemanticKittiSequence(source)
    for scan in sequence:  # each is whole, and its labels belong to it
        path = Path('velodyne') / f'{scan.name}.bin'
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / path)
    for name in TABLES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    return sequence


def write_scans(scans: Iterable[RecordedScan], target: Path) -> int:
    """Write scans of a recording without labels; returns how many.

    Raises:
        BagError: There are none.
    """
    writer, count = SequenceWriter(target), 0
    for scan in scans:
        nothing = np.zeros(len(scan.points), np.uint32)
        writer.add(scan.points, scan.intensity, nothing, scan.stamp_ns, scan.pose)
        count += 1
    if not count:
        raise BagError('the recording has no scans', 'Give one with clouds')
    writer.close()
    return count
