# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person changed, one file for each action, so that nothing is lost and all can be undone.

An edit is on disk before it counts. Labels of a scan are what came with the scan and all edits in
their order. To undo is to count one edit less. An edit that was undone stays on disk until another
takes its number.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.errors import CloudFileError
from pointata_core.safe_files import write_atomically, write_json


@dataclass(frozen=True, eq=False)
class ScanChange:
    """What an edit sets in one scan.

    Attributes:
        scan: Its number.
        index: ``(n,)`` int32, which points.
        words: ``(n,)`` uint32, their label words; ``None`` where labels stay.
        by: ``(n,)`` bool, whether the person saw these points in this scan; false where the edit
            carries the label over from another scan. ``None`` where labels stay.
        segment: ``(n,)`` int32, their segment; ``None`` where segments stay.
    """

    scan: int
    index: NDArray[np.int32]
    words: NDArray[np.uint32] | None = None
    by: NDArray[np.bool_] | None = None
    segment: NDArray[np.int32] | None = None


@dataclass(frozen=True, eq=False)
class Edit:
    """One action of a person.

    Attributes:
        number: From 1.
        what: Facts about it as JSON values, such as ``{'kind': 'click', 'scan': 3}``.
        changes: At most one for each scan.
    """

    number: int
    what: Mapping[str, Any]
    changes: tuple[ScanChange, ...]

    @property
    def scans(self) -> tuple[int, ...]:
        """Scans that it changes."""
        return tuple(change.scan for change in self.changes)


_COLUMNS = ('index', 'words', 'by', 'segment')


class EditLog:
    """Edits of a folder.

    Args:
        folder: Holds ``NNNNNN.npz`` and ``applied.json``; made if it is not there.

    Attributes:
        applied: How many count; later ones are undone.
        unfinished: Scans whose label files the last action may not have reached.

    Raises:
        CloudFileError: A file is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._edits: list[Edit] = []
        while self._path(len(self._edits) + 1).is_file():
            self._edits.append(_read(self._path(len(self._edits) + 1), len(self._edits) + 1))
        self.applied, settled = self._read_applied()
        near = self._edits[max(0, self.applied - 1) : self.applied + 1]
        self.unfinished = set() if settled else {scan for edit in near for scan in edit.scans}

    def __len__(self) -> int:
        """Edits on disk, those that are undone among them."""
        return len(self._edits)

    @property
    def edits(self) -> Sequence[Edit]:
        """Those that count, in order."""
        return self._edits[: self.applied]

    def append(self, what: Mapping[str, Any], changes: Sequence[ScanChange]) -> Edit:
        """Write an edit, and count it. Edits that were undone are gone for good.

        Raises:
            OutputError: It cannot be written; nothing changes.
        """
        edit = Edit(self.applied + 1, dict(what), tuple(changes))
        # From the end, so that a crash leaves no gap.
        while len(self._edits) > self.applied:
            self._path(len(self._edits)).unlink(missing_ok=True)
            self._edits.pop()
        write_atomically(self._path(edit.number), lambda stream: _write(stream, edit))
        self._edits.append(edit)
        self._count(edit.number)
        return edit

    def undo(self) -> Edit | None:
        """Count one edit less; ``None`` if there is none."""
        if not self.applied:
            return None
        self._count(self.applied - 1)
        return self._edits[self.applied]

    def redo(self) -> Edit | None:
        """Count the next edit again; ``None`` if there is none."""
        if self.applied == len(self._edits):
            return None
        self._count(self.applied + 1)
        return self._edits[self.applied - 1]

    def settle(self) -> None:
        """Label files are those of the edits that count."""
        write_json(self._applied_path, {'applied': self.applied, 'labels_written': True})
        self.unfinished = set()

    def _count(self, applied: int) -> None:
        write_json(self._applied_path, {'applied': applied, 'labels_written': False})
        self.applied = applied

    def _read_applied(self) -> tuple[int, bool]:
        if not self._applied_path.is_file():
            return 0, True
        try:
            found = json.loads(self._applied_path.read_text())
            applied, settled = int(found['applied']), bool(found['labels_written'])
        except (ValueError, KeyError, TypeError) as error:
            raise CloudFileError(
                f'{self._applied_path}: found no JSON with applied and labels_written ({error})',
                f'Write {{"applied": {len(self._edits)}, "labels_written": true}} to count all',
            ) from error
        if not 0 <= applied <= len(self._edits):
            raise CloudFileError(
                f'{self._applied_path}: applied is {applied}, {self.folder} has edits up to '
                f'{len(self._edits)}',
                'Copy the folder again from where it was made',
            )
        return applied, settled

    @property
    def _applied_path(self) -> Path:
        return self.folder / 'applied.json'

    def _path(self, number: int) -> Path:
        return self.folder / f'{number:06d}.npz'


def _write(stream: Any, edit: Edit) -> None:
    arrays: dict[str, NDArray] = {}
    for change in edit.changes:
        for name in _COLUMNS:
            values = getattr(change, name)
            if values is not None:
                arrays[f'{change.scan}.{name}'] = values
    np.savez(stream, allow_pickle=False, what=np.array(json.dumps(edit.what)), **arrays)


def _read(path: Path, number: int) -> Edit:
    try:
        with np.load(path, allow_pickle=False) as file:
            what = json.loads(str(file['what']))
            scans: dict[int, dict[str, NDArray]] = {}
            for key in file.files:
                scan, dot, name = key.partition('.')
                if dot:
                    scans.setdefault(int(scan), {})[name] = file[key]
        return Edit(number, what, tuple(ScanChange(scan, **v) for scan, v in scans.items()))
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise CloudFileError(
            f'{path}: found no edit ({error})', 'Copy the folder again from where it was made'
        ) from error
