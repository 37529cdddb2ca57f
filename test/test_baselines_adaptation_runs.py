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

import pytest
from small_training import write_backbone, write_config, write_radar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'benchmarks'))

import adaptation
from adaptation_matrix.methods import CURVE_METHODS, METHODS
from adaptation_matrix.run_settings import base_settings, settings_of
from adaptation_matrix.single_run import measure
from adaptation_matrix.store import ResultStore, Run

from pointata_core.adaptation.tuning import tuning_mode
from pointata_core.data.datasets.registry import open_dataset
from pointata_core.errors import PointataError

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / 'benchmarks' / 'adaptation.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('matrix')
    write_radar(folder / 'data', recordings=5)
    write_backbone(folder / 'backbone')
    write_config(folder / 'small.yaml', folder / 'data', folder / 'backbone')
    return folder


@pytest.fixture(scope='module')
def base(folder):
    return base_settings(folder / 'small.yaml', folder / 'data', folder / 'work', None)


def resolved(folder, base, run: Run):
    return settings_of(run, folder / 'small.yaml', base, folder / 'work')


def test_every_method_is_a_known_mode_and_no_two_are_the_same(folder, base):
    seen = []
    for name in METHODS:
        settings = resolved(folder, base, Run('radhar', 1.0, name, 3))
        assert settings.seed == 3
        tuning_mode(settings.tuning.mode)
        told = {**asdict(settings), 'output': '', 'own': METHODS[name].own_network}
        assert told not in seen, name
        seen.append(told)


def test_methods_share_clips_and_steps(folder, base):
    def shared(name: str):
        settings = resolved(folder, base, Run('radhar', 1.0, name, 0))
        return settings.data, settings.preparation, settings.augmentation, settings.optimiser.epochs

    assert all(shared(name) == shared('pointata') for name in METHODS)


def test_fewer_labels_mean_fewer_clips_and_about_as_many_steps(folder, base):
    def clips_and_steps(fraction: float):
        settings = resolved(folder, base, Run('radhar', fraction, 'probe', 0))
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
    return [sys.executable, str(SCRIPT), '--config', str(folder / 'small.yaml'),
            '--root', str(folder / 'data'), '--work', str(folder / 'work'),
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
    assert [run.method for run, _ in ResultStore(results)] == ['p4transformer']
    again = subprocess.run(
        command(folder, *RUNS, '--list'),
        env=ENVIRONMENT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert 'radhar 1 no-align seed 0' in again.stdout
    assert 'p4transformer' not in again.stdout
    assert results.read_bytes() == before


@pytest.mark.parametrize('name', ['p4transformer', 'no-align'])
def test_a_run_tells_what_was_judged_and_what_was_trained(folder, base, name):
    run = Run('radhar', 1.0, name, 0)
    settings = resolved(folder, base, run)
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


def test_runs_with_other_settings_are_refused(folder, tmp_path, monkeypatch, capsys):
    store = ResultStore(tmp_path / 'adaptation.json')
    store.require_settings('radhar', {'optimiser.epochs': 9})
    store.add(Run('radhar', 1.0, 'probe', 0), {'accuracy': 0.5})
    words = command(folder, '--output', str(store.path), '--list')[1:]
    monkeypatch.setattr(sys, 'argv', words)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        assert adaptation.main() == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert '--output' in capsys.readouterr().err


def test_unknown_method_is_answered_with_the_known_ones():
    with pytest.raises(PointataError, match='p4transformer'):
        adaptation.method('magic')
