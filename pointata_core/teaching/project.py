# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder that a person teaches in: scans, labels, and who gave them.

::

    FOLDER/sequences/00/velodyne, labels, poses.txt, calib.txt, times.txt
    FOLDER/teach/project.json     classes
    FOLDER/teach/given/           labels that came with the scans
    FOLDER/teach/edits/           what was changed since, one file for each action
    FOLDER/teach/segments/        what one click labels

``labels`` holds what is known, and 0 elsewhere. Other tools may change it: what they changed is
found when the folder is opened, and becomes an edit like any other.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pointata_core.datasets.scenes.semantickitti import SemanticKittiScan, SemanticKittiSequence
from pointata_core.errors import CloudFileError, OutputError
from pointata_core.safe_files import write_atomically, write_json
from pointata_core.teaching.classes import ClassTable
from pointata_core.teaching.edits import Edit, EditLog, ScanChange
from pointata_core.teaching.folder import copy_scans, refuse_content

GIVEN = np.iinfo(np.int32).max
"""``by`` of labels that came with the scans."""

DESCRIPTION = 'teach/project.json'  # a folder without it was not finished
_FORMAT = 1
_CACHED = 64  # scans whose labels are kept in memory


class Known(NamedTuple):
    """What is known of the points of one scan.

    Attributes:
        words: ``(N,)`` uint32 label words, 0 for unknown; the upper 16 bits are object ids.
        by: ``(N,)`` int32, who labelled them: 0 nobody, n > 0 a person in edit n, -n edit n on
            another scan, ``GIVEN`` for labels that came with the scan.
        segment: ``(N,)`` int32; -1 for none.
    """

    words: NDArray[np.uint32]
    by: NDArray[np.int32]
    segment: NDArray[np.int32]

    @property
    def confirmed(self) -> NDArray[np.bool_]:
        """``(N,)`` whether a person saw the label in this scan, or it came with the scan."""
        return self.by > 0


