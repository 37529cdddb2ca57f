# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cut or corrupted mcap files give up every message that is still whole, and end in ValueError."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.records import Message
from mcap.writer import CompressionType, Writer

from pointata_core.errors import BagError
from pointata_core.io.bags.mcap_recovery import walk_records
from pointata_core.io.bags.reader import BagReader

# How long an example takes depends on who else uses the machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')

MESSAGES = 60
WAYS = {
    'no chunks': {'use_chunking': False},
    'plain chunks': {'compression': CompressionType.NONE},
    'lz4 chunks': {'compression': CompressionType.LZ4},
    'zstd chunks': {'compression': CompressionType.ZSTD},
    'one large chunk': {'compression': CompressionType.ZSTD, 'chunk_size': 1 << 30},
}


def payload(index, size=7000):
    """A std_msgs/msg/String in CDR, hard to compress."""
    text = f'{index:04d}' + random.Random(index).randbytes(size).hex()
    return b'\x00\x01\x00\x00' + (len(text) + 1).to_bytes(4, 'little') + text.encode() + b'\x00'


@pytest.fixture(params=WAYS)
def recording(request, tmp_path):
    path = tmp_path / 'cut.mcap'
    with path.open('wb') as file:
        writer = Writer(file, **{'chunk_size': 200_000, **WAYS[request.param]})
        writer.start(profile='ros2')
        schema = writer.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channel = writer.register_channel('/text', 'cdr', schema)
        for index in range(MESSAGES):
            writer.add_message(channel, index * 1000, payload(index), index * 1000)
        writer.finish()
    return path


def salvage(path):
    """Messages up to the damage, and the damage."""
    found = []
    try:
        for record in walk_records(path):
            if isinstance(record, Message):
                found.append(record)
    except ValueError as error:
        return found, str(error)
    return found, ''


def test_whole_file_is_walked_to_its_end(recording):
    found, damage = salvage(recording)
    assert [record.data for record in found] == [payload(index) for index in range(MESSAGES)]
    assert not damage


@pytest.mark.parametrize('share', [0.4, 0.85])
def test_cut_file_gives_every_message_that_is_whole(recording, share):
    content = recording.read_bytes()
    recording.write_bytes(content[: int(share * len(content))])
    found, damage = salvage(recording)
    assert damage
    assert [record.data for record in found] == [payload(index) for index in range(len(found))]
    # Compression works in blocks of up to 128 KiB, of which a cut one is lost: nine messages.
    compressed = any(word in content[:200] for word in (b'zstd', b'lz4'))
    assert len(found) >= share * MESSAGES - (11 if compressed else 2)


def test_reader_reports_how_far_it_came(recording):
    content = recording.read_bytes()
    recording.write_bytes(content[: int(0.85 * len(content))])
    with BagReader(recording) as reader:
        texts = [message.data[:4] for _, _, message in reader.messages(['/text'])]
        assert texts == [f'{index:04d}' for index in range(len(texts))]
        assert reader.topic('/text').count == len(texts)
        assert any('stopped after' in problem for problem in reader.problems)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_noise_in_a_file_never_raises_anything_but_bag_errors(seed, tmp_path_factory):
    chance = random.Random(seed)
    path = tmp_path_factory.getbasetemp() / 'noise.mcap'
    with path.open('wb') as file:
        writer = Writer(file, chunk_size=4000, compression=chance.choice(list(CompressionType)))
        writer.start(profile='ros2')
        schema = writer.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channel = writer.register_channel('/text', 'cdr', schema)
        for index in range(8):
            writer.add_message(channel, index, payload(index, 300), index)
        writer.finish()
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 4, 30])):
        position, size = chance.randrange(len(content)), chance.choice([1, 8])
        content[position : position + size] = chance.choice([b'\xff' * size, bytes(size)])
    path.write_bytes(content[: chance.choice([len(content), chance.randrange(len(content))])])
    try:
        with BagReader(path) as reader:
            count = sum(1 for _ in reader.messages())
            assert count == sum(t.count for t in reader.topics) or reader.problems
    except BagError as error:
        assert error.fix
