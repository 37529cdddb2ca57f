# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: both storages, every way to name one, and every way in which one can be broken."""

from __future__ import annotations

import shutil
import sqlite3
import struct

import numpy as np
import pytest
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from pointata_core.errors import BagError
from pointata_core.io.bags.reader import BagReader, frames
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.cloud import Cloud, RejectReason
from pointata_core.io.messages.cloud_encoding import encode_fields, fill_message, xyz_columns
from pointata_core.io.messages.message_types import (
    DEFINITIONS,
    POINT_CLOUD,
    TRANSFORMS,
    make_typestore,
)

STORAGES = pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
SUFFIX = {'mcap': '.mcap', 'sqlite3': '.db3'}
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000


def header_at(types, stamp_ns, **ros1_fields):
    time = types['builtin_interfaces/msg/Time'](
        sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9
    )  # fmt: skip
    return types['std_msgs/msg/Header'](stamp=time, frame_id='lidar', **ros1_fields)


def cloud_at(types, stamp_ns, points, **ros1_fields):
    message = types[POINT_CLOUD](
        header=None, height=0, width=0, fields=[], is_bigendian=False, point_step=0, row_step=0,
        data=np.empty(0, np.uint8), is_dense=False,
    )  # fmt: skip
    field_type = types['sensor_msgs/msg/PointField']
    return fill_message(
        message,
        encode_fields(xyz_columns(points)),
        header_at(types, stamp_ns, **ros1_fields),
        field_type,
    )


def points_of(index, count=2000):
    return np.random.default_rng(index).normal(size=(count, 3)).astype(np.float32)


def classification(types, stamp_ns, name):
    result = types['vision_msgs/msg/ObjectHypothesis'](class_id=name, score=0.5)
    return types['vision_msgs/msg/Classification'](
        header=header_at(types, stamp_ns), results=[result]
    )


def record(path, storage, count=12, topics=('/points',), points=2000):
    with BagWriter(path, storage) as writer:
        writer.add_topic('/action', 'vision_msgs/msg/Classification', transient_local=True)
        for topic in topics:
            writer.add_topic(topic, POINT_CLOUD, reliable=False)
        for index in range(count):
            stamp_ns = START_NS + index * PERIOD_NS
            for topic in topics:
                cloud = cloud_at(writer.types, stamp_ns, points_of(index, points))
                writer.write(topic, cloud, stamp_ns)
            writer.write('/action', classification(writer.types, stamp_ns, 'wave'), stamp_ns + 1)
    return path


def data_file(bag):
    return next(file for file in bag.iterdir() if file.suffix in SUFFIX.values())


# --- intact --------------------------------------------------------------------------------------


@STORAGES
def test_what_is_written_is_read_in_order(tmp_path, storage):
    bag = record(tmp_path / 'bag', storage)
    with BagReader(bag) as reader:
        assert [(t.name, t.type, t.count, t.transient_local) for t in reader.topics] == [
            ('/action', 'vision_msgs/msg/Classification', 12, True),
            ('/points', POINT_CLOUD, 12, False),
        ]
        assert [topic.name for topic in reader.point_topics()] == ['/points']
        assert reader.start_ns == START_NS
        assert reader.duration_s == pytest.approx((11 * PERIOD_NS + 1) * 1e-9)
        everything = list(reader.messages())
        assert [stamp for _, stamp, _ in everything] == sorted(stamp for _, stamp, _ in everything)
        assert [topic for topic, _, _ in everything] == ['/points', '/action'] * 12
        clouds = list(frames(reader, '/points'))
        for index, cloud in enumerate(clouds):
            np.testing.assert_array_equal(cloud.points, points_of(index))
            assert cloud.stamp_ns == START_NS + index * PERIOD_NS
        actions = list(reader.messages(['/action']))
        assert {message.results[0].class_id for _, _, message in actions} == {'wave'}
        assert not reader.problems
        assert not reader.skipped


