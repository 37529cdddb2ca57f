# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Experiments of pre-training: what variants share, sizes of networks, and their tables."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip('embreex', reason='images need the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')
pytest.importorskip('lightning', reason='training needs the extra `train`')


from benchmarks.experiments import pretraining, transfer
from benchmarks.run_store import Run, RunStore
from benchmarks.speed import pretraining_costs as costs
from benchmarks.tables import Results
from benchmarks.tables.adaptation import transfer as transfer_table
from benchmarks.tables.pretraining import parts
from pointata_core.errors import ConfigError
from pointata_core.models.camera.resnet import ResNet
from pointata_core.models.checkpoints.files import CheckpointError
from pointata_core.shapes.rendering import RenderSettings, procedural_sources, write_renderings
from pointata_core.training.pretrain.image_encoder import read_image_encoder
from pointata_core.training.pretrain.settings import TeacherConfig
from pointata_core.training.pretrain.teacher import save_teacher


@pytest.fixture
def bench(tmp_path, monkeypatch) -> pretraining.Bench:
    """Two steps on seven shapes, with probe sets too small to mean anything."""
    arguments = argparse.Namespace(
        images=tmp_path / 'images', teacher=tmp_path / 'teacher.safetensors', work=tmp_path,
        steps=2, shapes=7, view_shapes=7, short_teacher_steps=2, per_family=11, seeds=[0],
        precision='32', output=tmp_path / 'results.json', teacher_steps=2,
        list=False, groups=['teacher'],
        variants=['short ResNet-18'],
    )  # fmt: skip
    monkeypatch.setattr(pretraining, 'probe_sets', lambda per_family: {})
    return pretraining.Bench(arguments)


def test_view_variants_see_the_same_shapes_from_more_sides(bench):
    few, many = (bench.bank(pretraining.VARIANTS[f'{n} rendered views'].views) for n in (6, 12))
    assert (few.views, many.views) == (6, 12)
    assert np.array_equal(few.points, many.points)
    assert few.families == many.families


def test_short_teachers_differ_in_depth_alone_and_are_told_apart(bench):
    shallow, deep = (bench.teacher(depth) for depth in (18, 34))
    facts = [json.loads(path.with_suffix('.json').read_text()) for path in (shallow, deep)]
    assert [one['depth'] for one in facts] == [18, 34]
    configs = [{k: v for k, v in one['config'].items() if k != 'depth'} for one in facts]
    assert configs[0] == configs[1]
    assert read_image_encoder(shallow, 8).trunk.depth == 18
    assert read_image_encoder(deep, 8).trunk.depth == 34


def test_a_run_of_a_variant_is_kept_with_its_costs(bench):
    pretraining.run_all(bench.arguments)
    run = Run(pretraining.TASK, 'short ResNet-18', 0)
    store = RunStore(bench.arguments.output)
    assert store[run]['image_encoder']['costs']['images'] == 2 * 64
    assert store[run]['processor_s'] > 0
    pretraining.run_all(bench.arguments)
    assert RunStore(bench.arguments.output)[run] == store[run]


def test_the_table_gives_mean_and_deviation_over_seeds(tmp_path):
    store = RunStore(tmp_path / 'pretraining.json')
    for seed, accuracy in ((0, 0.9), (1, 0.8)):
        kind = {'linear': {'accuracy': accuracy}, 'few_shot': [{'mean': 0.5}]}
        scores = {'scores': {'whole': kind, 'scans': kind}, 'processor_s': 60.0 + seed}
        for name, one in pretraining.VARIANTS.items():
            if one.group == 'parts':
                store.add(Run(pretraining.TASK, name, seed), scores)
    assert '| local | 2 | 85.0 ± 7.1 | 85.0 ± 7.1 | 50.0 ± 0.0 |' in parts(Results(tmp_path))


def test_names_of_finished_runs_stay_as_they_are():
    """Renaming a variant would orphan runs that took hours."""
    parts = [name for name, one in pretraining.VARIANTS.items() if one.group == 'parts']
    assert parts == [
        'untrained', 'local + overall', 'overall', 'local', 'without pose', 'masked',
        'masked + local + overall', 'pose at the input', 'own image negatives',
        '5 of 20 views', '10 of 20 views',
    ]  # fmt: skip


