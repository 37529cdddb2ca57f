# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which files make up a recording, and what its ``metadata.yaml`` adds to them.

Only the names of the files and the offered quality of service are taken from ``metadata.yaml``:
types, definitions and numbers of messages stand in the files themselves, and people edit the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import yaml

from pointata_core.errors import BagError
from pointata_core.io.files.kinds import foreign_kind

SUFFIXES = ('.mcap', '.db3', '.bag')
COMPRESSIONS = ('.zstd', '.zst')
METADATA = 'metadata.yaml'
_UNFINISHED = '.active'  # `rosbag record` renames the file when it ends
_TRANSIENT_LOCAL = re.compile(r'transient_local|durability[\'"]?:\s*1\b', re.IGNORECASE)


@dataclass
class BagFiles:
    """The files of one recording.

    Attributes:
        files: In the order of ``metadata.yaml``, or of their names.
        problems: What is wrong with ``metadata.yaml`` or its list of files.
        latched: Topic -> whether its publisher kept messages for late subscribers, where
            ``metadata.yaml`` states it.
    """

    files: list[Path]
    problems: list[str] = field(default_factory=list)
    latched: dict[str, bool] = field(default_factory=dict)


def storage_of(file: Path) -> str:
    """Return ``.mcap``, ``.db3`` or ``.bag`` for a file of a recording, '' for any other file."""
    name = PurePath(file.name.lower())
    if name.suffix in COMPRESSIONS or name.suffix == _UNFINISHED:
        name = PurePath(name.stem)
    return name.suffix if name.suffix in SUFFIXES else ''


def is_compressed(file: Path) -> bool:
    """Whether the file as a whole is compressed."""
    return file.suffix.lower() in COMPRESSIONS


def is_latched(profiles: Any) -> bool:
    """Whether offered quality-of-service profiles, as text or parsed, are transient local."""
    return _TRANSIENT_LOCAL.search(str(profiles or '')) is not None


def find_files(path: Path) -> BagFiles:
    """List the files of a bag given by its folder, its metadata.yaml, or one of its files.

    Raises:
        BagError: There is no such file, or the folder holds none.
    """
    if path.name == METADATA:
        path = path.parent
    if not path.exists() and not path.is_symlink():
        raise BagError(f'{path} does not exist', 'Check the path of the bag')
    if path.is_dir():
        return _files_in(path)
    if storage_of(path):
        return BagFiles([path])
    raise BagError(
        f'{path} is not a bag: expected a folder or a file ending in {_endings()}',
        'Give the folder with metadata.yaml or the recorded file itself',
    )


def refuse_foreign(file: Path) -> None:
    """Refuse a file whose first bytes are those of a pointer, a web page or an archive.

    Raises:
        BagError: Names what it is and what to do.
    """
    foreign = foreign_kind(file)
    if foreign is not None and not (is_compressed(file) and 'Zstandard' in foreign.what):
        raise BagError(f'{file} cannot be read: {foreign.what}', foreign.fix)


def _files_in(folder: Path) -> BagFiles:
    present = sorted(file for file in folder.iterdir() if _is_part(file))
    if not present:
        inside = sorted(found.parent.name for found in folder.glob(f'*/{METADATA}'))
        raise BagError(
            f'{folder} holds neither {METADATA} nor a file ending in {_endings()}'
            if not (folder / METADATA).exists()
            else f'{folder} holds {METADATA} but no file ending in {_endings()}',
            'Give the folder of one recording'
            + (f', perhaps one of {", ".join(inside[:5])}' if inside else ''),
        )
    if not (folder / METADATA).exists():
        return BagFiles(present)
    try:
        listed, latched = _read_metadata(folder / METADATA)
    except Exception as error:  # edited by hand: anything
        problem = f'{folder / METADATA} cannot be used ({error}); read file by file'
        return BagFiles(present, [' '.join(problem.split())])
    return _select(folder, present, listed, latched)


def _is_part(file: Path) -> bool:
    hidden = file.name.startswith('.')  # `._bag.mcap` is made by macOS
    return bool(storage_of(file)) and not hidden and not file.is_dir()


def _read_metadata(file: Path) -> tuple[list[str], dict[str, bool]]:
    content = yaml.safe_load(file.read_text(encoding='utf-8'))
    if not isinstance(content, Mapping) or 'rosbag2_bagfile_information' not in content:
        raise ValueError('it has no rosbag2_bagfile_information')
    information = content['rosbag2_bagfile_information']
    latched = {}
    for topic in information.get('topics_with_message_count') or ():
        described = topic['topic_metadata']
        if described.get('offered_qos_profiles'):
            latched[described['name']] = is_latched(described['offered_qos_profiles'])
    # Early versions wrote the folder before each name.
    return [PurePath(name).name for name in information['relative_file_paths']], latched


def _select(
    folder: Path, present: list[Path], listed: list[str], latched: dict[str, bool]
) -> BagFiles:
    """Find the listed files, under their name or packed or unpacked since."""
    found: dict[Path, None] = {}
    absent = []
    for name in listed:
        plain = name.removesuffix('.zstd')
        options = (folder / name, folder / plain, folder / f'{plain}.zstd')
        file = next((option for option in options if option in present), None)
        if file is None:
            absent.append(name)
        else:
            found[file] = None
    problems = []
    if absent:
        problems.append(f'{folder / METADATA} lists {", ".join(absent)}, absent from the folder')
    others = [file for file in present if file not in found and not _is_copy(file, found)]
    if others and not absent:
        names = ', '.join(file.name for file in others)
        problems.append(f'{folder / METADATA} does not list {names}: not read')
    elif others:  # files were renamed
        found.update(dict.fromkeys(others))
    return BagFiles(list(found), problems, latched)


def _is_copy(file: Path, found: Mapping[Path, None]) -> bool:
    """Whether the file is the packed or unpacked form of another one."""
    plain = file.name.removesuffix('.zstd')
    return any(other.name.removesuffix('.zstd') == plain for other in found)


def _endings() -> str:
    return f'{", ".join(SUFFIXES)} (also with .zstd or {_UNFINISHED})'
