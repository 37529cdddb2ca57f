# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Damaged recordings, evaluated: what can be read of them is answered, the rest is named."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from small_bags import PERIOD_NS, START_NS, Frame, cloud_message, frames, write_bag

from pointata_core.cli.main import main
from pointata_core.errors import BagError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.bag_run import UNDECODABLE
from pointata_core.evaluation.label_digest import LabelDigest
from pointata_core.inference.loading import open_bundle
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.bags.reader import frames as clouds_of
from pointata_core.io.bags.writer import BagWriter
from pointata_core.io.cloud import Cloud

COUNT = 12
# Of a message of mcap before the points of a cloud of ``small_bags``: record, header, fields.
HEAD_BYTES = 140
STORAGES = {'mcap': '*.mcap', 'sqlite3': '*.db3'}
both_storages = pytest.mark.parametrize('storage', STORAGES)


def noisy(index: int, points: int = 4000) -> Frame:
    """A frame that compresses badly, so that what is cut off is a share of the clouds."""
    values = np.random.default_rng(index).normal(size=(points, 3), scale=4.0).astype(np.float32)
    return Frame(values, START_NS + index * PERIOD_NS)


@pytest.fixture(scope='module')
def digests(untrained_bundle) -> list[str]:
    """Of the labels of the first n clouds, for each n."""
    session, digest = (
        open_bundle(untrained_bundle, 'cpu', num_threads=None).session(),
        LabelDigest(),
    )
    found = [digest.hexdigest()]
    for frame in map(noisy, range(COUNT)):
        labels = session.step(frame.points, frame.stamp_ns, frame_id=frame.frame_id).labels
        digest.add(frame.stamp_ns, labels)
        found.append(digest.hexdigest())
    return found


@pytest.fixture
def evaluate(untrained_bundle):
    return lambda bag, **options: evaluate_bag(bag, bundle=untrained_bundle, **options)


def data_file(bag: Path, storage: str) -> Path:
    (file,) = bag.glob(STORAGES[storage])
    return file


@both_storages
@pytest.mark.parametrize('share', [0.35, 0.8])
def test_the_readable_part_of_a_truncated_recording_is_answered_as_if_it_were_whole(
    evaluate, digests, tmp_path, storage, share
):
    bag = write_bag(tmp_path / 'bag', [noisy(index) for index in range(COUNT)], storage)
    file = data_file(bag, storage)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    results = evaluate(bag)
    assert results.frames == results.frames_predicted >= share * COUNT - 3
    assert results.labels_sha256 == digests[results.frames_predicted]
    assert any(file.name in note for note in results.notes)


@both_storages
def test_a_corrupt_stretch_costs_what_lies_in_it_and_no_more(
    evaluate, untrained_bundle, tmp_path, storage
):
    # As large as clouds are: a chunk of mcap holds a few of them.
    recorded = [noisy(index, points=20_000) for index in range(COUNT)]
    bag = write_bag(tmp_path / 'bag', recorded, storage)
    file = data_file(bag, storage)
    content = bytearray(file.read_bytes())
    # From the head of the record in which the middle cloud lies.
    at = content.index(recorded[COUNT // 2].points[0].tobytes()) - HEAD_BYTES
    content[at : at + 5_000] = random.Random(1).randbytes(5_000)
    file.write_bytes(content)
    with BagReader(bag) as reader:
        clouds = [one for one in clouds_of(reader, '/points') if isinstance(one, Cloud)]
        assert reader.problems
    by_stamp = {one.stamp_ns: one for one in recorded}
    session, digest = (
        open_bundle(untrained_bundle, 'cpu', num_threads=None).session(),
        LabelDigest(),
    )
    for one in clouds:
        frame = by_stamp[one.stamp_ns]
        labels = session.step(frame.points, frame.stamp_ns, frame_id=frame.frame_id).labels
        digest.add(frame.stamp_ns, labels)
    numbers = [(one.stamp_ns - START_NS) // PERIOD_NS for one in clouds]
    assert numbers[0] == 0
    assert numbers[-1] == COUNT - 1
    assert COUNT - 5 <= len(numbers) < COUNT
    results = evaluate(bag)
    assert results.frames_predicted == len(clouds)
    assert results.labels_sha256 == digest.hexdigest()
    assert results.notes


@both_storages
def test_messages_that_are_no_clouds_are_counted_among_those_that_are(evaluate, tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        for index, frame in enumerate(frames(4)):
            time_ns = START_NS + index * PERIOD_NS
            writer.write('/points', cloud_message(writer.types, frame, False), time_ns)
            writer.write_raw('/points', random.Random(index).randbytes(40 * index), time_ns + 1)
    results = evaluate(tmp_path / 'bag')
    assert results.frames == 8
    assert results.frames_predicted == 4
    assert sum(results.rejected.values()) == 4
    assert results.rejected[UNDECODABLE] >= 1


def test_other_topics_of_known_and_unknown_types_do_not_matter(evaluate, digests, tmp_path):
    plain = write_bag(tmp_path / 'plain', frames(4))
    with BagWriter(tmp_path / 'mixed') as writer:
        writer.add_topic('/text', 'std_msgs/msg/String')
        writer.add_topic('/points', 'sensor_msgs/msg/PointCloud2')
        for index, frame in enumerate(frames(4)):
            time_ns = START_NS + index * PERIOD_NS
            writer.write_raw('/text', b'\xff' * 9, time_ns)
            writer.write('/points', cloud_message(writer.types, frame, False), time_ns + 1)
    # A type which nobody can know: written under a name of the same length.
    file = data_file(tmp_path / 'mixed', 'mcap')
    for path in (file, tmp_path / 'mixed' / 'metadata.yaml'):
        path.write_bytes(path.read_bytes().replace(b'std_msgs/msg/String', b'acme_msg/msg/Secret'))
    assert evaluate(tmp_path / 'mixed').labels_sha256 == evaluate(plain).labels_sha256


def test_a_topic_of_another_type_is_refused_with_those_that_would_do(evaluate, tmp_path):
    bag = write_bag(tmp_path / 'bag', frames(2), poses=[(START_NS, 0.0)])
    for topic in ('/tf', '/absent'):
        with pytest.raises(BagError, match=topic) as caught:
            evaluate(bag, topic=topic)
        assert '/points' in f'{caught.value.message} {caught.value.fix}'


def test_the_command_evaluates_what_is_left_and_says_what_is_not(
    untrained_bundle, tmp_path, capsys
):
    bag = write_bag(tmp_path / 'bag', [noisy(index) for index in range(COUNT)])
    file = data_file(bag, 'mcap')
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    words = ['--bag', bag, '--bundle', untrained_bundle, '--output', tmp_path / 'out']
    assert main(['evaluate', *map(str, words)]) == 0
    said = capsys.readouterr()
    assert file.name in said.out + said.err
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert 0 < results['frames_predicted'] < COUNT
    assert any(file.name in note for note in results['notes'])
