# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The comparison of methods runs from its command line, stops, and goes on where it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import write_backbone, write_config, write_radar

from benchmarks.experiments import adaptation
from benchmarks.experiments.adaptation_methods import (
    CURVE_METHODS,
    DESIGNS,
    METHODS,
    methods_for,
)
from benchmarks.experiments.adaptation_runs import DataSet, P4TransformerOnClips, measure
from benchmarks.run_store import Run, RunStore
from pointata_core.datasets.registry import open_dataset
from pointata_core.errors import PointataError
from pointata_core.simulation import ShardJob, write_shards
from pointata_core.training.skill.tuning import tuning_mode

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('matrix')
    write_radar(folder / 'data', recordings=5)
    write_backbone(folder / 'backbone')
    write_config(folder / 'small.yaml', folder / 'data', folder / 'backbone')
    return folder


@pytest.fixture(scope='module')
def base(folder) -> DataSet:
    return data_set(folder)


def data_set(folder: Path, *overrides: str) -> DataSet:
    return DataSet(folder / 'small.yaml', folder / 'data', folder / 'work', None, overrides)


def test_every_method_is_a_known_mode_and_no_two_are_the_same(folder, base):
    seen = []
    for name in (*METHODS, *DESIGNS):
        settings = base.of_run(Run('radhar', name, 3))
        assert settings.seed == 3
        tuning_mode(settings.tuning.mode)
        told = {**asdict(settings), 'output': '', 'own': adaptation.method(name).own_network}
        assert told not in seen, name
        seen.append(told)


def test_methods_share_clips_and_but_for_longer_ones_steps(folder, base):
    def shared(name: str):
        settings = base.of_run(Run('radhar', name, 0))
        return settings.data, settings.preparation, settings.augmentation, settings.optimiser.epochs

    *clips, epochs = shared('pointata')
    for name in METHODS:
        times = 3 if name.endswith('-longer') else 1
        assert shared(name) == (*clips, times * epochs), name


def test_a_share_of_the_labels_is_one_of_those_that_all_labels_mean(folder):
    base = data_set(folder, 'data.limit=8', 'optimiser.epochs=4')
    found = base.of_run(Run('radhar', 'probe', 0, 0.5))
    assert (found.data.limit, found.optimiser.epochs) == (4, 8)


def test_words_replace_what_the_file_says_in_every_run(folder):
    base = data_set(folder, 'data.limit=3', 'network.adapter_width=9')
    for name, width in (('full', 9), ('design-wide', 128)):
        found = base.of_run(Run('radhar', name, 0))
        assert (found.data.limit, found.network.adapter_width) == (3, width)
    assert base.settings().data.limit == 3
    assert not set(DESIGNS) & set(methods_for('clip')), 'designs are run where they are named'


def test_fewer_labels_mean_fewer_clips_and_about_as_many_steps(folder, base):
    def clips_and_steps(fraction: float):
        settings = base.of_run(Run('radhar', 'probe', 0, fraction))
        data = settings.data
        clips = len(open_dataset('radhar', data.root, data.train, sampling=data.sampling))
        clips = data.limit or clips
        return clips, settings.optimiser.epochs * (clips // settings.optimiser.batch)

    (everything, steps), (half, half_steps) = clips_and_steps(1.0), clips_and_steps(0.5)
    assert half == round(everything / 2)
    assert half_steps == pytest.approx(steps, rel=0.25)


def test_all_labels_come_first_then_seed_by_seed():
    runs = adaptation.matrix('radhar', ['pointata', 'lora'], [0, 1], [0.1, 1.0])
    assert [(r.fraction, r.seed, r.method) for r in runs] == [
        (1.0, 0, 'pointata'),
        (1.0, 0, 'lora'),
        (1.0, 1, 'pointata'),
        (1.0, 1, 'lora'),
        (0.1, 0, 'pointata'),
        (0.1, 1, 'pointata'),
    ]
    assert set(CURVE_METHODS) <= set(METHODS)


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, '-m', 'benchmarks', 'adaptation',
            '--config', str(folder / 'small.yaml'), '--root', str(folder / 'data'),
            '--work', str(folder / 'work'),
            '--output', str(folder / 'results' / 'adaptation.json'), *words]  # fmt: skip


ENVIRONMENT = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
RUNS = ('--methods', 'p4transformer', 'no-align', '--seeds', '0', '--fractions', '1')


