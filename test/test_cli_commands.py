# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line as its users meet it: quick help, plain errors, and results that can be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_bags import frames, room, write_bag

from pointata_core.cli.main import COMMANDS, main
from pointata_core.io.bags.reader import BagReader
from pointata_core.io.files.cloud_files import read_cloud
from pointata_core.taxonomy import SEGMENTATION_CLASSES

ROOT = Path(__file__).resolve().parents[1]


def pointata(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own."""
    return subprocess.run(
        [sys.executable, '-m', 'pointata_core.cli.main', *map(str, words)],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'COLUMNS': '100'},
    )  # fmt: skip


@pytest.fixture(scope='module')
def bag(tmp_path_factory) -> Path:
    recorded = [
        type(f)(f.points, f.stamp_ns, np.zeros(len(f.points), np.uint16), action='walk')
        for f in frames(4)
    ]
    return write_bag(tmp_path_factory.mktemp('bags') / 'room', recorded)


@pytest.mark.parametrize(
    ('words', 'light'),
    [
        (['--help'], ('torch', 'rclpy', 'numpy', 'scipy', 'matplotlib', 'rosbags')),
        (['evaluate', '--bagg', 'x'], ('torch', 'rclpy', 'numpy', 'scipy', 'matplotlib')),
        (['evaluate', '--bag', 'missing.mcap'], ('torch', 'rclpy', 'matplotlib')),
        (['evaluate', '--semantickitti', 'missing'], ('torch', 'rclpy', 'matplotlib')),
        (['predict', 'missing.pcd'], ('torch', 'rclpy', 'matplotlib')),
    ],
)
def test_help_and_mistakes_answer_without_loading_what_is_slow(words, light):
    probe = (
        'import sys\n'
        'from pointata_core.cli.main import main\n'
        'try:\n'
        f'    main({words!r})\n'
        'except SystemExit:\n'
        '    pass\n'
        f'sys.exit(", ".join(set({light!r}) & set(sys.modules)) or 0)\n'
    )
    run = subprocess.run(
        [sys.executable, '-c', probe], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize('command', COMMANDS, ids=lambda module: module.NAME)
def test_every_command_shows_an_example_that_its_own_parser_accepts(command):
    text = command.parser().format_help()
    examples = [
        line.split('   ')[0].split() for line in text.split('examples:')[1].strip().splitlines()
    ]
    parsers = {module.NAME: module.parser() for module in COMMANDS}
    shown = []
    for words in examples:
        if words[0] == 'torchrun':  # several processes, each of which is one `pointata`
            words = ['pointata', *words[words.index('pointata_core.cli.main') + 1 :]]
        if words[0] == 'pointata':  # else what to do next with another program
            parsers[words[1]].parse_args(words[2:])
            shown.append(words[1])
    assert command.NAME in shown


def test_bad_input_ends_with_status_2_message_and_fix_and_no_traceback():
    run = pointata('evaluate', '--bag', '/nowhere/drive.mcap')
    assert run.returncode == 2
    assert '/nowhere/drive.mcap' in run.stderr
    assert 'fix:' in run.stderr
    assert 'Traceback' not in run.stderr
    assert run.stdout == ''


def test_debug_shows_the_traceback():
    run = pointata('evaluate', '--bag', '/nowhere/drive.mcap', '--debug')
    assert 'Traceback' in run.stderr
    assert 'BagError' in run.stderr


def test_a_defect_is_called_one(monkeypatch, capsys, bag):
    monkeypatch.setattr(
        'pointata_core.evaluation.bag_evaluation.evaluate_bag',
        lambda *_, **__: 1 // 0,
    )
    assert main(['evaluate', '--bag', str(bag)]) == 1
    assert 'ZeroDivisionError' in capsys.readouterr().err


def test_evaluate_writes_results_and_report(bag, untrained_bundle, tmp_path):
    run = pointata(
        'evaluate', '--bag', bag, '--bundle', untrained_bundle, '--output', tmp_path / 'out',
        '--labels-field', 'label',
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert (results['frames'], results['frames_predicted']) == (4, 4)
    assert results['segmentation']['points'] == 4 * 1500
    assert set(results['action']['f1']) == {'10', '25', '50'}
    assert '4 / 4' in run.stdout
    assert 'report.html' in run.stdout
    assert (tmp_path / 'out' / 'report.html').is_file()


def test_evaluate_as_json_prints_exactly_the_results(bag, untrained_bundle, tmp_path, capsys):
    arguments = ['--bag', bag, '--bundle', untrained_bundle, '--output', tmp_path, '--json']
    assert main(['evaluate', *map(str, arguments)]) == 0
    assert capsys.readouterr().out == (tmp_path / 'results.json').read_text()


def test_evaluate_fails_when_nothing_was_answered(untrained_bundle, tmp_path, capsys):
    cut = [type(f)(f.points, f.stamp_ns, cut_bytes=3) for f in frames(2)]
    path = write_bag(tmp_path / 'cut', cut)
    arguments = ['--bag', path, '--bundle', untrained_bundle, '--output', tmp_path / 'out']
    assert main(['evaluate', *map(str, arguments)]) == 1
    assert '2 truncated_data' in capsys.readouterr().err


def test_evaluate_wants_exactly_one_recording(capsys):
    assert main(['evaluate']) == 2
    assert '--semantickitti' in capsys.readouterr().err


@pytest.fixture
def scans(tmp_path) -> Path:
    folder = tmp_path / 'scans'
    folder.mkdir()
    for index in range(3):
        rows = np.c_[room(index), np.zeros(1500)].astype(np.float32)
        rows.tofile(folder / f'{index:06d}.bin')
    return folder


@pytest.mark.parametrize('form', ['ply', 'pcd', 'npy', 'npz', 'label'])
def test_predict_returns_every_point_in_order_with_its_label(
    scans, untrained_bundle, tmp_path, capsys, form
):
    file, out = scans / '000000.bin', tmp_path / 'out'
    words = ['predict', file, '--bundle', untrained_bundle, '--output', out, '--format', form]
    assert main([*map(str, words), '--json']) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    written = out / f'000000.{form}'
    if form == 'label':
        labels = np.fromfile(written, '<u4')
    elif form == 'npz':
        with np.load(written) as archive:
            labels = archive['labels']
            assert np.array_equal(archive['points'], room(0))
            assert archive['classes'].tolist() == list(SEGMENTATION_CLASSES)
    else:
        cloud = read_cloud(written)
        labels = cloud.features['class_id']
        assert np.array_equal(cloud.points, room(0))
    assert len(labels) == summary['points'] == 1500
    shares = {
        name: float((labels == i).mean())
        for i, name in enumerate(SEGMENTATION_CLASSES)
        if (labels == i).any()
    }
    assert summary['shares'] == pytest.approx(shares, abs=1e-6)


def predicted(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_files_of_a_folder_are_one_stream_unless_told_otherwise(scans, untrained_bundle, tmp_path):
    options = ['--bundle', str(untrained_bundle), '--format', 'label', '--output']
    assert main(['predict', str(scans), *options, str(tmp_path / 'stream')]) == 0
    assert main(['predict', str(scans), '--independent', *options, str(tmp_path / 'apart')]) == 0
    for index in range(3):
        file = str(scans / f'{index:06d}.bin')
        assert main(['predict', file, *options, str(tmp_path / 'single')]) == 0
    assert predicted(tmp_path / 'apart') == predicted(tmp_path / 'single')
    assert predicted(tmp_path / 'stream')[0] == predicted(tmp_path / 'single')[0]
    assert predicted(tmp_path / 'stream') != predicted(tmp_path / 'single')


@pytest.mark.parametrize(
    ('words', 'named'),
    [
        (['predict', 'missing.pcd'], 'missing.pcd'),
        (['predict', '.', '--format', 'docx'], 'docx'),
        (['predict', '.', '--rate', '0'], '--rate'),
        (['simulate', 'x', '--format', 'vhs'], 'vhs'),
        (['simulate', 'x', '--count', '3'], '--count'),
        (['convert', 'a.pth', 'b.pth'], '.safetensors'),
        (['convert', 'missing.pth', 'b.safetensors'], 'missing.pth'),
        (['evaluate', '--semantickitti', 'nowhere'], 'nowhere'),
    ],
)
def test_wrong_words_are_named(words, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert named in said
    assert list(tmp_path.iterdir()) == []


def test_simulated_bag_can_be_evaluated(untrained_bundle, tmp_path, capsys):
    words = ['simulate', tmp_path / 'street', '--duration', 0.3, '--sensor', 'vlp16', '--json']
    assert main([*map(str, words)]) == 0
    made = json.loads(capsys.readouterr().out)
    with BagReader(tmp_path / 'street') as reader:
        assert reader.topic(reader.select_point_topic()).count == made['frames'] == 3
    words = ['--bag', tmp_path / 'street', '--bundle', untrained_bundle, '--output', tmp_path / 'o']
    assert main(['evaluate', *map(str, words), '--json']) == 0
    results = json.loads(capsys.readouterr().out)
    assert results['points'] == made['points']
    # Light mirrored by glass or water, and rain, have no class.
    assert 0.85 * made['points'] < results['segmentation']['points'] <= made['points']
    assert results['action']['frames'] == 3


def test_shards_are_written_for_training(tmp_path, capsys):
    words = ['simulate', tmp_path, '--format', 'shard', '--count', 2, '--duration', 0.2, '--json']
    assert main([*map(str, words)]) == 0
    assert json.loads(capsys.readouterr().out)['frames'] == 4
    assert len(list(tmp_path.glob('*.npz'))) == 2


def test_bundle_tells_what_it_holds_and_refuses_a_damaged_one(untrained_bundle, tmp_path, capsys):
    assert main(['bundle', str(untrained_bundle), '--json']) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts['ok'] and facts['segmentation_classes'] == list(SEGMENTATION_CLASSES)
    broken = tmp_path / 'broken'
    broken.mkdir()
    for file in untrained_bundle.iterdir():
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0x55
        (broken / file.name).write_bytes(data)
    assert main(['bundle', str(broken)]) == 1
    assert 'problem' in capsys.readouterr().out


def test_predict_names_what_seems_wrong_and_takes_the_unit(untrained_bundle, tmp_path, capsys):
    scan = tmp_path / 'scan.npy'
    np.save(scan, room(0, 800) * np.float32(1024))
    options = ['predict', str(scan), '--bundle', str(untrained_bundle), '--json', '--output']
    assert main([*options, str(tmp_path / 'as_it_is')]) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    assert summary['unlabelled'] == 800
    assert any('--input-scale' in note for note in summary['notes'])
    assert main([*options, str(tmp_path / 'scaled'), '--input-scale', '0.0009765625']) == 0
    (summary,) = json.loads(capsys.readouterr().out)
    assert (summary['unlabelled'], summary['notes']) == (0, [])
    np.testing.assert_array_equal(read_cloud(summary['output']).points, np.load(scan))
