# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Make a recording of the cloud files of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pointata_core.errors import CloudFileError, ConfigError
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.cloud import Cloud
from pointata_core.io.files.folders import list_clouds, read_clouds
from pointata_core.io.messages.camera_messages import cloud as cloud_message
from pointata_core.io.messages.cloud_encoding import EncodedCloud, encode_fields, xyz_columns

TOPIC, FRAME = '/points', 'lidar'
START_NS = 1_000_000_000
"""Files have no stamps; zero would mean that the time is unknown."""


def write_cloud_bag(
    folder: str | Path,
    output: str | Path,
    *,
    columns: Sequence[str] | None = None,
    rate_hz: float = 10.0,
    storage: str = 'mcap',
) -> tuple[int, list[str]]:
    """Write the clouds of a folder to ``/points``, in natural order of their names.

    Columns that all readers know by one name keep it (``intensity``, ``ring``, ``time``); the
    others keep their own. All are float32. Organised clouds stay organised.

    Args:
        folder: Folder of cloud files.
        output: Folder of the recording; must not exist.
        columns: Columns of files that do not name them.
        rate_hz: Clouds a second.
        storage: ``mcap`` or ``sqlite3``.

    Returns:
        Number of clouds written, and notes about files that are left out or implausible.

    Raises:
        CloudFileError: The folder holds no cloud file that can be read.
        BagError: The output exists, or cannot be written.
        ConfigError: The rate is not positive.
    """
    if not rate_hz > 0:
        raise ConfigError(f'rate_hz is {rate_hz}, expected more than 0', 'Give it in Hz')
    files = list_clouds(Path(folder))
    notes: Counter[str] = Counter()
    written, first_error = 0, None
    with BagWriter(output, storage) as bag:
        for number, (_, found) in enumerate(read_clouds(files, columns)):
            if isinstance(found, CloudFileError):
                first_error = first_error or found
                notes[f'{found.message}; it is left out'] += 1
                continue
            notes.update(found.notes)
            stamp_ns = START_NS + round(number / rate_hz * 1e9)
            bag.write(TOPIC, cloud_message(bag.types, stamp_ns, FRAME, _encode(found)), stamp_ns)
            written += 1
    if first_error is not None and not written:
        raise first_error
    return written, [f'{text} ({n} files)' if n > 1 else text for text, n in notes.items()]


def _encode(found: Cloud) -> EncodedCloud:
    named: dict[str, np.ndarray] = dict(xyz_columns(found.points))
    for name, values in found.features.items():
        named.setdefault(name, values)
    return encode_fields(list(named.items()), width=found.width, height=found.height)
