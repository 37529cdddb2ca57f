# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many clouds of recordings as people have them our reader finds, and how many rosbags finds.

Every recording is made of the same six clouds, then edited, packed, cut or written otherwise. A
cloud counts if its bytes are those that were recorded.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore

from benchmarks.command_line import CommandLine, run_main, write_results
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.cloud_encoding import encode_fields, xyz_columns
from pointata_core.io.messages.message_types import POINT_CLOUD, make_typestore

COUNT = 6
_START_NS, _PERIOD_NS = 1_700_000_000 * 10**9, 100_000_000
_SUFFIX = {'mcap': '.mcap', 'sqlite3': '.db3'}


def points(index: int) -> np.ndarray:
    """The points of a cloud, (4000, 3); they hardly compress."""
    return np.random.default_rng(index).normal(size=(4000, 3)).astype(np.float32)


def message(index: int, *, ros1: bool = False) -> bytes:
    """A serialised cloud."""
    store = make_typestore(ros1=ros1)[0]
    types = store.types
    encoded = encode_fields(xyz_columns(points(index)))
    stamp = types['builtin_interfaces/msg/Time'](1_700_000_000, index * _PERIOD_NS)
    header = types['std_msgs/msg/Header'](*([index] if ros1 else []), stamp, 'lidar')
    field = types['sensor_msgs/msg/PointField']
    cloud = types[POINT_CLOUD](
        header, 1, encoded.width, [field(n, o, d, 1) for n, o, d in encoded.fields], False,
        encoded.point_step, encoded.row_step, np.frombuffer(encoded.data, np.uint8), True,
    )  # fmt: skip
    return bytes((store.serialize_ros1 if ros1 else store.serialize_cdr)(cloud, POINT_CLOUD))


def bag(path: Path, storage: str = 'mcap') -> Path:
    """A rosbag2 recording without a fault."""
    with BagWriter(path, storage) as writer:
        writer.add_topic('/points', POINT_CLOUD)
        for index in range(COUNT):
            writer.write_raw('/points', message(index), _START_NS + index * _PERIOD_NS)
    return path


def file_of(path: Path) -> Path:
    """The only file of messages."""
    (found,) = (one for one in path.iterdir() if one.suffix in _SUFFIX.values())
    return found


def alone(path: Path, storage: str) -> Path:
    """A file without its folder."""
    return Path(shutil.copy(file_of(bag(path, storage)), path.with_suffix(_SUFFIX[storage])))


def without_metadata(path: Path, storage: str) -> Path:
    """As a killed recorder leaves it."""
    (bag(path, storage) / 'metadata.yaml').unlink()
    return path


def edited(path: Path, change: Callable[[dict], object]) -> Path:
    """A recording whose metadata.yaml somebody has changed."""
    file = bag(path) / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    change(content['rosbag2_bagfile_information'])
    file.write_text(yaml.safe_dump(content))
    return path


def packed(path: Path, storage: str) -> Path:
    """One file, compressed."""
    file = alone(path, storage)
    target = file.with_name(f'{file.name}.zstd')
    target.write_bytes(zstandard.ZstdCompressor().compress(file.read_bytes()))
    return target