@STORAGES
@pytest.mark.parametrize('way', ['folder', 'metadata', 'file', 'folder without metadata', 'text'])
def test_a_recording_can_be_named_in_every_way(tmp_path, storage, way):
    bag = record(tmp_path / 'bag', storage, count=3)
    path = {
        'metadata': bag / 'metadata.yaml',
        'file': data_file(bag),
        'text': str(bag),
    }.get(way, bag)
    if way == 'folder without metadata':
        (bag / 'metadata.yaml').unlink()
    with BagReader(path) as reader:
        assert [len(cloud) for cloud in frames(reader, 'points')] == [2000] * 3
        assert not reader.problems


@STORAGES
def test_raw_messages_are_the_bytes_that_were_written(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        writer.add_topic('/text', 'std_msgs/msg/String')
        writer.write_raw('/text', b'\x00\x01\x00\x00\x03\x00\x00\x00hi\x00', 5)
    with BagReader(tmp_path / 'bag') as reader:
        assert [
            (topic, stamp, bytes(raw)) for topic, stamp, raw in reader.raw_messages(['/text'])
        ] == [('/text', 5, b'\x00\x01\x00\x00\x03\x00\x00\x00hi\x00')]
        assert next(reader.messages())[2].data == 'hi'


@STORAGES
def test_writer_closes_a_readable_recording_after_an_exception(tmp_path, storage):
    with pytest.raises(KeyboardInterrupt), BagWriter(tmp_path / 'bag', storage) as writer:
        text = writer.types['std_msgs/msg/String'](data='kept')
        writer.write('/text', text, 1)
        raise KeyboardInterrupt
    with BagReader(tmp_path / 'bag') as reader:
        assert [message.data for _, _, message in reader.messages()] == ['kept']


def test_split_recording_is_read_as_one(tmp_path):
    first, second = record(tmp_path / 'a', 'mcap', 2), record(tmp_path / 'b', 'mcap', 3)
    whole = tmp_path / 'whole'
    whole.mkdir()
    shutil.copy(data_file(first), whole / 'whole_0.mcap')
    shutil.copy(data_file(second), whole / 'whole_1.mcap')
    with BagReader(whole) as reader:
        assert reader.topic('/points').count == 5
        stamps = [stamp for _, stamp, _ in reader.messages()]
        assert len(stamps) == 10
        assert stamps == sorted(stamps)


def test_old_recording_without_definitions_uses_the_known_types(tmp_path):
    bag = record(tmp_path / 'bag', 'sqlite3', count=2)
    with sqlite3.connect(data_file(bag)) as database:
        database.execute('DELETE FROM message_definitions')
    with BagReader(bag) as reader:
        assert len(list(frames(reader, '/points'))) == 2
        assert len(list(reader.messages(['/action']))) == 2
        assert not reader.problems


def test_ros1_recording_is_read_alike(tmp_path):
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    file = tmp_path / 'drive.bag'
    with Writer(file) as writer:
        connection = writer.add_connection('/points', POINT_CLOUD, typestore=store)
        for index in range(3):
            stamp_ns = START_NS + index * PERIOD_NS
            message = cloud_at(store.types, stamp_ns, points_of(index), seq=index)
            writer.write(connection, stamp_ns, store.serialize_ros1(message, POINT_CLOUD))
    with BagReader(file) as reader:
        clouds = list(frames(reader, reader.select_point_topic()))
        assert not reader.problems
    for index, cloud in enumerate(clouds):
        np.testing.assert_array_equal(cloud.points, points_of(index))
        assert cloud.stamp_ns == START_NS + index * PERIOD_NS
    assert len(clouds) == 3


def test_real_robosense_recording(data_root):
    bag = data_root / 'rs16_indoor_40f_db3'
    if not bag.is_dir():
        pytest.skip(f'no recording {bag}')
    with BagReader(bag) as reader:
        topic = reader.select_point_topic()
        clouds = list(frames(reader, topic, wanted_features=('intensity', 'ring')))
        assert topic == '/rslidar_points'
        assert reader.duration_s == pytest.approx(3.9, abs=0.01)
    assert len(clouds) == 40
    assert len(clouds[0]) == 27_223
    for cloud in clouds:
        assert isinstance(cloud, Cloud)
        ranges = np.linalg.norm(cloud.points[cloud.finite], axis=1)
        assert 0 < ranges.min() < ranges.max() < 200
        assert set(np.unique(cloud.features['ring'])) <= set(range(16))
    assert np.all(np.diff([cloud.stamp_ns for cloud in clouds]) > 0)


def test_real_velodyne_recording_with_labels_and_poses(data_root):
    from pointata_core.io.messages.point_cloud2 import decode, decode_labels

    bag = data_root / 'semantickitti00_10f_mcap'
    if not bag.is_dir():
        pytest.skip(f'no recording {bag}')
    with BagReader(bag) as reader:
        assert reader.topic('/tf').type == TRANSFORMS
        messages = [message for _, _, message in reader.messages([reader.select_point_topic()])]
        assert len(messages) == 10
        for message in messages:
            cloud, labels = decode(message), decode_labels(message, 'label')
            assert len(cloud) == len(labels) > 120_000
            assert cloud.finite.all()
            assert {10, 40, 48, 70} <= set(np.unique(labels & 0xFFFF))  # car, road, sidewalk, ...
            assert 0 <= cloud.features['intensity'].min() <= cloud.features['intensity'].max() <= 1


# --- choosing a topic ----------------------------------------------------------------------------


def test_only_point_topic_is_picked(tmp_path):
    with BagReader(record(tmp_path / 'bag', 'mcap', 1)) as reader:
        assert reader.select_point_topic() == '/points'
        assert reader.select_point_topic('points') == '/points'


def test_choice_between_point_topics_is_the_users(tmp_path):
    with BagReader(record(tmp_path / 'bag', 'mcap', 1, ('/front', '/rear'))) as reader:
        with pytest.raises(BagError, match=r'2 topics with point clouds: /front .*, /rear'):
            reader.select_point_topic()
        assert reader.select_point_topic('/rear') == '/rear'


def test_point_topic_without_messages_is_no_choice(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/silent', POINT_CLOUD)
        writer.write('/points', cloud_at(writer.types, START_NS, points_of(0)), START_NS)
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.select_point_topic() == '/points'
        with pytest.raises(BagError, match=r'/silent .* has no messages'):
            reader.select_point_topic('/silent')


def test_wrong_type_and_unknown_topic_name_the_alternatives(tmp_path):
    with BagReader(record(tmp_path / 'bag', 'mcap', 1)) as reader:
        with pytest.raises(BagError, match='holds vision_msgs/msg/Classification') as wrong:
            reader.select_point_topic('/action')
        assert '/points' in wrong.value.fix
        with pytest.raises(BagError, match='/action, /points') as unknown:
            reader.messages(['/pointz'])
        assert '/points' in unknown.value.fix


def test_recording_without_point_clouds_says_what_it_has(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write('/action', classification(writer.types, 1, 'wave'), 1)
    with BagReader(tmp_path / 'bag') as reader, pytest.raises(BagError, match='/action'):
        reader.select_point_topic()


@STORAGES
def test_recording_without_messages_opens_and_has_no_topic_to_offer(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        writer.add_topic('/points', POINT_CLOUD)
    with BagReader(tmp_path / 'bag') as reader:
        assert reader.duration_s == 0
        assert list(reader.messages()) == []
        with pytest.raises(BagError):
            reader.select_point_topic()


# --- broken --------------------------------------------------------------------------------------


@STORAGES
@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_truncated_recording_yields_its_beginning_and_says_so(tmp_path, storage, share):
    bag = record(tmp_path / 'bag', storage, count=40, points=20_000)
    file = data_file(bag)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with BagReader(bag) as reader:
        assert reader.select_point_topic() == '/points'
        clouds = list(frames(reader, '/points'))
        assert 40 * share - 2 <= len(clouds) <= 40 * share + 1
        assert len(clouds) == reader.topic('/points').count
        for index, cloud in enumerate(clouds):
            np.testing.assert_array_equal(cloud.points, points_of(index, 20_000))
        assert any(str(file) in problem for problem in reader.problems)
        before = list(reader.problems)
        assert len(list(frames(reader, '/points'))) == len(clouds)
        assert reader.problems == before


def test_recording_of_a_killed_recorder_is_read(tmp_path):
    """No metadata.yaml, no end of data, no summary: what `ros2 bag record` leaves after SIGKILL."""
    bag = record(tmp_path / 'bag', 'mcap', count=20, points=20_000)
    (bag / 'metadata.yaml').unlink()
    file = data_file(bag)
    content = file.read_bytes()
    (summary_start,) = struct.unpack('<Q', content[-28:-20])
    file.write_bytes(content[: summary_start - 13])
    with BagReader(bag) as reader:
        assert len(list(frames(reader, '/points'))) == 20
        assert reader.problems


def test_corrupt_page_of_sqlite_ends_reading_but_not_the_program(tmp_path):
    bag = record(tmp_path / 'bag', 'sqlite3', count=40, points=20_000)
    file = data_file(bag)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b'\xff' * 8192
    file.write_bytes(content)
    with BagReader(bag) as reader:
        clouds = list(frames(reader, '/points'))
        assert 0 < len(clouds) < 40
        assert reader.problems


def test_corrupt_chunk_of_mcap_ends_reading_but_not_the_program(tmp_path):
    bag = record(tmp_path / 'bag', 'mcap', count=40, points=20_000)
    file = data_file(bag)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400_000] = bytes(400_000)
    file.write_bytes(content)
    with BagReader(bag) as reader:
        results = list(frames(reader, '/points'))
        assert 0 < len(results) < 40
        assert reader.problems


def test_one_damaged_file_of_several_does_not_hide_the_others(tmp_path):
    good, bad = record(tmp_path / 'a', 'mcap', 3), record(tmp_path / 'b', 'mcap', 3)
    whole = tmp_path / 'whole'
    whole.mkdir()
    shutil.copy(data_file(good), whole / 'whole_0.mcap')
    (whole / 'whole_1.mcap').write_bytes(b'\x89MCAP0\r\n' + bytes(100))
    assert bad.is_dir()
    with BagReader(whole) as reader:
        assert len(list(frames(reader, '/points'))) == 3
        assert any('whole_1.mcap' in problem for problem in reader.problems)


def test_missing_file_of_a_split_recording_is_reported(tmp_path):
    bag = record(tmp_path / 'bag', 'mcap', 3)
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('- bag.mcap', '- bag.mcap\n  - bag_1.mcap'))
    with BagReader(bag) as reader:
        assert len(list(frames(reader, '/points'))) == 3
        assert any('bag_1.mcap' in problem for problem in reader.problems)


@pytest.mark.parametrize('metadata', ['', 'rosbag2_bagfile_information: 7', '{', '\x00\x01'])
def test_unusable_metadata_falls_back_to_the_files(tmp_path, metadata):
    bag = record(tmp_path / 'bag', 'mcap', 3)
    (bag / 'metadata.yaml').write_text(metadata)
    with BagReader(bag) as reader:
        assert len(list(frames(reader, '/points'))) == 3
        assert any('file by file' in problem for problem in reader.problems)


@STORAGES
def test_message_that_cannot_be_deserialised_is_counted_and_skipped(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        writer.write('/points', cloud_at(writer.types, START_NS, points_of(0)), START_NS)
        writer.write_raw('/points', b'\x00\x01\x00\x00\xff\xff', START_NS + 1)
        writer.write_raw('/points', b'', START_NS + 2)
        writer.write('/points', cloud_at(writer.types, START_NS, points_of(1)), START_NS + 3)
    with BagReader(tmp_path / 'bag') as reader:
        stamps = [stamp - START_NS for _, stamp, _ in reader.messages()]
        assert stamps == [0, 3]
        assert reader.skipped == {'/points': 2}
        assert len(reader.problems) == 1


def test_malformed_cloud_is_rejected_in_its_place(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        cloud = cloud_at(writer.types, START_NS, points_of(0))
        writer.write('/points', cloud, START_NS)
        cloud.data = cloud.data[:-100]
        writer.write('/points', cloud, START_NS + 1)
        writer.write('/points', cloud_at(writer.types, START_NS, points_of(1)), START_NS + 2)
    with BagReader(tmp_path / 'bag') as reader:
        first, second, third = frames(reader, '/points')
    assert isinstance(first, Cloud)
    assert second.reason is RejectReason.TRUNCATED_DATA
    assert isinstance(third, Cloud)


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('empty.mcap', b''),
        ('noise.mcap', b'noise' * 100),
        ('empty.db3', b''),
        ('noise.db3', b'noise' * 1000),
        ('noise.bag', b'noise' * 100),
    ],
)
def test_file_that_is_no_recording_is_named_with_a_fix(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(BagError, match=name) as error:
        BagReader(file)
    assert error.value.fix


def test_folder_and_file_of_another_kind_are_named_with_a_fix(tmp_path):
    record(tmp_path / 'recordings' / 'tuesday', 'mcap', 1)
    for path, words in [
        (tmp_path / 'absent', 'does not exist'),
        (tmp_path / 'recordings', 'neither metadata.yaml'),
        (__file__, 'is not a bag'),
    ]:
        with pytest.raises(BagError, match=words) as error:
            BagReader(path)
        assert error.value.fix
    with pytest.raises(BagError) as error:
        BagReader(tmp_path / 'recordings')
    assert 'tuesday' in error.value.fix


# --- writing -------------------------------------------------------------------------------------


def test_writer_refuses_what_it_cannot_do(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/text', 'std_msgs/msg/String')
        writer.add_topic('/text', 'std_msgs/msg/String')
        with pytest.raises(BagError, match='holds std_msgs/msg/String'):
            writer.add_topic('/text', POINT_CLOUD)
        with pytest.raises(BagError, match='nobody_msgs'):
            writer.add_topic('/other', 'nobody_msgs/msg/Nothing')
        with pytest.raises(BagError, match='not declared'):
            writer.write_raw('/undeclared', b'', 0)
    with pytest.raises(BagError, match='closed'):
        writer.write_raw('/text', b'', 0)
    with pytest.raises(BagError, match='exists already'):
        BagWriter(tmp_path / 'bag')
    with pytest.raises(BagError, match='storage'):
        BagWriter(tmp_path / 'other', 'tape')


# --- types ---------------------------------------------------------------------------------------


def test_own_definitions_are_those_of_the_interface_packages():
    from conftest import ROOT

    reference, unparsed = make_typestore(
        (
            f'{file.parent.parent.name}/msg/{file.stem}',
            MessageDefinition(MessageDefinitionFormat.MSG, file.read_text()),
        )
        for file in (ROOT / 'interfaces').glob('*/msg/*.msg')
    )
    assert not unparsed
    store, _ = make_typestore()
    for name in DEFINITIONS:
        assert store.hash_rihs01(name) == reference.hash_rihs01(name)


def test_definition_that_cannot_be_parsed_is_a_problem_and_no_more():
    nonsense = MessageDefinition(MessageDefinitionFormat.MSG, '?? !!')
    store, problems = make_typestore([('a_msgs/msg/A', nonsense)])
    assert 'a_msgs/msg/A' in problems[0]
    assert POINT_CLOUD in store.types