class Project:
    """An open folder; no other process can change it until it is closed.

    Args:
        folder: Made by :meth:`start` or :meth:`import_sequence`.
        reading: Open it as it is now beside a process that may change it; corrections made here
            are an error.

    Attributes:
        classes: Names and ids.
        sequence: The scans.

    Raises:
        CloudFileError: It is no such folder, or a file in it is damaged.
        OutputError: Another process has opened it, or it cannot be written.
    """

    def __init__(self, folder: str | Path, *, reading: bool = False) -> None:
        self.folder = Path(folder)
        self.home = self.folder / 'sequences' / '00'
        self._teach = self.folder / 'teach'
        self.classes = ClassTable(_read_project(self.folder / DESCRIPTION)['classes'])
        self._reading = reading
        self._lock: Any = nullcontext() if reading else _locked(self._teach / 'lock')
        try:
            self.sequence = SemanticKittiSequence(self.home)
            self._names = [path.stem for path in self.sequence.paths]
            self._log = EditLog(self._teach / 'edits')
            self._cache: dict[int, tuple[int, Known]] = {}
            if not reading:
                self._adopt()
        except BaseException:
            self.close()
            raise

    @classmethod
    def start(cls, folder: str | Path, classes: ClassTable | None = None) -> Project:
        """Make a project of scans that lie in ``FOLDER/sequences/00`` without labels.

        Raises:
            CloudFileError: A scan is missing or damaged.
        """
        home = Path(folder) / 'sequences' / '00'
        sequence = SemanticKittiSequence(home)
        for path in sequence.paths:
            nothing = np.zeros(path.stat().st_size // 16, '<u4')
            write_atomically(home / 'labels' / f'{path.stem}.label', nothing.tobytes())
        return cls._begin(Path(folder), classes, labelled=False)

    @classmethod
    def import_sequence(
        cls,
        folder: str | Path,
        source: str | Path,
        classes: ClassTable | None = None,
        *,
        labels: bool = True,
    ) -> Project:
        """Make a project of a sequence in the layout of SemanticKITTI; its labels are known.

        Args:
            folder: New or empty.
            source: Folder that holds ``velodyne``.
            classes: Those of the default bundle if left out.
            labels: Take its labels over.

        Raises:
            CloudFileError: A file of the source is missing or damaged.
            OutputError: The folder holds something.
        """
        folder, source = Path(folder), Path(source)
        refuse_content(folder)
        sequence = copy_scans(source, folder / 'sequences' / '00')
        if not (labels and sequence.has_labels):
            return cls.start(folder, classes)
        for path in sequence.paths:
            name = f'{path.stem}.label'
            words = (source / 'labels' / name).read_bytes()
            for target in (folder / 'teach' / 'given', folder / 'sequences' / '00' / 'labels'):
                write_atomically(target / name, words)
        return cls._begin(folder, classes, labelled=True)

    @classmethod
    def _begin(cls, folder: Path, classes: ClassTable | None, labelled: bool) -> Project:
        facts = {
            'format': _FORMAT,
            'classes': dict((classes or ClassTable.default()).ids),
            'labelled': labelled,
        }
        write_json(folder / DESCRIPTION, facts)  # last
        return cls(folder)

    def __enter__(self) -> Project:
        """The project itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def add_classes(self, names: Sequence[str]) -> None:
        """Append classes; those that are there already stay as they are."""
        extended = self.classes.extended(names)
        if extended != self.classes:
            facts = _read_project(self.folder / DESCRIPTION)
            write_json(
                self.folder / DESCRIPTION,
                {'format': _FORMAT, **facts, 'classes': dict(extended.ids)},
            )
            self.classes = extended

    def close(self) -> None:
        """Let other processes open the folder."""
        if not self._reading:
            self._lock.close()

    def __len__(self) -> int:
        """Number of scans."""
        return len(self._names)

    def scan(self, number: int) -> SemanticKittiScan:
        """Points and pose of a scan; for labels see :meth:`known`.

        Raises:
            CloudFileError: The file is damaged.
        """
        return self.sequence[number]

    def name(self, number: int) -> str:
        """File name of a scan without its ending."""
        return self._names[number]

    def points(self, number: int) -> int:
        """How many points a scan has."""
        return self.sequence.paths[number].stat().st_size // 16

    # ------------------------------------------------------------------ labels

    def known(self, number: int) -> Known:
        """What is known of a scan; the arrays must not be changed."""
        # Segments may be written by another process, see :mod:`.job`.
        cut = self._segment_path(number)
        version = cut.stat().st_mtime_ns if cut.is_file() else 0
        if number not in self._cache or self._cache[number][0] != version:
            while len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[number] = version, self._derived(number)
        return self._cache[number][1]

    def _derived(self, number: int) -> Known:
        """What came with the scan and all edits that count."""
        name = self._names[number]
        given = self._teach / 'given' / f'{name}.label'
        points = self.points(number)
        words = np.zeros(points, np.uint32)
        if given.is_file():
            words = np.fromfile(given, '<u4').astype(np.uint32)
        by = np.where(words != 0, GIVEN, 0).astype(np.int32)
        segment = np.full(points, -1, np.int32)
        cut = self._segment_path(number)
        if cut.is_file():
            segment = np.load(cut, allow_pickle=False).astype(np.int32)
        if not len(words) == len(segment) == points:
            raise CloudFileError(
                f'{self._teach}: scan {name} has {points} points, {len(words)} labels and '
                f'{len(segment)} segments',
                'Copy the folder again from where it was made',
            )
        known = Known(words, by, segment)
        for edit in self._log.edits:
            for change in edit.changes:
                if change.scan == number:
                    _apply(known, edit.number, change)
        return known

    @property
    def edits(self) -> Sequence[Edit]:
        """Edits that count, in order."""
        return self._log.edits

    def record(self, what: Mapping[str, Any], changes: Sequence[ScanChange]) -> Edit:
        """Take a change in; it is on disk when this returns.

        Args:
            what: Facts about it as JSON values.
            changes: At most one for each scan.

        Raises:
            ValueError: There is no such scan or point, or a scan has two changes; nothing changes.
            OutputError: It cannot be written, or the folder is open for reading.
        """
        if self._reading:
            raise OutputError(f'{self.folder} is open for reading', 'Open it to be changed')
        if len({change.scan for change in changes}) < len(changes):
            raise ValueError('a scan is changed twice')
        for change in changes:
            points = self.points(change.scan) if 0 <= change.scan < len(self) else 0
            if ((change.index < 0) | (change.index >= points)).any():
                raise ValueError(f'scan {change.scan} has no such point')
        edit = self._log.append(what, changes)
        self._settle(set(edit.scans))
        return edit

    def undo(self) -> Edit | None:
        """Take the last edit back; ``None`` if there is none."""
        return self._settled(self._log.undo())

    def redo(self) -> Edit | None:
        """Do again what was undone last; ``None`` if there is nothing."""
        return self._settled(self._log.redo())

    def _settled(self, edit: Edit | None) -> Edit | None:
        if edit is not None:
            self._settle(set(edit.scans))
        return edit

    def _settle(self, scans: set[int]) -> None:
        """Write label files from the edits that count."""
        for number in sorted(scans):
            self._cache.pop(number, None)
            words = self.known(number).words.astype('<u4')
            write_atomically(self._label_path(number), words.tobytes())
        self._log.settle()

    def set_segments(self, number: int, segment: NDArray[np.int32]) -> None:
        """Say which points one click labels; points that a person split off keep their segment.

        Args:
            number: Of the scan.
            segment: ``(N,)``, below a million; -1 for none.
        """
        path = self._segment_path(number)
        write_atomically(path, lambda stream: np.save(stream, segment.astype(np.int32)))
        self._cache.pop(number, None)

    # ------------------------------------------------------------------ other tools

    def _adopt(self) -> None:
        """Finish what a crash left, and take in what other tools changed in ``labels``."""
        if self._log.unfinished:
            self._settle(self._log.unfinished)
        changes = []
        for number in range(len(self)):
            words = self._words_on_disk(number)
            index = np.flatnonzero(words != self.known(number).words).astype(np.int32)
            if len(index):
                seen = np.ones(len(index), np.bool_)
                changes.append(ScanChange(number, index, words[index], seen))
        if changes:
            self.record({'kind': 'other_tool'}, changes)

    def _words_on_disk(self, number: int) -> NDArray[np.uint32]:
        path = self._label_path(number)
        points = self.points(number)
        if not path.is_file() or path.stat().st_size != 4 * points:
            raise CloudFileError(
                f'{path}: found {path.stat().st_size // 4 if path.is_file() else "no"} labels, '
                f'expected {points}',
                'Delete the labels that another tool left, and export them from a copy',
            )
        return np.fromfile(path, '<u4').astype(np.uint32)

    def _segment_path(self, number: int) -> Path:
        return self._teach / 'segments' / f'{self._names[number]}.npy'

    def _label_path(self, number: int) -> Path:
        return self.home / 'labels' / f'{self._names[number]}.label'

    def export(self, target: str | Path) -> None:
        """Write scans and labels as a sequence of SemanticKITTI.

        Every file has the bytes of the one that was imported, but for labels that changed since. A
        sequence that came without labels, and has none yet, leaves without them.

        Args:
            target: Folder that gets ``velodyne``; new or empty.

        Raises:
            OutputError: The folder holds something, or cannot be written.
        """
        target = Path(target)
        refuse_content(target)
        copy_scans(self.home, target)
        if not _read_project(self.folder / DESCRIPTION)['labelled'] and not self.edits:
            return
        for number, name in enumerate(self._names):
            words = self.known(number).words.astype('<u4')
            write_atomically(target / 'labels' / f'{name}.label', words.tobytes())


def _apply(known: Known, number: int, change: ScanChange) -> None:
    if change.words is not None and change.by is not None:
        known.words[change.index] = change.words
        known.by[change.index] = np.where(change.by, number, -number)
    if change.segment is not None:
        known.segment[change.index] = change.segment


def _read_project(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CloudFileError(
            f'{path} is absent: {path.parent.parent} is no folder to teach in, or its import was '
            'not finished',
            'Make one: pointata teach import FOLDER --bag BAG',
        )
    try:
        facts = json.loads(path.read_text())
        if facts['format'] != _FORMAT:
            raise ValueError(f'format is {facts["format"]}, expected {_FORMAT}')
        return {'classes': dict(facts['classes']), 'labelled': bool(facts['labelled'])}
    except (ValueError, KeyError, TypeError) as error:
        raise CloudFileError(
            f'{path}: found no description of a folder to teach in ({error})',
            'Copy it again from where it was made, or use the version that made it',
        ) from error


def _locked(path: Path) -> Any:
    try:
        handle = path.open('w')
    except OSError as error:
        raise OutputError(f'{path} cannot be written ({error})', 'Make it writable') from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise OutputError(
            f'{path.parent.parent} is open in another process', 'Close it there first'
        ) from error
    return handle
