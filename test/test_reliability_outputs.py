# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Faults of the system in writing results: named before the work or at once, nothing half left."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from small_bags import PERIOD_NS, START_NS, Frame, frames, room, write_bag

from pointata_core.cli.main import main
from pointata_core.errors import OutputError
from pointata_core.io.files.cloud_files import write_cloud
from pointata_core.safe_files import make_output_folder, write_atomically


@contextmanager
def disk_that_takes(size: int):
    """Let files grow to a size: the system then refuses to write, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def cloud(tmp_path) -> Path:
    path = tmp_path / 'cloud.npy'
    np.save(path, room(0, 400))
    return path


@pytest.mark.parametrize('form', ['ply', 'pcd', 'npy', 'npz', 'label'])
def test_full_disk_is_named_with_the_file_and_leaves_no_half_file(
    untrained_bundle, cloud, tmp_path, capsys, form
):
    output = tmp_path / 'out'
    words = ['predict', str(cloud), '--format', form, '--output', str(output)]
    with disk_that_takes(1000):
        assert main([*words, '--bundle', str(untrained_bundle)]) == 2
    said = capsys.readouterr().err
    assert f'cloud.{form} cannot be written' in said
    assert 'room on that disk' in said
    assert 'defect' not in said
    assert list(output.iterdir()) == []


@pytest.mark.parametrize('command', ['evaluate', 'predict'])
def test_unusable_output_is_refused_before_the_input_is_read(tmp_path, capsys, command):
    (tmp_path / 'afile').write_text('')
    broken = tmp_path / 'input.npy'
    broken.write_bytes(b'not read')
    given = ['--bag', str(tmp_path)] if command == 'evaluate' else [str(broken)]
    for output, words in (('afile', 'is a file'), ('afile/below', 'cannot be written')):
        assert main([command, *given, '--output', str(tmp_path / output)]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert output in said
        assert 'fix:' in said


def test_output_folder_is_made_and_left_empty(tmp_path):
    folder = make_output_folder(tmp_path / 'a' / 'b')
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    with pytest.raises(OutputError, match='proc'):
        make_output_folder('/proc/1/results')


def test_file_that_was_there_survives_a_full_disk(tmp_path):
    path = tmp_path / 'result.json'
    path.write_text('old')
    with disk_that_takes(100), pytest.raises(OutputError, match=r'result\.json'):
        write_atomically(path, bytes(1000))
    assert path.read_text() == 'old'
    assert [file.name for file in tmp_path.iterdir()] == ['result.json']


def test_cloud_file_names_the_fault_once(tmp_path):
    with disk_that_takes(100), pytest.raises(Exception, match='cannot be written') as caught:
        write_cloud(tmp_path / 'a.pcd', room(0, 400))
    assert str(caught.value).count('cannot be written') == 1


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_recording_that_cannot_be_written_is_named(tmp_path, storage):
    with disk_that_takes(20_000), pytest.raises(OutputError, match='bag') as caught:
        write_bag(tmp_path / 'bag', frames(20), storage)
    assert 'disk' in caught.value.fix


# --- clouds without points, streams without history ----------------------------------------------


def test_cloud_without_points_has_no_action(untrained_bundle, tmp_path, capsys):
    np.save(tmp_path / 'empty.npy', np.zeros((0, 3), np.float32))
    np.save(tmp_path / 'invalid.npy', np.full((5, 3), np.nan, np.float32))
    np.save(tmp_path / 'room.npy', room(0))
    words = ['predict', str(tmp_path), '--output', str(tmp_path / 'out'), '--json']
    assert main([*words, '--bundle', str(untrained_bundle)]) == 0
    found = {Path(one['file']).stem: one for one in json.loads(capsys.readouterr().out)}
    assert found['empty']['action'] is found['invalid']['action'] is None
    assert found['room']['action'] is not None


def stamped(stamps: list[int], frame_ids: tuple[str, ...] = ('lidar',)) -> list[Frame]:
    return [
        Frame(room(index, 200), stamp, frame_id=frame_ids[index % len(frame_ids)])
        for index, stamp in enumerate(stamps)
    ]


@pytest.mark.parametrize(
    ('recorded', 'words', 'remedy'),
    [
        (stamped([0, 0, 0]), 'zero', 'header.stamp'),
        (stamped([START_NS] * 4), 'stamp of the one before', 'header.stamp'),
        (stamped([START_NS + 2 * 10**9 * n for n in range(4)]), 'limit of 1 s', '--max-gap'),
        (
            stamped([START_NS + n * PERIOD_NS for n in range(6)], ('front', 'rear')),
            'frame_id changes',
            'topic of its own',
        ),
        (stamped([START_NS - n * 10**9 for n in range(5)]), 'jump back', 'two publishers'),
    ],
)
def test_stream_whose_history_cannot_grow_is_told_why_and_what_helps(
    untrained_bundle, tmp_path, recorded, words, remedy
):
    from pointata_core.evaluation.bag_evaluation import evaluate_bag

    bag = write_bag(tmp_path / 'bag', recorded)
    results = evaluate_bag(bag, bundle=untrained_bundle)
    (note,) = (note for note in results.notes if 'history' in note)
    assert words in note
    assert remedy in note


def test_stream_that_grows_is_told_nothing(untrained_bundle, tmp_path):
    from pointata_core.evaluation.bag_evaluation import evaluate_bag

    stamps = [START_NS + n * PERIOD_NS for n in (0, 1, 2, 2, 3, 90, 91, 92)]
    bag = write_bag(tmp_path / 'bag', stamped(stamps))
    notes = evaluate_bag(bag, bundle=untrained_bundle).notes
    assert [note for note in notes if 'history' in note] == []