def test_weights_of_no_such_network_are_refused(tmp_path):
    network = nn.Linear(2, 2)
    network.depth = 18
    save_teacher(tmp_path / 'other.safetensors', network, {})
    with pytest.raises(CheckpointError, match=r'other\.safetensors'):
        read_image_encoder(tmp_path / 'other.safetensors', 8)
    with pytest.raises(ConfigError, match=r'teacher\.depth is 50'):
        TeacherConfig(depth=50)


def test_flops_of_known_networks():
    linear = nn.Linear(30, 50)
    assert costs.flops(lambda: linear(torch.zeros(7, 30))) == 2 * 7 * 30 * 50
    # Published for ResNet-18 at 224 pixels: 1.8 G multiply-adds.
    assert costs.image_size(18, 224).flops / 2e9 == pytest.approx(1.8, abs=0.05)
    assert costs.image_size(34, 64).parameters == sum(
        p.numel() for p in ResNet(34, classes=0).parameters()
    )


def test_attention_is_counted():
    """Products with keys and values grow with the square of the tokens, all others linearly."""
    sizes = [costs.transformer_size('tiny', 512, tokens, 8).flops for tokens in (15, 31, 63)]
    # With the class token: 16, 32, 64. What is linear cancels in this difference.
    width, blocks = 192, 12
    curved = sizes[2] - 3 * sizes[1] + 2 * sizes[0]
    assert curved == 2 * 2 * blocks * width * (64**2 - 3 * 32**2 + 2 * 16**2)


def arguments_of_transfer(folder: Path, **changes) -> argparse.Namespace:
    values = {
        'full': folder / 'full.safetensors',
        'masked': [folder / 'masked.safetensors'], 'pic_point': [], 'seeds': [0, 1],
        'tasks': ['simulated'], 'tuning': ['head'], 'settings': [], 'scene_count': [2, 2],
        'scenes': folder / 'scenes',
        'work': folder, 'output': folder / 'transfer.json', 'list': False, 'utd': folder,
    }  # fmt: skip
    return argparse.Namespace(**values | changes)


def test_a_run_takes_the_backbone_of_its_seed_or_waits_for_it(tmp_path):
    arguments = arguments_of_transfer(tmp_path)
    run = Run('simulated', 'masked/head', 0)
    assert transfer.backbone_of(run, arguments) is None
    arguments.masked[0].touch()
    assert transfer.backbone_of(run, arguments) == str(arguments.masked[0])
    assert transfer.backbone_of(Run('simulated', 'masked/head', 1), arguments) is None
    assert transfer.backbone_of(Run('simulated', 'random/head', 1), arguments) == 'random:tiny'
    full = Run('simulated', 'pic-point-full/head', 2)
    assert transfer.backbone_of(full, arguments) is None
    arguments.full.touch()
    assert transfer.backbone_of(full, arguments) == str(arguments.full)


def test_scenes_of_both_splits_have_seeds_of_their_split():
    from pointata_core.datasets.scenes.simulated_clips import split_of_seed

    jobs = transfer.scene_jobs(20, 5)
    splits = [split_of_seed(job.seed) for job in jobs]
    assert splits == ['train'] * 20 + ['validation'] * 5
    assert len({job.filename for job in jobs}) == 25
    assert {job.scene for job in jobs[20:]} == {'yard', 'indoor'}


def test_the_transfer_table_gives_mean_and_deviation_over_seeds(tmp_path):
    store = RunStore(tmp_path / 'transfer.json')
    for seed, score in ((0, 0.5), (1, 0.7)):
        measured = {'metrics': {'miou': score}, 'processor_s': 50.0, 'trainable': 1234}
        store.add(Run('simulated', 'masked/head', seed), measured)
    text = transfer_table(Results(tmp_path))
    assert '| simulated | head | masked | 2 | 60.0 ± 14.1 | 1,234 | 50 s |' in text
    assert 'random |' not in text


def test_settings_of_the_tasks_can_be_read(tmp_path):
    for task in transfer.TASKS:
        settings = transfer.settings_of(task, arguments_of_transfer(tmp_path))
        assert [stage.kind for stage in settings.plan] == ['adapt']
        assert settings.data.name == task.removesuffix('_dense')


def test_images_of_other_settings_are_refused(bench):
    bench.bank(6)
    folder = bench.arguments.work / 'shared' / 'images-7-6-views'
    with pytest.raises(Exception, match='other settings'):
        write_renderings(folder, procedural_sources(7, 0), RenderSettings(size=32, views=6))