@pytest.mark.timeout(900)
def test_stopped_matrix_keeps_what_is_done_and_knows_what_is_missing(folder):
    results = folder / 'results' / 'adaptation.json'
    process = subprocess.Popen(command(folder, *RUNS), env=ENVIRONMENT)
    end = time.monotonic() + 600
    while not results.exists():
        assert process.poll() is None
        assert time.monotonic() < end, 'no run was finished'
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 128 + signal.SIGTERM
    before = results.read_bytes()
    assert [run.method for run in RunStore(results)] == ['p4transformer']
    again = subprocess.run(
        command(folder, *RUNS, '--list'),
        env=ENVIRONMENT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert 'radhar no-align seed 0' in again.stdout
    assert 'p4transformer' not in again.stdout
    assert results.read_bytes() == before


@pytest.mark.parametrize('name', ['p4transformer', 'no-align'])
def test_a_run_tells_what_was_judged_and_what_was_trained(folder, base, name):
    run = Run('radhar', name, 0)
    settings = base.of_run(run)
    found = measure(run, settings)
    assert found['videos'] == sum(map(sum, found['confusion'])) == 5  # the last fifth
    assert found['correct'] == sum(row[i] for i, row in enumerate(found['confusion']))
    assert found['accuracy'] == found['correct'] / found['videos']
    assert 0 < found['trainable_without_head'] < found['trainable'] <= found['parameters']
    # Checkpoints and frozen features of a finished run are not left behind.
    assert not Path(settings.output).exists()
    assert not list(Path(settings.data.cache).glob('clips/*/prefix_*'))
    if name == 'p4transformer':
        again = measure(run, settings)
        assert again['confusion'] == found['confusion']


def test_runs_with_other_settings_are_refused(folder, tmp_path, capsys):
    store = RunStore(tmp_path / 'adaptation.json')
    store.require_settings('radhar', {'optimiser.epochs': 9})
    store.add(Run('radhar', 'probe', 0), {'accuracy': 0.5})
    words = command(folder, '--output', str(store.path), '--list')[4:]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert adaptation.main(words) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert '--output' in capsys.readouterr().err


def test_unknown_method_is_answered_with_the_known_ones():
    with pytest.raises(PointataError, match='p4transformer'):
        adaptation.method('magic')


def test_methods_of_actions_are_left_out_of_segmentation_and_refused_by_name(folder, capsys):
    assert 'p4transformer' in methods_for('clip') and 'own-embedder' not in methods_for('clip')
    assert 'p4transformer' not in methods_for('points') and 'full' in methods_for('points')
    assert methods_for('clip', ['probe', 'full']) == ['probe', 'full']
    with pytest.raises(PointataError, match="'probe' is not made for task points"):
        methods_for('points', ['full', 'probe'])


def test_p4transformer_takes_the_same_fields_at_its_published_scale():
    torch.manual_seed(0)
    network = P4TransformerOnClips(3, 1, 8, scale_m=2.0).eval()
    points = torch.randn(2, 4, 30, 3) * 0.2
    fields = torch.randn(2, 4, 30, 1)
    answer = network(points, fields).action
    assert answer.shape == (2, 1, 3)
    assert not torch.allclose(network(points, fields + 1.0).action, answer, atol=1e-4)
    in_units = network.network(points * 2.0 / 0.3, fields)
    torch.testing.assert_close(answer[:, 0], in_units)


@pytest.mark.timeout(600)
def test_segmentation_is_compared_by_the_iou_of_cells(tmp_path):
    jobs = [ShardJob('indoor', 'kinect', seed, 0.2) for seed in (1, 2, 9)]
    write_shards(tmp_path / 'scenes', jobs, progress=False)
    write_backbone(tmp_path / 'backbone')
    write_config(
        tmp_path / 'small.yaml', tmp_path / 'scenes', tmp_path / 'backbone', tasks=['points'],
        data={
            'name': 'simulated', 'root': str(tmp_path / 'scenes'), 'train': 'train',
            'validation': 'test', 'variants': 1,
            'sampling': {'window': 'causal', 'frames': 2, 'hop': 1, 'short': 'drop'},
        },
        optimiser={'epochs': 1, 'batch': 2},
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks', 'adaptation', '--config', str(tmp_path / 'small.yaml'),
         '--root', str(tmp_path / 'scenes'), '--work', str(tmp_path / 'work'),
         '--output', str(tmp_path / 'results' / 'adaptation.json'),
         '--methods', 'no-align', 'own-embedder', '--seeds', '0', '--fractions', '1'],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    store = RunStore(tmp_path / 'results/adaptation.json')
    found = {run.method: store[run] for run in store}
    for one in found.values():
        confusion = np.array(one['confusion'])
        hit = np.diag(confusion)
        union = confusion.sum(0) + confusion.sum(1) - hit
        occurs = confusion.sum(1) > 0
        assert one['miou'] == pytest.approx((hit[occurs] / union[occurs]).mean())
        assert one['correct'] == hit.sum() and one['judged'] == confusion.sum()
    assert found['own-embedder']['trainable'] > found['no-align']['trainable']
