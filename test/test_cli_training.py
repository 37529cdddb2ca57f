# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata train`` as its users meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import write_backbone, write_config, write_radar

from pointata_core.bundles.verify import verify_bundle
from pointata_core.cli.main import main
from pointata_core.datasets.registry import dataset_info
from pointata_core.training.engine.settings import read_settings, write_settings
from pointata_core.training.skill.network import build_network
from pointata_core.training.skill.settings import TrainingSettings

ROOT = Path(__file__).resolve().parents[1]
# Other commands keep their files in the same folder.
RECIPES = [
    path
    for path in sorted((ROOT / 'config' / 'training').glob('*.yaml'))
    if not path.name.startswith(('domain_', 'people', 'pretrain_'))
]


def pointata(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'pointata_core.cli.main', *map(str, words)],
        capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('cli_training')
    write_radar(folder / 'data', recordings=3, frames=10)
    write_backbone(folder / 'backbone')
    return write_config(folder / 'small.yaml', folder / 'data', folder / 'backbone')


def test_train_aligns_adapts_and_reports(config) -> None:
    pytest.importorskip('manifold3d')
    done = pointata('train', '--config', config, 'align.epochs=2', '--json')
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert verify_bundle(facts['bundle']).ok
    assert facts['scores'][0]['total'] == 5
    assert facts['scores'][0]['right'] == sum(
        row[number] for number, row in enumerate(facts['scores'][0]['confusion'])
    )
    assert len(facts['align']['losses']) == 2
    page = Path(facts['report']).read_text()
    assert f'data-value="{facts["scores"][0]["metrics"]["accuracy"]}"' in page
    assert 'data-key="align.after.otdd"' in page
    scaled = facts['align']['offsets_scaled']
    assert scaled != 1 and f'"align.offsets_scaled">{scaled:.4f}<' in page
    assert 'src="http' not in page and 'href="http' not in page
    saved = read_settings(TrainingSettings, Path(facts['report']).parent / 'settings.yaml')
    assert saved == read_settings(TrainingSettings, config, ['align.epochs=2'])


@pytest.mark.parametrize(
    ('override', 'named'),
    [
        ('optimizer.epochs=2', 'optimizer'),
        ('optimiser.epochs=many', 'optimiser.epochs'),
        ('optimiser.epochs=0', 'epochs is 0'),
        ('tuning.mode=prompt', 'prompt'),
        ('data.name=imaginary', 'imaginary'),
        ('data.root=/nonexistent', '/nonexistent'),
        ('network.backbone=nowhere', 'nowhere'),
        ('tasks=[points]', 'points'),
        ('stages=[adapt, adapt]', 'stages'),
        ('stages.0.kind=probe', 'stages.0.kind'),
        ('seed', 'name.of.field=value'),
    ],
)
def test_wrong_input_is_named(config, tmp_path, capsys, override: str, named: str) -> None:
    status = main(['train', '--config', str(config), f'output={tmp_path / "run"}', override])
    assert status == 2
    assert named in capsys.readouterr().err


def test_a_missing_file_is_named(capsys) -> None:
    assert main(['train', '--config', 'absent.yaml']) == 2
    assert 'absent.yaml' in capsys.readouterr().err


def test_shipped_recipes_are_found_from_anywhere_and_own_files_come_first(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings(TrainingSettings, 'config/training/radhar.yaml').name == 'radhar'
    own = tmp_path / 'config' / 'training' / 'radhar.yaml'
    own.parent.mkdir(parents=True)
    own.write_text('name: mine\n')
    assert read_settings(TrainingSettings, 'config/training/radhar.yaml').name == 'mine'


def test_settings_survive_a_round_trip(config, tmp_path) -> None:
    settings = read_settings(TrainingSettings, config, ['seed=7', 'augmentation.scale=[0.8, 1.1]'])
    assert settings.seed == 7 and tuple(settings.augmentation.scale) == (0.8, 1.1)
    write_settings(settings, tmp_path / 'again.yaml')
    assert read_settings(TrainingSettings, tmp_path / 'again.yaml') == settings


def test_text_that_looks_like_a_number_stays_text(config) -> None:
    words = ['precision=32', 'name=5', 'optimiser.epochs=4', 'data.options.subjects=[1]']
    settings = read_settings(TrainingSettings, config, words)
    assert (settings.precision, settings.name, settings.optimiser.epochs) == ('32', '5', 4)
    assert settings.data.options == {'subjects': [1]}


def test_overrides_beat_the_file_and_the_file_beats_the_defaults(config) -> None:
    assert TrainingSettings().optimiser.epochs == 30
    assert read_settings(TrainingSettings, config).optimiser.epochs == 3
    changed = read_settings(TrainingSettings, config, ['optimiser.epochs=4'])
    assert changed == replace(
        read_settings(TrainingSettings, config),
        optimiser=replace(read_settings(TrainingSettings, config).optimiser, epochs=4),
    )


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_recipes_can_be_read_and_fit_their_data_sets(path: Path) -> None:
    settings = read_settings(TrainingSettings, path)
    info = dataset_info(settings.data.name)
    # Single frames are clips of length one; nothing can be sampled from them.
    assert info.kind == 'clips' or settings.data.sampling is None
    for split in (settings.data.train, settings.data.validation):
        known = info.splits or settings.data.options['mixes']
        assert split in known
    # Nothing is chosen by the scored split. Recipes with a published protocol score `test`.
    published = path.stem in ('hoi4d_actions', 'hoi4d_semantics', 'msr_action3d', 'synthia4d')
    assert (settings.data.validation == 'test') == published
    if published:
        assert settings.data.train in ('train', 'trainval')


def test_there_are_recipes_for_all_kinds_of_tasks() -> None:
    assert {task for path in RECIPES for task in read_settings(TrainingSettings, path).tasks} == {
        'clip',
        'frames',
        'points',
    }


def test_stages_can_be_run_on_their_own(config, tmp_path) -> None:
    pytest.importorskip('manifold3d')
    words = ['stages=[align]', 'align.epochs=1', f'output={tmp_path / "run"}']
    done = pointata('train', '--config', config, *words, '--json')
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert len(facts['align']['losses']) == 1 and facts['scores'] == []
    assert not (tmp_path / 'run' / 'bundle').exists()
    embedder = tmp_path / 'run' / 'align' / 'weights.safetensors'
    taken = read_settings(TrainingSettings, config, [f'network.embedder={embedder}'])
    network, _ = build_network(taken, {'clip': ('a', 'b')})
    plain, _ = build_network(read_settings(TrainingSettings, config), {'clip': ('a', 'b')})
    aligned, before = (one.embedder.state_dict() for one in (network, plain))
    assert any(not torch.equal(aligned[name], tensor) for name, tensor in before.items())
