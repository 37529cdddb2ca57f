# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folders of cloud files on the command line: labelled, evaluated, made into recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_bags import room

from pointata_core.cli.main import main
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.files.cloud_files import write_cloud
from pointata_core.io.messages.point_cloud2 import decode


@pytest.fixture
def scans(tmp_path) -> Path:
    """Five frames, numbered without zeros, with their labels, and what macOS leaves beside them."""
    folder = tmp_path / 'scans'
    folder.mkdir()
    for number in (1, 2, 9, 10, 11):
        columns = {
            'intensity': np.full(1500, number, np.float32),
            'label': np.full(1500, 2, np.uint16),
        }
        write_cloud(folder / f'{number}.pcd', room(number), columns)
    (folder / '._1.pcd').write_bytes(b'\x00\x05\x16\x07')
    (folder / 'times.txt').write_text('0\n1\n')
    return folder


def command(*words: object) -> int:
    return main([str(word) for word in words])


def test_clouds_are_evaluated_as_their_recording_is(scans, untrained_bundle, tmp_path, capsys):
    bag = tmp_path / 'bag'
    assert command('data', 'bag', 'clouds', '--root', scans, '--output', bag, '--rate', 20) == 0
    with BagReader(bag) as reader:
        messages = [message for _, _, message in reader.messages(['/points'])]
        clouds = [decode(message, wanted_features=('intensity', 'label')) for message in messages]
    assert [cloud.features['intensity'][0] for cloud in clouds] == [1, 2, 9, 10, 11]
    np.testing.assert_array_equal(clouds[2].points, room(9))
    assert np.diff([cloud.stamp_ns for cloud in clouds]).tolist() == [50_000_000] * 4
    capsys.readouterr()
    options = ['--bundle', untrained_bundle, '--labels-field', 'label', '--json']
    source = ['--clouds', scans, '--rate', 20]
    assert command('evaluate', *source, *options, '--output', tmp_path / 'a') == 0
    of_files = json.loads(capsys.readouterr().out)
    assert command('evaluate', '--bag', bag, *options, '--output', tmp_path / 'b') == 0
    of_bag = json.loads(capsys.readouterr().out)
    assert of_files['frames'] == of_files['frames_predicted'] == 5
    for name in ('class_shares', 'segmentation', 'resets', 'points_labelled'):
        assert of_files[name] == of_bag[name], name
    assert of_files['segmentation'] is not None
    page = (tmp_path / 'a' / 'report.html').read_text()
    assert 'Evaluation of cloud files' in page


def test_a_damaged_file_is_named_and_the_others_go_on(scans, untrained_bundle, tmp_path, capsys):
    (scans / '9.pcd').write_bytes(b'version https://git-lfs.github.com/spec/v1\n')
    options = ['--bundle', untrained_bundle, '--output', tmp_path / 'out', '--json']
    assert command('evaluate', '--clouds', scans, *options) == 0
    results = json.loads(capsys.readouterr().out)
    assert results['rejected'] == {'unreadable_file': 1}
    assert results['frames_predicted'] == 4
    assert 'Git LFS' in results['notes'][0]
    assert command('predict', scans, *options) == 1
    printed = capsys.readouterr()
    assert 'git lfs pull' in printed.err
    assert [Path(one['file']).name for one in json.loads(printed.out) if 'points' in one] == [
        '1.pcd', '2.pcd', '10.pcd', '11.pcd',
    ]  # fmt: skip
    bag = tmp_path / 'bag'
    assert command('data', 'bag', 'clouds', '--root', scans, '--output', bag) == 0
    assert 'it is left out' in capsys.readouterr().err
    with BagReader(bag) as reader:
        assert reader.topic('/points').count == 4


def test_columns_may_be_named(tmp_path, untrained_bundle, capsys):
    rows = np.c_[np.arange(1500), room(0)[:, ::-1]].astype('<f4')
    rows.tofile(tmp_path / 'scan.bin')
    words = ['--bundle', untrained_bundle, '--format', 'npy', '--output', tmp_path / 'out']
    named = ['--columns', 'id,z,y,x', '--json']
    assert command('predict', tmp_path / 'scan.bin', *words, *named) == 0
    capsys.readouterr()
    labelled = np.load(tmp_path / 'out' / 'scan.npy')
    np.testing.assert_array_equal(np.stack([labelled[a] for a in 'xyz'], axis=1), room(0))
    assert command('predict', tmp_path / 'scan.bin', *words, '--columns', 'x,y,intensity') == 2
    assert '--columns' in capsys.readouterr().err


def test_notes_about_files_are_printed_once(tmp_path, untrained_bundle, capsys):
    for number in range(3):
        rows = np.c_[room(number), np.zeros((1500, 2))].astype('<f4')
        rows.tofile(tmp_path / f'{number}.bin')
    words = ['--bundle', untrained_bundle, '--output', tmp_path / 'out', '--json']
    assert command('predict', tmp_path, *words) == 0
    printed = capsys.readouterr()
    assert printed.err.count('it is read as x y z intensity ring') == 1
    assert 'and 2 more files' in printed.err
    assert all(one['points'] == 1500 for one in json.loads(printed.out))


def test_a_folder_without_clouds_is_named(tmp_path, capsys):
    for words in (['evaluate', '--clouds', tmp_path], ['predict', tmp_path]):
        assert command(*words) == 2
        assert 'file in this folder' in capsys.readouterr().err
    assert command('evaluate', '--clouds', tmp_path / 'absent') == 2
    assert 'is not a folder' in capsys.readouterr().err


def test_clouds_in_millimetres_are_named_though_the_last_file_is_damaged(
    untrained_bundle, tmp_path, capsys
):
    folder = tmp_path / 'scans'
    folder.mkdir()
    for number in (1, 2):
        write_cloud(folder / f'{number}.pcd', 1000 * room(number), {})
    (folder / '3.pcd').write_bytes(b'no cloud')
    options = ['--bundle', untrained_bundle, '--output', tmp_path / 'out', '--json']
    assert command('predict', folder, *options) == 1
    noted = [one['notes'] for one in json.loads(capsys.readouterr().out) if 'points' in one]
    assert not noted[0]
    assert any('millimetres' in note for note in noted[1])
