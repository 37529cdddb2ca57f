# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings as people have them: edited, not closed, packed, from other writers, from ROS 1."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest
import yaml
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from small_bags import PERIOD_NS, START_NS, Frame, cloud_message, frames, transform, write_bag

from benchmarks.robustness.recordings import COUNT, RECORDINGS, ours, whole_clouds
from pointata_core.errors import BagError
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.bags.reader import frames as clouds_of
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.messages.message_types import POINT_CLOUD, TRANSFORMS, make_typestore
from pointata_core.io.transforms import TransformBuffer

STORAGES = pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
SUFFIX = {'mcap': '.mcap', 'sqlite3': '.db3'}
POINTS = 60
STORE = make_typestore()[0]
ROS1 = make_typestore(ros1=True)[0]


def bag_of(path: Path, storage: str = 'mcap', count: int = 3) -> Path:
    return write_bag(path, frames(count, POINTS), storage)


def file_of(bag: Path) -> Path:
    (file,) = (one for one in bag.iterdir() if one.suffix in SUFFIX.values())
    return file


def read(path: Path) -> tuple[list[int], list[str]]:
    """Numbers of the clouds of a recording that were read whole, and its problems."""
    with BagReader(path) as reader:
        clouds = list(clouds_of(reader, reader.select_point_topic()))
        problems = list(reader.problems)
    numbers = [(cloud.stamp_ns - START_NS) // PERIOD_NS for cloud in clouds]
    for number, cloud in zip(numbers, clouds, strict=True):
        np.testing.assert_array_equal(cloud.points, frames(number + 1, POINTS)[number].points)
    return numbers, problems


def serialised(index: int) -> bytes:
    message = cloud_message(STORE.types, frames(index + 1, POINTS)[index], False)
    return bytes(STORE.serialize_cdr(message, POINT_CLOUD))


def ros1_cloud(index: int) -> bytes:
    frame = frames(index + 1, POINTS)[index]
    message = cloud_message(ros1_types(index), frame, False)
    return bytes(ROS1.serialize_ros1(message, POINT_CLOUD))


def ros1_types(seq: int) -> dict:
    """Types of ROS 1, whose header has a number that helpers for ROS 2 do not give."""
    header = ROS1.types['std_msgs/msg/Header']
    return {
        **ROS1.types,
        'std_msgs/msg/Header': lambda stamp, frame_id: header(
            seq=seq, stamp=stamp, frame_id=frame_id
        ),
    }


# --- metadata.yaml edited by hand ----------------------------------------------------------------


def edit(bag: Path, change) -> None:
    file = bag / 'metadata.yaml'
    content = yaml.safe_load(file.read_text())
    change(content['rosbag2_bagfile_information'])
    file.write_text(yaml.safe_dump(content))


@STORAGES
@pytest.mark.parametrize(
    'profiles',
    ['', 'not: [yaml', '- depth: 10\n  durability: 1', [{'durability': 'transient_local'}], None],
)
def test_quality_of_service_edited_in_the_metadata_hides_no_cloud(tmp_path, storage, profiles):
    bag = bag_of(tmp_path / 'bag', storage)

    def change(info):
        described = info['topics_with_message_count'][0]['topic_metadata']
        described['offered_qos_profiles'] = profiles

    edit(bag, change)
    assert read(bag) == ([0, 1, 2], [])
    with BagReader(bag) as reader:
        latched = 'durability' in str(profiles)
        assert reader.topic('/points').transient_local is latched


@pytest.mark.parametrize(
    'change',
    [
        {'message_count': 99},
        {'version': 99},
        {'storage_identifier': 'my_plugin'},
        {'duration': None, 'starting_time': None},
        {'topics_with_message_count': []},
        {'compression_format': 'zstd', 'compression_mode': 'MESSAGE'},
        {'relative_file_paths': ['bag/bag.mcap']},
    ],
)
def test_what_the_metadata_states_of_the_files_is_read_from_the_files(tmp_path, change):
    bag = bag_of(tmp_path / 'bag')
    edit(bag, lambda info: info.update(change))
    assert read(bag) == ([0, 1, 2], [])


def test_renamed_file_is_read_and_the_absent_name_reported(tmp_path):
    bag = bag_of(tmp_path / 'bag')
    file_of(bag).rename(bag / 'tuesday.mcap')
    numbers, (problem,) = read(bag)
    assert numbers == [0, 1, 2]
    assert 'bag.mcap' in problem


def test_file_that_the_metadata_does_not_list_is_named(tmp_path):
    bag = bag_of(tmp_path / 'bag')
    shutil.copy(file_of(bag_of(tmp_path / 'other')), bag / 'other.mcap')
    (bag / '._bag.mcap').write_bytes(b'\0\5\26\7')  # as macOS leaves it on a memory stick
    numbers, (problem,) = read(bag)
    assert numbers == [0, 1, 2]
    assert 'other.mcap' in problem


# --- sqlite3 not closed --------------------------------------------------------------------------


def leave_open(bag: Path, target: Path) -> Path:
    """Copy a sqlite3 bag as a recorder that was killed leaves it: rows in the log only."""
    target.mkdir()
    file, working = file_of(bag), target.parent / 'working.db3'
    with sqlite3.connect(file) as source:
        dump = list(source.iterdump())
    database = sqlite3.connect(working)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.executescript('\n'.join(dump))
    shutil.copy(working, target / 'bag_0.db3')
    shutil.copy(f'{working}-wal', target / 'bag_0.db3-wal')
    database.close()
    return target


def test_clouds_in_the_log_of_a_killed_recorder_are_read_without_touching_it(tmp_path):
    bag = leave_open(bag_of(tmp_path / 'bag', 'sqlite3', 4), tmp_path / 'killed')
    before = {file.name: file.read_bytes() for file in bag.iterdir()}
    assert set(before) == {'bag_0.db3', 'bag_0.db3-wal'}
    for file in bag.iterdir():
        file.chmod(0o444)
    bag.chmod(0o555)
    try:
        assert read(bag) == ([0, 1, 2, 3], [])
        assert {file.name: file.read_bytes() for file in bag.iterdir()} == before
    finally:
        bag.chmod(0o755)


def test_cut_log_gives_the_messages_before_the_cut(tmp_path):
    bag = leave_open(bag_of(tmp_path / 'bag', 'sqlite3', 40), tmp_path / 'killed')
    log = bag / 'bag_0.db3-wal'
    log.write_bytes(log.read_bytes()[:-20_000])
    try:
        numbers, _ = read(bag)
    except BagError as error:
        assert 'bag_0.db3' in error.message
    else:
        assert numbers == list(range(len(numbers)))


# --- mcap of other writers -----------------------------------------------------------------------


def write_mcap(path: Path, *, profile='ros2', schema=None, options=None, data=serialised):
    """Three clouds, and three messages of a type whose definition nobody has."""
    with path.open('wb') as file:
        writer = McapWriter(file, **(options or {}))
        writer.start(profile=profile, library='')
        name, encoding, text = schema or (POINT_CLOUD, 'ros2msg', b'')
        clouds = writer.register_schema(name, encoding, text)
        other = writer.register_schema('acme_msgs/msg/Secret', '', b'')
        message_encoding = 'ros1' if encoding == 'ros1msg' else 'cdr'
        points = writer.register_channel('/points', message_encoding, clouds)
        secret = writer.register_channel('/secret', message_encoding, other)
        free = writer.register_channel('/free', 'json', 0)
        for index in range(3):
            stamp = START_NS + index * PERIOD_NS
            for channel, content in ((points, data(index)), (secret, b'??'), (free, b'{}')):
                writer.add_message(channel, stamp, content, stamp)
        writer.finish()
    return path


@pytest.mark.parametrize('profile', ['', 'acme'])
@pytest.mark.parametrize(
    'options',
    [
        {'use_chunking': False},
        {'use_statistics': False},
        {'repeat_channels': False},
        {'repeat_schemas': False},
        {'compression': CompressionType.NONE, 'chunk_size': 1},
    ],
)
def test_mcap_of_other_writers_is_read_whole_and_not_called_damaged(tmp_path, profile, options):
    path = write_mcap(tmp_path / 'bag.mcap', profile=profile, options=options)
    assert read(path) == ([0, 1, 2], [])
    with BagReader(path) as reader:
        assert [topic.count for topic in reader.topics] == [3, 3, 3]


@pytest.mark.parametrize(
    ('encoding', 'text'),
    [('ros2msg', b'  \n'), ('unknown', b''), ('', b''), ('ros2idl', b''), ('jsonschema', b'{}')],
)
def test_known_definition_replaces_one_that_the_recorder_lacked(tmp_path, encoding, text):
    path = write_mcap(tmp_path / 'bag.mcap', schema=(POINT_CLOUD, encoding, text))
    assert read(path) == ([0, 1, 2], [])


@pytest.mark.parametrize('with_definition', [True, False])
def test_ros1_messages_in_mcap_are_read(tmp_path, with_definition):
    text = ROS1.generate_msgdef(POINT_CLOUD)[0].encode() if with_definition else b''
    path = write_mcap(
        tmp_path / 'bag.mcap',
        profile='ros1',
        schema=('sensor_msgs/PointCloud2', 'ros1msg', text),
        data=ros1_cloud,
    )
    assert read(path) == ([0, 1, 2], [])
    with BagReader(path) as reader:
        assert reader.is_ros1('/points')


# --- ROS 1 ---------------------------------------------------------------------------------------


def write_ros1(path: Path, count: int = 6, compression: str | None = None) -> Path:
    """Clouds and transforms; the latter of the type that ROS 1 had before tf2."""
    writer = Ros1Writer(path)
    writer.chunk_threshold = 3000
    if compression:
        writer.set_compression(Ros1Writer.CompressionFormat[compression])
    with writer:
        clouds = writer.add_connection('/points', POINT_CLOUD, typestore=ROS1)
        text, digest = ROS1.generate_msgdef(TRANSFORMS)
        moving = writer.add_connection(
            '/tf', 'tf/msg/tfMessage', msgdef=text, md5sum=digest, typestore=ROS1
        )
        for index in range(count):
            stamp = START_NS + index * PERIOD_NS
            pose = transform(ros1_types(index), stamp, float(index))
            writer.write(moving, stamp, ROS1.serialize_ros1(pose, TRANSFORMS))
            writer.write(clouds, stamp, ros1_cloud(index))
    return path


def without_index(path: Path) -> None:
    """Remove the index, as if the recorder had been killed before it wrote one."""
    content = path.read_bytes()
    at = content.index(b'index_pos=') + len(b'index_pos=')
    (index_at,) = struct.unpack('<Q', content[at : at + 8])
    path.write_bytes(content[:at] + bytes(8) + content[at + 8 : index_at])


@pytest.mark.parametrize('indexed', [True, False])
def test_transforms_of_the_old_type_give_the_motion(tmp_path, indexed):
    path = write_ros1(tmp_path / 'drive.bag')
    if not indexed:
        without_index(path)
    with BagReader(path) as reader:
        poses = TransformBuffer.from_recording(reader)
    middle = poses.lookup('map', 'lidar', START_NS + PERIOD_NS * 3 // 2)
    assert middle[0, 3] == pytest.approx(1.5)


@pytest.mark.parametrize('compression', [None, 'BZ2', 'LZ4'])
@pytest.mark.parametrize('name', ['drive.bag', 'drive.bag.active'])
def test_ros1_bag_without_index_is_read(tmp_path, compression, name):
    path = write_ros1(tmp_path / 'drive.bag', compression=compression)
    without_index(path)
    path = path.rename(tmp_path / name)
    numbers, problems = read(path)
    assert numbers == list(range(6))
    assert problems == []


@pytest.mark.parametrize('compression', [None, 'LZ4'])
@pytest.mark.parametrize('share', [0.5, 0.8])
def test_cut_ros1_bag_gives_the_clouds_before_the_cut(tmp_path, compression, share):
    path = write_ros1(tmp_path / 'drive.bag', 20, compression)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    numbers, problems = read(path)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= share * 20 - 5
    assert any('drive.bag' in problem for problem in problems)
    assert not any('ros2' in problem for problem in problems)


def test_last_chunk_whose_size_was_not_filled_in_is_read(tmp_path):
    path = write_ros1(tmp_path / 'drive.bag.active')
    without_index(path)
    content = bytearray(path.read_bytes())
    size_at = content.rindex(b'op=\5')  # of the last chunk: its other fields follow
    size_at = content.index(struct.pack('<I', 9) + b'size=', size_at - 40) + 13
    data_at = size_at
    while struct.unpack('<I', content[data_at : data_at + 4])[0] + data_at + 4 > len(content):
        data_at += 1
    last = content[: data_at + 4]
    (size,) = struct.unpack('<I', content[data_at : data_at + 4])
    last[-4:] = bytes(4)
    path.write_bytes(last + content[data_at + 4 : data_at + 4 + size])
    numbers, problems = read(path)
    assert numbers == list(range(6))
    assert problems


@settings(max_examples=25)
@given(data=st.data())
def test_noise_in_a_ros1_bag_never_raises_anything_but_bag_errors(data, tmp_path_factory):
    path = tmp_path_factory.mktemp('noise') / 'noise.bag'
    write_ros1(path, 3, data.draw(st.sampled_from([None, 'BZ2', 'LZ4'])))
    if data.draw(st.booleans()):
        without_index(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        at = data.draw(st.integers(0, len(content) - 8))
        content[at : at + 8] = data.draw(st.sampled_from([b'\xff' * 8, bytes(8)]))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        with BagReader(path) as reader:
            count = sum(1 for _ in reader.messages())
            assert count == sum(t.count for t in reader.topics) or reader.problems
    except BagError as error:
        assert error.fix


# --- compressed ----------------------------------------------------------------------------------


def pack(data: bytes, sized: bool = True) -> bytes:
    """Compress; rosbag2 writes no size of the content, the program zstd does."""
    return zstandard.ZstdCompressor(write_content_size=sized).compress(data)


@STORAGES
def test_single_compressed_file_is_read(tmp_path, storage):
    data = file_of(bag_of(tmp_path / 'bag', storage)).read_bytes()
    packed = tmp_path / f'drive{SUFFIX[storage]}.zstd'
    packed.write_bytes(pack(data[:999]) + pack(data[999:]))  # as pzstd writes it
    assert read(packed) == ([0, 1, 2], [])


@STORAGES
@pytest.mark.parametrize('sized', [True, False])
def test_cut_split_of_a_compressed_bag_costs_that_split_alone(tmp_path, storage, sized):
    bag = bag_of(tmp_path / 'bag', storage)
    file = file_of(bag)
    names = [f'bag_{number}{SUFFIX[storage]}.zstd' for number in range(2)]
    data = pack(file.read_bytes(), sized)
    file.unlink()
    (bag / names[0]).write_bytes(data)
    (bag / names[1]).write_bytes(data[: len(data) // 3])
    changes = {'compression_format': 'zstd', 'compression_mode': 'FILE'}
    edit(bag, lambda info: info.update(relative_file_paths=names, **changes))
    numbers, problems = read(bag)
    assert set(numbers) == {0, 1, 2}
    assert problems
    assert all(names[1] in problem for problem in problems if 'cut' in problem)
    assert any(f'{names[1]} is cut' in problem for problem in problems)


@STORAGES
@pytest.mark.parametrize('alone', [True, False])
def test_messages_compressed_one_by_one_are_read(tmp_path, storage, alone):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        writer.add_topic('/points', POINT_CLOUD)
        for index in range(3):
            writer.write_raw('/points', pack(serialised(index)), START_NS + index * PERIOD_NS)
    bag = tmp_path / 'bag'
    assert read(file_of(bag) if alone else bag) == ([0, 1, 2], [])
    with BagReader(bag) as reader:
        raw = [bytes(data) for _, _, data in reader.raw_messages(['/points'])]
    assert raw == [serialised(index) for index in range(3)]


def test_compressed_message_that_cannot_be_unpacked_is_counted(tmp_path):
    huge = b'\x28\xb5\x2f\xfd\xe0' + struct.pack('<Q', 1 << 60) + bytes(8)
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/points', POINT_CLOUD)
        for index, data in enumerate([pack(serialised(0)), pack(serialised(1))[:-9], huge]):
            writer.write_raw('/points', data, START_NS + index * PERIOD_NS)
    with BagReader(tmp_path / 'bag') as reader:
        assert len(list(clouds_of(reader, '/points'))) == 1
        assert reader.skipped == {'/points': 2}
        assert 'unpacked' in reader.problems[0]


# --- files that stand for others -----------------------------------------------------------------

POINTER = (
    b'version https://git-lfs.github.com/spec/v1\noid sha256:' + b'0' * 64 + b'\nsize 1234567\n'
)


@pytest.mark.parametrize('name', ['drive.mcap', 'drive.db3', 'drive.bag', 'drive.mcap.zstd'])
@pytest.mark.parametrize(
    ('content', 'fix'),
    [
        (POINTER, 'git lfs pull'),
        (b'/annex/objects/SHA256E-s1234--0123.mcap\n', 'git annex get'),
        (b'<!DOCTYPE html><html><body>Sign in</body></html>', 'Download'),
    ],
)
def test_stand_in_for_a_file_is_called_what_it_is(tmp_path, name, content, fix):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BagError, match=name) as caught:
        BagReader(path)
    assert fix in caught.value.fix


def test_split_that_was_not_fetched_is_named_beside_those_that_were(tmp_path):
    bag = bag_of(tmp_path / 'bag')
    (bag / 'bag_1.mcap').write_bytes(POINTER)
    edit(bag, lambda info: info['relative_file_paths'].append('bag_1.mcap'))
    numbers, (problem,) = read(bag)
    assert numbers == [0, 1, 2]
    assert 'bag_1.mcap cannot be read: it is a Git LFS pointer' in problem


@pytest.mark.parametrize(
    ('name', 'fix'), [('a.mcap', 'mcap recover'), ('a.db3', '.recover'), ('a.bag', 'rosbag')]
)
def test_advice_for_a_damaged_file_is_of_its_kind(tmp_path, name, fix):
    (tmp_path / name).write_bytes(b'noise' * 400)
    with pytest.raises(BagError, match=name) as caught:
        BagReader(tmp_path / name)
    assert fix in caught.value.fix


def test_files_that_overlap_in_time_are_read_in_one_order(tmp_path):
    whole = tmp_path / 'whole'
    whole.mkdir()
    for number, start in enumerate((5, 0, 2)):
        with BagWriter(tmp_path / f'part{number}') as writer:
            for index in range(start, start + 3):
                stamp = START_NS + index * PERIOD_NS
                frame = Frame(frames(index + 1, POINTS)[index].points, stamp)
                writer.write('/points', cloud_message(writer.types, frame, False), stamp)
        shutil.copy(file_of(tmp_path / f'part{number}'), whole / f'part{number}.mcap')
    assert read(whole) == ([0, 1, 2, 2, 3, 4, 5, 6, 7], [])


# --- beside rosbags ------------------------------------------------------------------------------


@pytest.mark.parametrize('what', RECORDINGS)
def test_every_intact_cloud_of_the_compared_recordings_is_found(tmp_path, what):
    found = whole_clouds(ours, RECORDINGS[what](tmp_path / 'recording'))
    assert found == COUNT or ('cut at 70 %' in what and found >= COUNT // 2)
