# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs of stage 2: killed and resumed, in several processes, and served as they were scored."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from small_training import write_backbone, write_config, write_radar

from pointata_core.bundles.bundle import load_bundle
from pointata_core.datasets.registry import open_dataset
from pointata_core.errors import ConfigError
from pointata_core.inference.session import StreamingSession
from pointata_core.training.clips.clip_store import open_store
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.network import build_network
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('training')
    write_radar(folder / 'data')
    write_backbone(folder / 'backbone')
    return folder


@pytest.fixture(scope='module')
def config(folder) -> Path:
    return write_config(
        folder / 'small.yaml', folder / 'data', folder / 'backbone', stages=['adapt']
    )


def command(config: Path, *overrides: str) -> list[str]:
    words = ['-m', 'pointata_core.cli.main', 'train', '--config', str(config), *overrides]
    return [sys.executable, *words]


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', **extra}


def skill_of(output: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(output / 'bundle' / 'skill.safetensors')


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, f'{path} did not appear'
        time.sleep(0.02)


@pytest.fixture(scope='module')
def unbroken(folder, config) -> Path:
    """A run of 12 epochs in this process."""
    output = folder / 'unbroken'
    run_train(read_settings(TrainingSettings, config, [f'output={output}', 'optimiser.epochs=12']))
    return output


def test_a_killed_run_resumes_to_the_same_weights(folder, config, unbroken) -> None:
    output = folder / 'killed'
    words = command(config, f'output={output}', 'optimiser.epochs=12')
    process = subprocess.Popen(
        words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for(output / 'adapt' / 'last.ckpt', process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    checkpoint = torch.load(output / 'adapt' / 'last.ckpt', weights_only=True)
    assert checkpoint['global_step'] < 12 * 6, 'the kill came too late to show anything'
    assert not (output / 'bundle').exists()
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    expected, found = skill_of(unbroken), skill_of(output)
    assert expected.keys() == found.keys()
    assert [k for k in expected if not torch.equal(expected[k], found[k])] == []
    assert len(list((output / 'adapt' / 'logs' / 'csv').iterdir())) == 2


def test_two_processes_learn_what_one_learns(folder, config) -> None:
    overrides = ['optimiser.epochs=2', 'network.dropout=0', 'optimiser.batch=4']
    one, two = folder / 'one', folder / 'two'
    run_train(read_settings(TrainingSettings, config, [f'output={one}', *overrides]))
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    workers = [
        subprocess.Popen(
            command(config, f'output={two}', *overrides),
            env=environment(
                MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), WORLD_SIZE='2',
                LOCAL_WORLD_SIZE='2', RANK=str(rank), LOCAL_RANK=str(rank), GROUP_RANK='0',
                TORCHELASTIC_RUN_ID='test', NODE_RANK='0',
            ),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        for worker in workers:
            _, errors = worker.communicate(timeout=280)
            assert worker.returncode == 0, errors
    finally:
        for worker in workers:
            worker.kill()
    expected, found = skill_of(one), skill_of(two)
    start = run_start(folder, config)
    moved = 0.0
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, atol=2e-4, rtol=1e-3, msg=name)
        moved = max(moved, float((tensor - start[name]).abs().max()))
    assert moved > 0.01, 'nothing was learned, so nothing was compared'


def run_start(folder: Path, config: Path) -> dict[str, torch.Tensor]:
    from pointata_core.datasets.actions.radhar import CLASSES

    settings = read_settings(TrainingSettings, config, ['network.dropout=0'])
    network, _ = build_network(settings, {'clip': CLASSES})
    return network.state_dict()


def test_the_bundle_streams_to_the_predictions_that_were_scored(folder, config, unbroken) -> None:
    settings = read_settings(TrainingSettings, config)
    bundle = load_bundle(unbroken / 'bundle')
    results = json.loads((unbroken / 'results.json').read_text())
    store = open_store(settings.store_recipe('validation', False), settings.data.cache)
    clips = open_dataset(
        'radhar', settings.data.root, 'validation', sampling=settings.data.sampling
    )
    right = 0
    for number in range(len(clips)):
        session = StreamingSession(bundle)
        clip = clips[number]
        for t, points in enumerate(clip.points):
            result = session.step(points, (t + 1) * 33_000_000)
        batch = store[[(number, 0)]]
        with torch.no_grad():
            whole = bundle.network(batch.points, mask=batch.mask, geometry=batch.geometry)
        np.testing.assert_allclose(
            result.action, whole.action[0, -1].softmax(-1).numpy(), atol=1e-4
        )
        right += int(result.action.argmax() == clip.action)
    assert right == results['scores'][0]['right']


def test_the_backbone_of_the_bundle_is_the_one_it_began_with(folder, unbroken) -> None:
    source = load_bundle(folder / 'backbone', share_backbone=False).network.backbone.state_dict()
    skill = load_bundle(unbroken / 'bundle', share_backbone=False)
    for name, tensor in skill.network.backbone.state_dict().items():
        assert tensor.numpy().tobytes() == source[name].numpy().tobytes(), name
    facts = skill.manifest.provenance
    assert facts['settings']['optimiser']['epochs'] == 12
    assert facts['backbone']['origin'].startswith('bundle source')
    assert str(folder) not in json.dumps(facts['settings']['data'])


def test_learning_happens(unbroken) -> None:
    """Direction of motion is the class: chance is one in five."""
    results = json.loads((unbroken / 'results.json').read_text())
    from pointata_core.training.skill.report import read_losses

    losses = [loss for _, loss in read_losses(unbroken / 'adapt')]
    assert losses[-1] < losses[0]
    assert results['training']['frozen_features'] is True


def test_a_folder_of_another_run_is_refused(config, unbroken) -> None:
    with pytest.raises(ConfigError, match='other settings'):
        run_train(
            read_settings(TrainingSettings, config, [f'output={unbroken}', 'optimiser.epochs=3'])
        )
