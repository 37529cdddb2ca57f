# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Many recordings in one command: each as by itself, one account of all, nothing lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_bags import Frame, cloud_message, frames, write_bag

from pointata_core.cli.main import main
from pointata_core.errors import ConfigError
from pointata_core.evaluation.bag_evaluation import evaluate_bag
from pointata_core.evaluation.bag_run import Part
from pointata_core.evaluation.fleet.parts import join, split
from pointata_core.evaluation.fleet.recordings import find_recordings, streams_of
from pointata_core.evaluation.fleet.run import evaluate_fleet
from pointata_core.evaluation.fleet.task import FleetSettings, FleetTask, run_task
from pointata_core.evaluation.report.page import write_report
from pointata_core.io.bags.writer import BagWriter

SMALL = 300


def recorded(seed: int, count: int = 4) -> list[Frame]:
    """Frames that differ from those of other seeds, with one true class."""
    random = np.random.default_rng(seed)
    labels = np.full(SMALL, seed % 3, np.uint16)
    return [
        replace(f, points=f.points + random.normal(0, 0.2, (SMALL, 3)), labels=labels)
        for f in frames(count, SMALL)
    ]


@pytest.fixture
def fleet(tmp_path) -> Path:
    folder = tmp_path / 'fleet'
    write_bag(folder / 'monday' / 'one', recorded(1))
    write_bag(folder / 'monday' / 'two', recorded(2), 'sqlite3')
    write_bag(folder / 'tuesday' / 'one', recorded(3))
    return folder


@pytest.fixture
def evaluate(untrained_bundle, tmp_path):
    def run(pattern: object, output: str = 'out', **options: object) -> dict:
        return evaluate_fleet(
            str(pattern), tmp_path / output, bundle=untrained_bundle, device='cpu', **options
        )

    return run


def test_every_recording_has_the_labels_of_a_run_of_its_own(
    fleet, evaluate, untrained_bundle, tmp_path
):
    account = evaluate(fleet / '*' / '*', labels_field='label')
    assert [row['recording'] for row in account['recordings']] == [
        'monday/one', 'monday/two', 'tuesday/one',
    ]  # fmt: skip
    for row in account['recordings']:
        alone = evaluate_bag(
            fleet / row['recording'], bundle=untrained_bundle, labels_field='label'
        )
        stored = json.loads((tmp_path / 'out' / row['folder'] / 'results.json').read_text())
        assert row['labels_sha256'] == stored['labels_sha256'] == alone.labels_sha256
        assert row['miou'] == alone.segmentation.miou
        assert stored['segmentation']['iou'] == alone.segmentation.iou
    (sensor,) = account['sensors']
    assert (sensor['topic'], sensor['recordings'], sensor['frames']) == ('/points', 3, 12)
    assert sensor['segmentation']['points'] == 12 * SMALL


def test_the_worst_frames_of_all_come_first(fleet, evaluate):
    account = evaluate(fleet / '*' / '*', labels_field='label')
    shares = [frame['accuracy'] for frame in account['worst_frames']]
    assert len(shares) == 12
    assert shares == sorted(shares)
    by_recording = {row['recording']: row['accuracy'] for row in account['recordings']}
    mean = {
        name: np.mean([f['accuracy'] for f in account['worst_frames'] if f['recording'] == name])
        for name in by_recording
    }
    assert mean == pytest.approx(by_recording)


def test_a_recording_that_fails_is_listed_and_stops_nothing(
    fleet, untrained_bundle, tmp_path, capsys
):
    (fleet / 'monday' / 'damaged.mcap').write_bytes(b'nothing of the kind')
    write_bag(fleet / 'other', recorded(4), labels_topic='/elsewhere')
    command = ['evaluate', '--bags', f'{fleet}/**/*.mcap', '--labels-field', 'label', '--json']
    command += ['--output', str(tmp_path / 'out'), '--bundle', str(untrained_bundle)]
    assert main([*command, '--topic', '/points']) == 1
    printed = capsys.readouterr()
    account = json.loads(printed.out)
    assert account == json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert [row['recording'] for row in account['recordings']] == ['monday/one', 'tuesday/one']
    failures = {one['recording']: one for one in account['failures']}
    assert set(failures) == {'monday/damaged.mcap', 'other'}
    assert 'mcap' in failures['monday/damaged.mcap']['message']
    assert 'label' in failures['other']['message']
    assert all(one['fix'] for one in failures.values())
    assert 'monday/damaged.mcap' in printed.err
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert 'monday/damaged.mcap' in page
    for row in account['recordings']:
        assert f'href="{row["folder"]}/report.html"' in page
        assert (tmp_path / 'out' / row['folder'] / 'report.html').exists()


def test_what_was_finished_is_kept_and_what_changed_is_evaluated_anew(fleet, evaluate, tmp_path):
    first = evaluate(fleet / '*' / '*')
    files = {row['recording']: tmp_path / 'out' / row['folder'] for row in first['recordings']}
    written = {name: (path / 'results.json').stat().st_mtime_ns for name, path in files.items()}
    shutil.rmtree(fleet / 'monday' / 'one')
    write_bag(fleet / 'monday' / 'one', recorded(7))
    (files['monday/two'] / 'task.json').unlink()  # as if the run had ended just before
    second = evaluate(fleet / '*' / '*')
    again = {
        name
        for name, path in files.items()
        if (path / 'results.json').stat().st_mtime_ns != written[name]
    }
    assert again == {'monday/one', 'monday/two'}
    before, after = (
        {row['recording']: row['labels_sha256'] for row in account['recordings']}
        for account in (first, second)
    )
    assert {name for name in before if before[name] != after[name]} == {'monday/one'}


