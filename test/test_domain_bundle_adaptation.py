# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle adapts to a recording without labels, and is not replaced by a worse one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('lightning', reason='training needs the extra `train`')

from scene_datasets import kitti_pose, write_kitti_sequence

from pointata_core.bundles.bundle import load_bundle
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.datasets.scenes.semantickitti_writer import SequenceWriter, raw_ids
from pointata_core.simulation import simulate
from pointata_core.taxonomy import (
    SEGMENTATION_CLASSES,
    UNLABELLED,
    class_id,
    labels_from_semantickitti,
)
from pointata_core.training.domain.bundle_adaptation import spread_runs
from pointata_core.training.domain.pseudo_scans import write_pseudo_labels
from pointata_core.training.domain.recorded_scans import RecordedScan, scans_of_sequence
from pointata_core.training.domain.self_checks import SelfCheck, check_bundle

ROOT = Path(__file__).resolve().parents[1]


def drive(seed: int, frames: int = 4) -> list[RecordedScan]:
    return [
        RecordedScan(frame.points, frame.intensity, frame.stamp_ns, frame.pose)
        for frame in simulate('street', 'vlp16', seed, frames / 10)
    ]


@pytest.fixture(scope='module')
def bundle():
    return load_bundle('default')


def test_a_written_sequence_is_read_back(tmp_path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(len(SEGMENTATION_CLASSES), dtype=np.uint16)
    scans = [(rng.normal(size=(15, 3)), rng.random(15), kitti_pose(n)) for n in range(3)]
    writer = SequenceWriter(tmp_path / '00')
    for number, (points, intensity, pose) in enumerate(scans):
        writer.add(
            points,
            intensity,
            raw_ids(labels),
            1_700_000_000_123_456_789 + number * 103_000_000,
            pose,
        )
    writer.close()
    sequence = SemanticKittiSequence(tmp_path / '00')
    assert sequence.notes == []
    for (points, intensity, pose), found in zip(scans, sequence, strict=True):
        np.testing.assert_array_equal(found.points, points.astype(np.float32))
        np.testing.assert_array_equal(found.intensity, intensity.astype(np.float32))
        np.testing.assert_allclose(found.pose, np.linalg.inv(scans[0][2]) @ pose, atol=1e-9)
        ours = labels_from_semantickitti(found.label)
        np.testing.assert_array_equal(ours[:11], labels[:11])  # classes of streets
        assert (ours[11:] == UNLABELLED).all() and not found.label[11:].any()
    assert [scan.stamp_ns for scan in sequence] == [0, 103_000_000, 206_000_000]


def test_without_poses_none_are_written(tmp_path) -> None:
    writer = SequenceWriter(tmp_path)
    writer.add(np.zeros((2, 3)), np.zeros(2), np.zeros(2), 0)
    writer.close()
    assert SemanticKittiSequence(tmp_path).poses is None


def test_the_surest_points_of_every_class_keep_their_label(tmp_path, bundle) -> None:
    scans = drive(5)
    runs = [scans[:2], scans[2:]]
    assert write_pseudo_labels(bundle, runs, tmp_path / 'all', 1.0) == 4
    write_pseudo_labels(bundle, runs, tmp_path / 'half', 0.5)
    counts = []
    for name in ('all', 'half'):
        folders = [tmp_path / name / 'sequences' / run for run in ('00', '01')]
        written = [scan for one in folders for scan in SemanticKittiSequence(one)]
        found = [labels_from_semantickitti(scan.label) for scan in written]
        counts.append(np.bincount(np.concatenate(found), minlength=1 << 16)[:11])
    present = counts[0] > 200
    assert present.sum() >= 4
    np.testing.assert_allclose(counts[1][present] / counts[0][present], 0.5, atol=0.1)


def test_checks_see_labels_that_are_drawn_at_random(bundle) -> None:
    scans = drive(6)
    good = check_bundle(bundle, [scans])
    assert 0.5 < good.agreement <= 1 and 0.5 < good.steadiness <= 1
    assert sum(good.classes.values()) == pytest.approx(1)
    other = load_bundle('default', share_backbone=False)
    head = other.network.segmentation_head.classify
    head.weight.data *= -1
    bad = check_bundle(other, [scans])
    assert bad.worse_than(good)
    assert good.worse_than(good) == []


def test_a_class_that_vanishes_is_named() -> None:
    before = SelfCheck(0.9, 0.9, {'road': 0.6, 'car': 0.4})
    assert SelfCheck(0.95, None, {'road': 1.0}).worse_than(before) == [
        'car all but vanished, 40.0 % of the points before'
    ]
    assert SelfCheck(0.95, 0.85, {'road': 0.6, 'car': 0.4}).worse_than(before) == [
        'steadiness fell from 90.0 to 85.0 %'
    ]


def adapt(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'pointata_core.cli.main', 'domain-adapt', *map(str, words)],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize('rate', [1e-5, 0.3])
def test_the_command_writes_a_bundle_unless_it_became_worse(tmp_path, rate) -> None:
    writer = SequenceWriter(tmp_path / 'drive')
    for scan in drive(7, frames=6):
        writer.add(
            scan.points, scan.intensity, np.zeros(len(scan.points)), scan.stamp_ns, scan.pose
        )
    writer.close()
    yard = {'scene': 'yard', 'sensor': 'vlp16', 'frames': 2}
    recorded = {'recorded': 'semantickitti'}
    mixes = {
        'frames': [recorded, {**yard, 'seeds': [0, 2]}], 'clips': [recorded],
        'held_out': [{**yard, 'seeds': [3, 4]}],
    }  # fmt: skip
    done = adapt(
        '--bundle', 'default', '--semantickitti', tmp_path / 'drive', '--rounds', 1, '--json',
        f'output={tmp_path / "run"}', f'data.cache={tmp_path / "cache"}',
        f'data.options={json.dumps({"mixes": mixes})}', 'data.processes=1', 'device=cpu',
        'precision=32', f'stages.0.optimiser.learning_rate={rate}',
        *(f'stages.{n}.optimiser.{name}=2' for n in (0, 1) for name in ('steps', 'batch')),
    )  # fmt: skip
    found = json.loads(done.stdout)
    written = tmp_path / 'run' / 'bundle'
    assert json.loads((tmp_path / 'run' / 'adaptation.json').read_text()) == found
    if rate > 0.1:
        assert done.returncode == 1 and found['worse'] and not written.exists()
        assert 'not written' in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert found['bundle'] == str(written)
    manifest = load_bundle(written).manifest
    assert (manifest.name, manifest.licence) == ('adapted', 'Apache-2.0')
    assert manifest.provenance['self_checks']['before'] == found['before']


def test_a_recording_must_be_named(tmp_path) -> None:
    done = adapt('--bundle', 'default', f'output={tmp_path}')
    assert done.returncode == 2 and '--bag' in done.stderr


def test_labels_of_the_recording_are_not_read(tmp_path) -> None:
    write_kitti_sequence(tmp_path / '00')
    scans = list(scans_of_sequence(tmp_path / '00'))
    assert len(scans) == 4 and not hasattr(scans[0], 'label')
    np.testing.assert_allclose(scans[1].pose, kitti_pose(1), atol=1e-6)


def test_the_class_of_a_car_has_the_same_number_everywhere() -> None:
    assert raw_ids(np.array([class_id('car')]))[0] == 10


@pytest.mark.parametrize('count', [1, 4, 5, 23, 100, 101, 1000])
def test_scans_are_spread_over_a_recording_in_runs(count) -> None:
    def scans():
        for number in range(count):
            yield RecordedScan(np.zeros((0, 3)), np.zeros(0), number, None)

    runs = spread_runs(scans(), 40)
    stamps = [[scan.stamp_ns for scan in run] for run in runs]
    kept = sum(map(len, stamps))
    assert kept <= 40 and kept >= min(count, 20)
    for run in stamps:
        assert run == list(range(run[0], run[0] + len(run))) and run[0] % 5 == 0
    gaps = {after[0] - before[0] for before, after in pairwise(stamps)}
    assert len(gaps) <= 1, 'evenly spread'
    assert count - stamps[-1][-1] <= 2 * max(gaps, default=5)
