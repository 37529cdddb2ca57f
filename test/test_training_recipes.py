# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every bundle that ships has a recipe, and each recipe runs from nothing to a bundle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_datasets import write_kitti_sequence
from small_training import write_radar

pytest.importorskip('lightning', reason='training needs the extra `train`')

from benchmarks.experiments import learned_drives
from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.session import StreamingSession
from pointata_core.models.checkpoints.conversion import load_backbone
from pointata_core.models.checkpoints.files import sha256_of
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import BackboneConfig
from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES, SEGMENTATION_COLOURS
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.people.settings import PeopleSettings
from pointata_core.training.pretrain.export import export_encoder
from pointata_core.training.pretrain.settings import PretrainingConfig
from pointata_core.training.skill.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
BUNDLES = sorted(path.parent for path in (ROOT / 'models').glob('*/manifest.json'))
YARD = {'scene': 'yard', 'sensor': 'vlp16', 'frames': 4}
ROOM = {'scene': 'indoor', 'sensor': 'rs16', 'frames': 3}
MIXES = {
    'frames': [{**YARD, 'seeds': [0, 2]}],
    'clips': [{**YARD, 'seeds': [10, 12], 'frames': 8}],
    'found': [{**ROOM, 'seeds': [20, 22]}],
    'held_out': [{**YARD, 'seeds': [30, 31]}, {**ROOM, 'seeds': [31, 32]}],
}
SMALL = (
    f'data.options={json.dumps({"mixes": MIXES})}', 'data.processes=1', 'device=cpu',
    'precision=32', 'preparation.max_voxels=192', 'stages.0.optimiser.steps=2',
    'stages.0.optimiser.batch=2',
)  # fmt: skip
DEFAULT = (
    *SMALL, 'checkpoint_steps=1', 'network.scene.cells=32', 'stages.1.optimiser.steps=2',
    'stages.2.optimiser.steps=2', 'stages.3.optimiser.steps=2', 'stages.2.optimiser.batch=2',
    'stages.3.optimiser.batch=2',
)  # fmt: skip


def command(*words: object) -> list[str]:
    return [sys.executable, '-m', 'pointata_core.cli.main', 'train', *map(str, words)]


ENVIRONMENT = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}


def train(*words: object) -> dict:
    done = subprocess.run(
        command(*words, '--json'),
        capture_output=True, text=True, timeout=600, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory) -> Path:
    """A backbone file of ``pointata pretrain`` with weights of no meaning."""
    torch.manual_seed(3)
    backbone = Backbone(BackboneConfig())
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    path = tmp_path_factory.mktemp('pretrained') / 'backbone.safetensors'
    facts = {'data': 'procedural shapes', 'licence': 'Apache-2.0', 'step': 7}
    export_encoder(path, PretrainingConfig(), state, facts)
    return path