def test_other_options_are_other_results(fleet, evaluate):
    plain = evaluate(fleet / 'monday' / 'one')
    for other in ({'input_scale': 0.5}, {'max_voxels': 32}):
        changed = evaluate(fleet / 'monday' / 'one', **other)
        assert plain['recordings'][0]['labels_sha256'] != changed['recordings'][0]['labels_sha256']


def test_every_sensor_of_a_recording_is_evaluated_by_itself(evaluate, untrained_bundle, tmp_path):
    bag = tmp_path / 'car'
    with BagWriter(bag, 'mcap') as writer:
        for topic, seed in (('/front/points', 1), ('/rear/points', 2)):
            for frame in recorded(seed):
                message = cloud_message(writer.types, frame, with_labels=True)
                writer.write(topic, message, frame.stamp_ns)
    account = evaluate(bag)
    found = {row['topic']: row['labels_sha256'] for row in account['recordings']}
    assert found == {
        topic: evaluate_bag(bag, topic=topic, bundle=untrained_bundle).labels_sha256
        for topic in ('/front/points', '/rear/points')
    }
    assert [sensor['topic'] for sensor in account['sensors']] == sorted(found)


@pytest.fixture(scope='module')
def long(tmp_path_factory) -> Path:
    """Malformed clouds, a pause, and a doubled stamp at a cut, in a recording with ego motion."""
    made = recorded(5, 104)
    made = [replace(f, stamp_ns=f.stamp_ns + (i >= 70) * 5_000_000_000) for i, f in enumerate(made)]
    made[100] = replace(made[100], stamp_ns=made[99].stamp_ns)
    made[20] = replace(made[20], cut_bytes=7)
    made[101] = replace(made[101], cut_bytes=7)
    poses = [(f.stamp_ns, 0.1 * i) for i, f in enumerate(made) if i != 100]
    return write_bag(tmp_path_factory.mktemp('long') / 'bag', made, poses=poses)


@pytest.fixture(scope='module')
def parts(long, untrained_bundle, tmp_path_factory) -> list[FleetTask]:
    """The parts of it, evaluated."""
    (recording,) = find_recordings(str(long))
    (stream,) = streams_of(recording, None, None)
    options = {'fixed_frame': 'map', 'labels_field': 'label'}
    output = str(tmp_path_factory.mktemp('parts'))
    settings = FleetSettings(output, str(untrained_bundle), '', 'cpu', 'float32', None, options)
    cuts = (Part(0, 100), Part(100, None))
    tasks = [FleetTask(settings, stream, settings.key(stream), part) for part in cuts]
    for task in tasks:
        assert run_task(task, lambda *_: None) is None
    return tasks


def test_parts_of_a_long_recording_give_the_results_of_one_run(
    long, parts, untrained_bundle, tmp_path
):
    whole = evaluate_bag(
        long, bundle=untrained_bundle, device='cpu', precision='float32', fixed_frame='map',
        labels_field='label',
    )  # fmt: skip
    joined = join(parts)
    assert joined is not None
    measured = {'wall_s', 'latency', 'points_per_second', 'peak_rss_bytes'}
    one, other = whole.to_dict(), joined.to_dict()
    assert {k: v for k, v in one.items() if k not in measured} == {
        k: v for k, v in other.items() if k not in measured
    }
    assert whole.skipped == {'duplicate_stamp': 1}
    assert whole.resets == {'gap': 1}
    assert [replace(f, total_ms=None) for f in joined.trace.frames] == [
        replace(f, total_ms=None) for f in whole.trace.frames
    ]
    assert len(joined.trace.snapshots) == 6
    assert write_report(joined, tmp_path).exists()


def test_long_streams_are_cut_evenly():
    assert split(60, 60) == split(10**6, 0) == [None]
    assert split(150, 60) == [Part(0, 50), Part(50, 100), Part(100, None)]


@pytest.mark.parametrize('name', ['start_sha256', 'labels_sha256'])
def test_parts_that_do_not_meet_are_not_joined(parts, name):
    file = parts[1].file('.json')
    kept = file.read_bytes()
    try:
        file.write_text(json.dumps({**json.loads(kept), name: '0' * 64}))
        assert join(parts) is None
    finally:
        file.write_bytes(kept)
    assert join(parts) is not None


def test_files_of_one_recording_are_one_and_hidden_files_none(tmp_path):
    bag = write_bag(tmp_path / 'a' / 'bag', recorded(1, 1))
    shutil.copy(next(bag.glob('*.mcap')), bag / 'bag_1.mcap')
    shutil.copy(next(bag.glob('*.mcap')), tmp_path / 'a' / 'alone.mcap')
    (tmp_path / 'a' / '._alone.mcap').write_bytes(b'\x00\x05\x16\x07')
    (tmp_path / 'a' / 'notes.txt').write_text('no recording')
    for pattern in ('**/*.mcap', '*/*', '**/*'):
        found = find_recordings(f'{tmp_path}/{pattern}')
        assert [one.name for one in found] == ['alone.mcap', 'bag']


def test_a_pattern_without_a_match_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match='matches no recording'):
        find_recordings(f'{tmp_path}/**/*.mcap')


def test_a_cluster_is_for_many_recordings(tmp_path, capsys):
    assert main(['evaluate', '--bag', str(tmp_path), '--ray']) == 2
    assert '--bags' in capsys.readouterr().err
