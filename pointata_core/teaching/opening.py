# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder to teach in, opened from whatever names it: a recording, a sequence, the folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pointata_core.errors import CloudFileError, OutputError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.transforms import TransformBuffer
from pointata_core.safe_files import write_atomically
from pointata_core.teaching.classes import ClassTable
from pointata_core.teaching.folder import refuse_content, write_scans
from pointata_core.teaching.project import DESCRIPTION, Project
from pointata_core.training.domain.recorded_scans import scans_of_bag

FRAMES_AT_REST = ('odom', 'map', 'world')


def folder_of(source: str | Path) -> Path:
    """Folder that a recording is taught in if no other is named: beside where the user is."""
    path = Path(source)
    return path if is_project(path) else Path(f'{path.resolve().stem}_teach')


def is_project(path: Path) -> bool:
    """Whether it is a folder to teach in."""
    return (path / DESCRIPTION).is_file()


def open_project(
    source: str | Path,
    folder: str | Path | None = None,
    *,
    topic: str | None = None,
    fixed_frame: str | None = None,
    classes: ClassTable | None = None,
) -> Project:
    """Open a folder; one that is new gets the scans of a recording.

    Args:
        source: Bag, sequence in the layout of SemanticKITTI, or such a folder.
        folder: To work in; see :func:`folder_of`.
        topic: Of the clouds; ``None`` for the only one.
        fixed_frame: Frame at rest; ``None`` for one of ``FRAMES_AT_REST`` that the bag has.
        classes: Of a new folder; those of the default bundle if left out.

    Raises:
        PointataError: The recording cannot be read, or the folder holds something else.
    """
    source = Path(source)
    home = folder_of(source) if folder is None else Path(folder)
    if is_project(home):
        return Project(home)
    if not source.exists():
        raise CloudFileError(
            f'{source} is absent', 'Give a bag, or a folder that was taught in before'
        )
    if (source / 'velodyne').is_dir():
        return Project.import_sequence(home, source, classes)
    refuse_content(home)
    frame = guess_fixed_frame(source) if fixed_frame is None else fixed_frame
    write_scans(scans_of_bag(source, topic, frame), home / 'sequences' / '00')
    return Project.start(home, classes)


def guess_fixed_frame(bag: Path) -> str:
    """First of ``FRAMES_AT_REST`` that the transforms of a bag mention; empty without one."""
    with BagReader(bag) as reader:
        frames = TransformBuffer.from_recording(reader).frames
    return next((name for name in FRAMES_AT_REST if name in frames), '')


def token_of(project: Project) -> str:
    """First part of the page's address: of this folder, so that a page survives a restart.

    Raises:
        OutputError: It cannot be written.
    """
    path = project.folder / 'teach' / 'token'
    if not path.is_file():
        write_atomically(path, secrets.token_urlsafe(16).encode())
        try:
            os.chmod(path, 0o600)
        except OSError as error:
            raise OutputError(f'{path} cannot be made private ({error})', 'Own it') from error
    return path.read_text().strip()
