# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder to teach in keeps every correction, and every byte that was not corrected."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_datasets import write_kitti_sequence
from small_bags import START_NS, frames, write_bag

from pointata_core.cli.main import main
from pointata_core.errors import CloudFileError, ConfigError, OutputError
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED, labels_from_semantickitti
from pointata_core.teaching.classes import ClassTable
from pointata_core.teaching.edits import ScanChange
from pointata_core.teaching.project import GIVEN, Project

ROOT = Path(__file__).resolve().parents[1]


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob('*') if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def change(scan: int, index: list[int], word: int, seen: bool = True) -> ScanChange:
    points = np.array(index, np.int32)
    return ScanChange(
        scan, points, np.full(len(points), word, np.uint32), np.full(len(points), seen)
    )


@pytest.fixture
def source(tmp_path) -> Path:
    """A sequence with object ids, ids of no class of ours, and file numbers with gaps."""
    folder = tmp_path / 'source'
    write_kitti_sequence(folder)
    rng = np.random.default_rng(3)
    for number, path in enumerate(sorted((folder / 'velodyne').glob('*.bin'))):
        path = path.rename(path.with_name(f'{7 + 2 * number:06d}.bin'))
        words = rng.integers(0, 1 << 32, path.stat().st_size // 16, np.uint32)
        words.tofile(folder / 'labels' / f'{path.stem}.label')
    for path in (folder / 'labels').glob('00000[0-6].label'):
        path.unlink()
    for name in set(os.listdir(folder / 'labels')):
        if not (folder / 'velodyne' / name.replace('.label', '.bin')).is_file():
            (folder / 'labels' / name).unlink()
    return folder


@pytest.fixture
def project(tmp_path, source):
    with Project.import_sequence(tmp_path / 'project', source) as one:
        yield one


def test_a_sequence_comes_back_bit_for_bit(tmp_path, source) -> None:
    assert main(['teach', 'import', str(tmp_path / 'p'), '--semantickitti', str(source)]) == 0
    assert main(['teach', 'export', str(tmp_path / 'p'), '--output', str(tmp_path / 'out')]) == 0
    assert contents(tmp_path / 'out') == contents(source)
    assert contents(tmp_path / 'p' / 'sequences' / '00') == contents(source)


def test_a_sequence_without_labels_leaves_without_them(tmp_path, source) -> None:
    for path in (source / 'labels').iterdir():
        path.unlink()
    (source / 'labels').rmdir()
    with Project.import_sequence(tmp_path / 'p', source) as project:
        project.export(tmp_path / 'out')
        assert contents(tmp_path / 'out') == contents(source)
        assert not project.known(0).words.any() and not project.known(0).by.any()
        project.record({'kind': 'click'}, [change(0, [1], 10)])
        project.export(tmp_path / 'labelled')
    assert len(list((tmp_path / 'labelled' / 'labels').iterdir())) == len(project)


def test_labels_may_be_left_out(tmp_path, source) -> None:
    words = ['teach', 'import', str(tmp_path / 'p'), '--semantickitti', str(source)]
    assert main([*words, '--without-labels']) == 0
    with Project(tmp_path / 'p') as project:
        assert not any(project.known(number).words.any() for number in range(len(project)))


def test_corrections_change_their_points_alone(tmp_path, project, source) -> None:
    before = project.known(1).words.copy()
    edit = project.record({'kind': 'click'}, [change(1, [0, 2], 10), change(2, [5], 10, False)])
    project.export(tmp_path / 'out')
    after, was = contents(tmp_path / 'out'), contents(source)
    changed = {name for name in was if after[name] != was[name]}
    assert changed == {'labels/000009.label', 'labels/000011.label'}
    words = np.frombuffer(after['labels/000009.label'], np.uint32)
    assert words[[0, 2]].tolist() == [10, 10]
    np.testing.assert_array_equal(np.delete(words, [0, 2]), np.delete(before, [0, 2]))
    assert project.known(1).by[[0, 2]].tolist() == [edit.number] * 2
    assert project.known(2).by[5] == -edit.number
    assert project.known(1).by[1] == (GIVEN if before[1] else 0)


def test_all_is_there_after_opening_again(tmp_path, project) -> None:
    for word in (10, 40, 30):
        project.record({'kind': 'click', 'word': word}, [change(0, [word % 19], word)])
    project.undo()
    project.close()
    with Project(project.folder) as again:
        assert [edit.what['word'] for edit in again.edits] == [10, 40]
        assert again.known(0).words[[10, 2]].tolist() == [10, 40]
        assert again.redo().what['word'] == 30 and again.known(0).words[11] == 30
        assert again.redo() is None
        again.undo()
        again.record({'kind': 'click', 'word': 70}, [change(0, [0], 70)])
        assert again.redo() is None
        while again.undo():
            pass
        assert (again.known(0).by >= 0).all() and set(again.known(0).by) <= {0, GIVEN}


_ACTIONS = st.lists(
    st.one_of(
        st.sampled_from(['undo', 'redo', 'open']),
        st.tuples(st.integers(0, 3), st.sets(st.integers(0, 9), min_size=1), st.integers(1, 99)),
    ),
    max_size=8,
)


@settings(max_examples=10)
@given(_ACTIONS)
def test_labels_are_those_of_the_edits_that_count(tmp_path_factory, actions) -> None:
    folder = tmp_path_factory.mktemp('edits')
    write_kitti_sequence(folder / 'source')
    project = Project.import_sequence(folder / 'project', folder / 'source')
    start = [project.known(number).words.copy() for number in range(len(project))]
    done, undone = [], []
    for action in actions:
        if action == 'open':
            project.close()
            project = Project(folder / 'project')
        elif action == 'undo':
            assert (project.undo() is None) == (not done)
            undone += [done.pop()] if done else []
        elif action == 'redo':
            assert (project.redo() is None) == (not undone)
            done += [undone.pop()] if undone else []
        else:
            project.record({}, [change(action[0], sorted(action[1]), action[2])])
            done, undone = [*done, action], []
    with project:
        for number, words in enumerate(start):
            expected = words.copy()
            for scan, index, word in done:
                if scan == number:
                    expected[sorted(index)] = word
            np.testing.assert_array_equal(project.known(number).words, expected)
            on_disk = sorted((project.home / 'labels').iterdir())[number].read_bytes()
            assert on_disk == expected.astype('<u4').tobytes()


def test_what_another_tool_changed_is_a_correction(project) -> None:
    path = sorted((project.home / 'labels').iterdir())[2]
    words = np.fromfile(path, np.uint32)
    project.close()
    edited = words.copy()
    edited[[3, 4]] = 252
    edited.tofile(path)
    with Project(project.folder) as again:
        (edit,) = again.edits
        assert edit.what['kind'] == 'other_tool' and edit.scans == (2,)
        assert again.known(2).by[[3, 4]].tolist() == [1, 1]
        again.undo()
        np.testing.assert_array_equal(np.fromfile(path, np.uint32), words)


@pytest.mark.parametrize('action', ['append', 'undo'])
def test_a_crash_between_an_action_and_its_label_file_loses_nothing(project, action) -> None:
    project.record({}, [change(1, [0], 40)])
    path = sorted((project.home / 'labels').iterdir())[1]
    stale = path.read_bytes()
    if action == 'append':
        project.record({}, [change(1, [0], 10)])
    else:
        project.undo()
    expected = path.read_bytes()
    assert expected != stale
    path.write_bytes(stale)
    applied = project.folder / 'teach' / 'edits' / 'applied.json'
    facts = json.loads(applied.read_text())
    applied.write_text(json.dumps({**facts, 'labels_written': False}))
    project.close()
    with Project(project.folder) as again:
        assert len(again.edits) == facts['applied'], 'no edit of another tool'
        assert path.read_bytes() == expected


_CLICKS = """
import sys, numpy as np
from pointata_core.teaching.edits import ScanChange
from pointata_core.teaching.project import Project
project = Project(sys.argv[1])
for number in range(10_000):
    point = np.array([number % 20], np.int32)
    project.record({'n': number}, [ScanChange(number % 4, point, np.full(1, 10, np.uint32), point >= 0)])
    print(number, flush=True)
"""  # noqa: E501


def test_a_killed_process_loses_no_correction(project) -> None:
    project.close()
    running = subprocess.Popen(
        [sys.executable, '-c', _CLICKS, str(project.folder)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )  # fmt: skip
    assert running.stdout is not None
    for _ in range(12):
        running.stdout.readline()
    running.send_signal(signal.SIGKILL)
    last = [*running.stdout.read().split(), '11'][-1]
    running.wait()
    running.stdout.close()
    with Project(project.folder) as again:
        numbers = [edit.what.get('n') for edit in again.edits]
        assert numbers == list(range(len(numbers))) and len(numbers) > int(last) - 1
        for number in range(int(last)):
            assert again.known(number % 4).words[number % 20] == 10


def test_two_processes_do_not_share_a_folder(project) -> None:
    with pytest.raises(OutputError, match='open in another process'):
        Project(project.folder)


@pytest.mark.parametrize('wrong', [change(0, [20], 1), change(0, [-1], 1), change(4, [0], 1)])
def test_a_change_of_what_is_not_there_is_not_recorded(project, wrong) -> None:
    with pytest.raises(ValueError, match='scan'):
        project.record({}, [change(0, [0], 10), wrong])
    with pytest.raises(ValueError, match='twice'):
        project.record({}, [change(0, [0], 10), change(0, [1], 10)])
    assert not project.edits and not (project.folder / 'teach/edits/000001.npz').exists()


def test_what_is_wrong_is_named(tmp_path, project, source) -> None:
    with pytest.raises(OutputError, match='there already'):
        Project.import_sequence(project.folder, source)
    with pytest.raises(CloudFileError, match='no folder to teach in'):
        Project(tmp_path)
    project.record({}, [change(0, [0], 10)])
    project.close()
    edit = project.folder / 'teach' / 'edits' / '000001.npz'
    whole = edit.read_bytes()
    edit.write_bytes(whole[:100])
    with pytest.raises(CloudFileError, match=r'000001\.npz: found no edit'):
        Project(project.folder)
    edit.unlink()
    with pytest.raises(CloudFileError, match=r'applied is 1'):
        Project(project.folder)
    edit.write_bytes(whole)
    label = sorted((project.home / 'labels').iterdir())[0]
    label.write_bytes(label.read_bytes()[:-4])
    with pytest.raises(CloudFileError, match=r'labels, expected'):
        Project(project.folder)


def test_a_bag_becomes_a_folder(tmp_path, capsys) -> None:
    recorded = frames(3)
    poses = [(frame.stamp_ns, float(n)) for n, frame in enumerate(recorded)]
    bag = write_bag(tmp_path / 'bag', recorded, poses=poses)
    words = ['teach', 'import', str(tmp_path / 'p'), '--bag', str(bag), '--json']
    assert main([*words, '--fixed-frame', 'map']) == 0
    assert json.loads(capsys.readouterr().out)['poses'] is True
    with Project(tmp_path / 'p') as project:
        assert len(project) == 3 and recorded[0].stamp_ns == START_NS
        for number, frame in enumerate(recorded):
            np.testing.assert_array_equal(project.scan(number).points, frame.points)
        np.testing.assert_allclose(project.scan(2).pose[:3, 3], [2, 0, 0], atol=1e-9)
    assert main(['teach', 'import', str(tmp_path / 'q'), '--json', '--bag', str(bag)]) == 0
    assert json.loads(capsys.readouterr().out)['poses'] is False


def test_classes_keep_object_ids_and_know_those_of_the_data_set() -> None:
    table = ClassTable.default()
    labels = np.arange(len(SEGMENTATION_CLASSES), dtype=np.uint16)
    words = table.words(labels, np.full(len(labels), 0xABCD0001, np.uint32))
    assert (words >> 16 == 0xABCD).all()
    np.testing.assert_array_equal(table.labels(words), labels)
    raw = np.array([0, 13, 44, 99, 252], np.uint32)
    np.testing.assert_array_equal(table.labels(raw), labels_from_semantickitti(raw))
    assert table.words(np.array([UNLABELLED], np.uint16), np.zeros(1, np.uint32)) == 0
    with pytest.raises(ConfigError, match='no class'):
        table.number('trolley')
    with pytest.raises(ConfigError, match='id 7'):
        ClassTable({'a': 7, 'b': 7})