@pytest.mark.parametrize('folder', BUNDLES, ids=lambda folder: folder.name)
def test_every_shipped_bundle_names_a_recipe_that_ships(folder) -> None:
    recipe = json.loads((folder / 'manifest.json').read_text())['provenance']['recipe']
    kind = PeopleSettings if (folder / 'network.safetensors').is_file() else TrainingSettings
    settings = read_settings(kind, ROOT / recipe)
    assert (settings.name, settings.recipe) == (folder.name, recipe)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_default_recipe_runs_from_nothing_to_a_bundle(tmp_path, pretrained) -> None:
    """Killed in its second stage, it goes on there."""
    words = ['--config', 'config/training/default.yaml', f'output={tmp_path / "run"}',
             f'data.cache={tmp_path / "cache"}', f'network.backbone={pretrained}',
             *DEFAULT]  # fmt: skip
    process = subprocess.Popen(command(*words), env=ENVIRONMENT)
    end = time.monotonic() + 500
    while not (tmp_path / 'run' / 'clips' / 'last.ckpt').exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    frames = tmp_path / 'run' / 'frames' / 'weights.safetensors'
    stamp = frames.stat().st_mtime_ns
    facts = train(*words)
    assert frames.stat().st_mtime_ns == stamp, 'a finished stage was trained again'
    assert {(score['kind'], score['task']) for score in facts['scores']} == {
        (kind, task) for kind in ('yard/vlp16', 'indoor/rs16') for task in ('points', 'frames')
    }
    totals = {
        score['task']: score['total'] for score in facts['scores'] if score['kind'] == 'yard/vlp16'
    }
    assert totals['frames'] == 4 and totals['points'] > 10_000
    bundle = load_bundle(facts['bundle'], share_backbone=False)
    assert bundle.manifest.segmentation_classes == SEGMENTATION_CLASSES
    assert bundle.manifest.action_classes == ACTION_CLASSES
    tasks = json.loads((Path(facts['bundle']) / 'manifest.json').read_text())['tasks']
    assert [tuple(one) for one in tasks['segmentation']['colours']] == list(SEGMENTATION_COLOURS)
    provenance = bundle.manifest.provenance
    assert provenance['recipe'] == 'config/training/default.yaml'
    assert provenance['backbone'] == {
        'origin': 'pic_point backbone.safetensors', 'sha256': sha256_of(pretrained),
        'family': 'pic_point', 'step': 7, 'data': 'procedural shapes', 'licence': 'Apache-2.0',
    }  # fmt: skip
    assert len(provenance['validation']['scores']) == 4
    expected = load_backbone(pretrained).state_dict
    found = bundle.network.backbone.state_dict()
    for name, value in expected.items():
        assert torch.equal(found[name].float(), value.half().float()), name
    points = np.random.default_rng(0).uniform(-20, 20, (500, 3)).astype(np.float32)
    result = StreamingSession(bundle).step(points, 1)
    assert result.labels.shape == (500,)
    assert result.action.sum() == pytest.approx(1, abs=1e-4)
    page = Path(facts['report']).read_text()
    assert 'points, yard/vlp16' in page


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_street_recipe_goes_on_from_the_default_bundle_with_recorded_drives(tmp_path) -> None:
    for name in ('00', '01'):
        write_kitti_sequence(tmp_path / 'drives' / 'sequences' / name, scans=6, raw=(40, 10, 50))
    recorded = {'recorded': 'semantickitti'}
    mixes = {'frames': [recorded, *MIXES['frames']], 'clips': [recorded],
             'held_out': [{**recorded, 'sequences': ['01']}, *MIXES['held_out'][:1]]}  # fmt: skip
    facts = train(
        '--config', 'config/training/street.yaml', f'data.root={tmp_path / "drives"}',
        f'output={tmp_path / "run"}', f'data.cache={tmp_path / "cache"}',
        f'data.options={json.dumps({"mixes": mixes})}', 'data.processes=1', 'device=cpu',
        'precision=32',
        *(f'stages.{n}.optimiser.{name}=2' for n in (0, 1) for name in ('steps', 'batch')),
    )  # fmt: skip
    bundle = load_bundle(facts['bundle'])
    assert bundle.manifest.licence == 'CC-BY-NC-SA-4.0'
    assert {score['kind'] for score in facts['scores']} == {'recorded/hdl64', 'yard/vlp16'}
    before = load_bundle(ROOT / 'models' / 'default').network.segmentation_head.state_dict()
    after = bundle.network.segmentation_head.state_dict()
    for name in ('classify.weight', 'local.merge.weight'):
        change = (after[name] - before[name]).abs().max()
        assert 0 < change < 0.1, 'two steps from the weights of the default bundle'


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_drive_is_scored_by_a_bundle_that_learned_from_the_others_alone(
    tmp_path, monkeypatch
) -> None:
    for name, raw in (('00', (40, 10)), ('01', (50, 70)), ('02', (48, 80))):
        write_kitti_sequence(tmp_path / 'sequences' / name, scans=6, raw=raw)
    learned = []
    original = learned_drives.run_train
    monkeypatch.setattr(
        learned_drives, 'run_train', lambda settings: learned.append(settings) or original(settings)
    )
    recorded = {'recorded': 'semantickitti'}
    mixes = {'frames': [recorded], 'clips': [recorded], 'held_out': MIXES['held_out'][:1]}
    words = [
        '--data', tmp_path, '--output', tmp_path / 'found.json', '--work', tmp_path / 'work',
        '--drives', '01', '--methods', 'start', 'street',
        '--set', f'data.options={json.dumps({"mixes": mixes})}', 'data.processes=1', 'device=cpu',
        'precision=32',
        *(f'stages.{n}.optimiser.{name}=1' for n in (0, 1) for name in ('steps', 'batch')),
    ]  # fmt: skip
    for _ in range(2):  # the second time nothing is left to do
        assert learned_drives.main([*map(str, words)]) == 0
    (settings,) = learned
    assert settings.data.options['mixes']['frames'] == [{**recorded, 'without': ['01']}]
    runs = json.loads((tmp_path / 'found.json').read_text())['runs']
    assert [(one['task'], one['method']) for one in runs] == [('start', '01'), ('street', '01')]
    for one in runs:
        assert 0 <= one['miou'] <= 100 and one['flicker'] is not None
    assert json.loads((tmp_path / 'found.json').read_text())['settings']['street']['stages']


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_radar_recipe_runs_from_recordings_to_a_bundle(tmp_path) -> None:
    write_radar(tmp_path / 'data', recordings=5, frames=70)
    facts = train(
        '--config', 'config/training/radhar.yaml', f'data.root={tmp_path / "data"}',
        f'output={tmp_path / "run"}', f'data.cache={tmp_path / "cache"}', 'data.limit=6',
        'optimiser.epochs=1', 'optimiser.batch=2', 'device=cpu',
    )  # fmt: skip
    bundle = load_bundle(facts['bundle'])
    assert bundle.manifest.provenance['recipe'] == 'config/training/radhar.yaml'
    features = {'velocity': np.zeros(40), 'intensity': np.full(40, 20.0)}
    points = np.random.default_rng(0).normal(2, 0.3, (40, 3)).astype(np.float32)
    result = StreamingSession(bundle).step(points, 1, features)
    assert result.action.shape == (5,)