def cut(path: Path, share: float) -> Path:
    """The front of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def open_log(path: Path) -> Path:
    """A sqlite3 bag whose messages are in the write-ahead log."""
    with sqlite3.connect(file_of(bag(path.with_name('whole'), 'sqlite3'))) as source:
        dump = '\n'.join(source.iterdump())
    path.mkdir()
    working = path.with_name('working.db3')
    database = sqlite3.connect(working)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.executescript(dump)
    for end in ('', '-wal'):
        shutil.copy(f'{working}{end}', path / f'bag_0.db3{end}')
    database.close()
    return path


def compressed_messages(path: Path) -> Path:
    """A sqlite3 file whose messages are compressed one by one, without its folder."""
    file = alone(path, 'sqlite3')
    with sqlite3.connect(file) as database:
        rows = database.execute('SELECT id, data FROM messages').fetchall()
        compress = zstandard.ZstdCompressor().compress
        database.executemany(
            'UPDATE messages SET data = ? WHERE id = ?', [(compress(d), i) for i, d in rows]
        )
    return file


def other_mcap(path: Path, *, profile: str, ros1: bool = False, defined: bool = True) -> Path:
    """An mcap file of another writer."""
    path = path.with_suffix('.mcap')
    with path.open('wb') as file:
        writer = McapWriter(file, compression=CompressionType.NONE)
        writer.start(profile=profile, library='')
        name = 'sensor_msgs/PointCloud2' if ros1 else POINT_CLOUD
        store = make_typestore(ros1=ros1)[0]
        text, _ = store.generate_msgdef(POINT_CLOUD, ros_version=1 if ros1 else 2)
        kind = 'ros1msg' if ros1 else 'ros2msg'
        schema = writer.register_schema(name, kind, text.encode() if defined else b'')
        channel = writer.register_channel('/points', 'ros1' if ros1 else 'cdr', schema)
        for index in range(COUNT):
            stamp = _START_NS + index * _PERIOD_NS
            writer.add_message(channel, stamp, message(index, ros1=ros1), stamp, index)
        writer.finish()
    return path


def ros1_bag(path: Path) -> Path:
    """A ROS 1 recording."""
    path = path.with_suffix('.bag')
    with Ros1Writer(path) as writer:
        store = make_typestore(ros1=True)[0]
        connection = writer.add_connection('/points', POINT_CLOUD, typestore=store)
        for index in range(COUNT):
            raw = message(index, ros1=True)
            writer.write(connection, _START_NS + index * _PERIOD_NS, raw)
    return path


def _renamed(path: Path) -> Path:
    file = file_of(bag(path))
    file.rename(file.with_name('tuesday.mcap'))
    return path


RECORDINGS: dict[str, Callable[[Path], Path]] = {
    'rosbag2, mcap': bag,
    'rosbag2, sqlite3': lambda path: bag(path, 'sqlite3'),
    'mcap file without its folder': lambda path: alone(path, 'mcap'),
    'sqlite3 file without its folder': lambda path: alone(path, 'sqlite3'),
    'folder without metadata.yaml, mcap': lambda path: without_metadata(path, 'mcap'),
    'folder without metadata.yaml, sqlite3': lambda path: without_metadata(path, 'sqlite3'),
    'file renamed, metadata.yaml not': _renamed,
    'quality of service edited by hand': lambda path: edited(
        path,
        lambda info: info['topics_with_message_count'][0]['topic_metadata'].update(
            offered_qos_profiles=[{'durability': 'transient_local'}]
        ),
    ),
    'number of messages edited by hand': lambda path: edited(
        path, lambda info: info.update(message_count=99)
    ),
    'one file, .mcap.zstd': lambda path: packed(path, 'mcap'),
    'one file, .db3.zstd': lambda path: packed(path, 'sqlite3'),
    'messages compressed one by one, file alone': compressed_messages,
    'sqlite3 with a write-ahead log': open_log,
    'mcap cut at 70 %': lambda path: cut(alone(path, 'mcap'), 0.7),
    'sqlite3 cut at 70 %': lambda path: cut(alone(path, 'sqlite3'), 0.7),
    'mcap with an empty definition': lambda path: other_mcap(path, profile='ros2', defined=False),
    'mcap without a profile': lambda path: other_mcap(path, profile=''),
    'mcap with messages of ROS 1': lambda path: other_mcap(path, profile='ros1', ros1=True),
    'ROS 1 bag': ros1_bag,
    'ROS 1 bag cut at 70 %, without an index': lambda path: cut(ros1_bag(path), 0.7),
}
"""What a recording is -> makes one at a path."""


def ours(path: Path) -> list[Any]:
    """Data of the clouds that our reader finds."""
    with BagReader(path) as reader:
        return [one.data for _, _, one in reader.messages([reader.select_point_topic()])]


def rosbags(path: Path) -> list[Any]:
    """Data of the clouds that rosbags finds, up to its first error."""
    found = []
    with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        for connection, _, raw in reader.messages():
            try:
                message: Any = reader.deserialize(raw, connection.msgtype)
                found.append(message.data)
            except Exception:  # as a caller who goes on with the next message
                continue
    return found


def whole_clouds(read: Callable[[Path], list[Any]], path: Path) -> int:
    """How many clouds are found with the bytes that were recorded."""
    wanted = {points(index).tobytes() for index in range(COUNT)}
    try:
        return sum(np.asarray(data).tobytes() in wanted for data in read(path))
    except Exception:  # readers raise many kinds
        return 0


def run(options: Any) -> None:
    """Make each recording, read it, record what came."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (what, make) in enumerate(RECORDINGS.items()):
            place = Path(folder, str(number))
            place.mkdir()
            path = make(place / 'recording')
            found = {
                'ours': whole_clouds(ours, path),
                'rosbags': whole_clouds(rosbags, path),
            }
            rows.append({'what': what, 'clouds': COUNT, 'found': found})
            print(what, found, flush=True)
    write_results(options.output, {'clouds': COUNT}, recordings=rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    options = CommandLine('recordings', __doc__).options(arguments)
    return run_main(lambda: run(options), options.threads)
