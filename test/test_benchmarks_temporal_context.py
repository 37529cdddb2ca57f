# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The comparison over time: the same last frames for all, honest groups, runs that are kept."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason='training needs the extra `train`')


from scene_datasets import write_kitti_sequence
from small_training import write_backbone

from benchmarks.experiments import temporal_context
from benchmarks.experiments.motion_statistics import (
    motion_statistics,
    separation,
)
from benchmarks.experiments.temporal_runs import SKILL, STARTS, LastFrames, summarised
from benchmarks.run_store import Run
from pointata_core.errors import ConfigError
from pointata_core.models.point.config import GeometryConfig
from pointata_core.models.point.geometry import frame_geometry
from pointata_core.simulation import ShardJob
from pointata_core.training.clips.clip_batch import ClipBatch
from pointata_core.training.skill.scorers import SkillScore

ROOT = Path(__file__).resolve().parents[1]
SMALL = (
    'preparation.max_voxels=64', 'preparation.max_range_m=20', 'precision=32', 'data.variants=1',
    'network.geometry.tokens=6', 'network.geometry.patch_size=4',
    'network.geometry.context_neighbours=3', 'network.adapted_blocks=2',
    'network.segmentation_blocks=[3]', 'optimiser.epochs=1', 'optimiser.batch=2',
)  # fmt: skip


@pytest.fixture(scope='module')
def words(tmp_path_factory) -> list[str]:
    """A command line with a few low streets, a sequence of 21 scans and a tiny backbone."""
    folder = tmp_path_factory.mktemp('bench')
    root = write_kitti_sequence(folder / 'street', scans=21, raw=(40, 10, 252, 50))
    return [
        '--root', str(root), '--backbone', str(write_backbone(folder / 'backbone')),
        '--work', str(folder / 'work'), '--output', str(folder / 'results.json'),
        '--seeds', '0', '--set', *SMALL,
    ]  # fmt: skip


@pytest.fixture
def bench(words, monkeypatch) -> temporal_context.Bench:
    jobs = [ShardJob('traffic', 'kinect', seed, 1.6) for seed in (1, 2, 9)]
    monkeypatch.setattr(temporal_context, 'scene_jobs', lambda streets: jobs)
    return temporal_context.Bench(temporal_context.command_line().options(words))


def test_what_is_seen_ends_with_the_same_frame(bench):
    clips = bench.clips('simulated')
    assert (len(clips.train), len(clips.test)) == (4, 2)
    whole, told = LastFrames(clips.train, 0, False), LastFrames(clips.train, 0, True)
    single = LastFrames(clips.train, 1, False)
    pairs = [(0, 0), (3, 0)]
    assert whole[pairs].points.shape[:2] == (2, 8)
    assert told[pairs].motion.shape == (2, 8, 4, 4)
    assert whole[pairs].motion is None
    last = single[pairs]
    cells = last.points.shape[2]
    assert torch.equal(last.points[:, 0], whole[pairs].points[:, -1, :cells])
    assert torch.equal(last.label[:, 0], whole[pairs].label[:, -1, :cells])
    assert torch.equal(last.geometry.centres, whole[pairs].geometry.centres[7::8])


def test_the_recording_teaches_without_what_is_judged(bench):
    clips = bench.clips('recorded')
    assert (len(clips.train), len(clips.test)) == (14, 5)
    # Whatever is taught ends at frame 13 at the latest; what judges begins at 9 and ends at 16..20.
    settings = bench.settings('recorded')
    assert settings.data.sampling.frames == 8
    assert temporal_context.TEACH[1] == 14
    assert temporal_context.JUDGE[0] + 7 == 16
    assert clips.test.frames == clips.train.frames == 8


def test_groups_count_moving_things_as_what_they_are_and_apart():
    names = ('road', 'car', 'person', 'moving-car')
    counts = [[8, 2, 0, 0], [0, 5, 0, 5], [0, 0, 4, 0], [0, 4, 0, 6]]
    score = SkillScore('points', {}, 23, 34, counts, names)
    found = summarised(score)
    assert found['iou'] == pytest.approx({'road': 0.8, 'car': 20 / 22, 'person': 1.0})
    assert found['miou']['movable'] == pytest.approx((20 / 22 + 1) / 2)
    assert found['miou']['static'] == pytest.approx(0.8)
    assert found['iou_apart'] == pytest.approx({'moving-car': 6 / 15, 'car': 5 / 16})
    assert found['miou_apart']['all'] == pytest.approx((0.8 + 1 + 6 / 15 + 5 / 16) / 4)
    without = summarised(SkillScore('points', {}, 8, 10, [[8, 2], [0, 0]], ('road', 'floor')))
    assert 'miou_apart' not in without
    assert 'movable' not in without['miou']


def test_runs_are_kept_and_skills_are_those_of_the_results(bench, words):
    words = [*words, '--tasks', 'simulated', 'recorded', '--variants', 'single', 'displacements']
    temporal_context.run_all(temporal_context.command_line().options(words))
    results = Path(words[words.index('--output') + 1])
    runs = json.loads(results.read_text())['runs']
    starts = [f'{variant}/{start}' for variant in ('single', 'displacements') for start in STARTS]
    recorded = sorted(run['method'] for run in runs if run['task'] == 'recorded')
    assert recorded == sorted(starts)
    taught = {run['method']: run['steps'] for run in runs}
    assert (taught['single'], taught['displacements']) == (2, 2)
    assert (taught['single/skill'], taught['single/tuned']) == (0, 7)
    again = subprocess.run(
        [sys.executable, '-m', 'benchmarks', 'temporal-context', *words, '--list'], cwd=ROOT,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip().endswith('8 of 8 runs are there')
    fresh = temporal_context.Bench(temporal_context.command_line().options(words))
    others = fresh.carry_out(Run('recorded_19', 'single/tuned', 0))
    assert set(others['iou']) == {'road', 'car', 'building'}
    skill = next((fresh.arguments.work / 'runs').glob(f'simulated_single_seed_0/{SKILL}'))
    skill.write_bytes(skill.read_bytes() + b'x')
    with pytest.raises(ConfigError, match='is not the skill in'):
        fresh.carry_out(Run('recorded', 'single/tuned', 0))


def test_motion_statistics_are_larger_for_what_moves():
    assert separation([3.0, 2.0], [1.0, 0.0, 1.0]) == 1.0
    assert separation([0.0], [1.0, 2.0]) == 0.0
    assert separation([1.0, 1.0], [1.0]) == 0.5

    class Drive:
        """A sensor that drives past a row of posts, labelled cars, of which the first comes along.

        Posts stand 2 units apart and the sensor does 0.1 a frame.
        """

        classes, frames = {'points': ('car', 'moving-car')}, 6

        def __len__(self) -> int:
            return 1

        def __getitem__(self, pairs) -> ClipBatch:
            posts = torch.arange(5.0).mul(2).unsqueeze(1) * torch.tensor([1.0, 0, 0])
            drive = torch.tensor([0.1, 0, 0]) * torch.arange(6).view(6, 1, 1)
            points = posts - drive
            points[:, 0] = posts[0]
            motion = torch.eye(4).repeat(6, 1, 1)
            motion[1:, 0, 3] = -0.1
            index = torch.arange(5).repeat(6, 1)
            layout = frame_geometry(points, None, GeometryConfig(5, 1, context_neighbours=2))
            layout = replace(
                layout, centre_index=index, centres=points, patch_index=index.unsqueeze(-1)
            )
            label = torch.tensor([1, 0, 0, 0, 0]).repeat(1, 6, 1)
            mask = torch.ones(1, 6, 5, dtype=torch.bool)
            return ClipBatch(
                points[None], mask, label, torch.full((1, 6), -100), layout, motion=motion[None]
            )

    found = {
        name: (share, means) for name, share, means in motion_statistics(Drive(), (0.3,), 10.0)
    }
    tube = 'mean step along a tube of radius 3 m, '
    assert found[f'{tube}sensor motion taken out'] == (1.0, '1.00 against 0.00')
    assert found[f'{tube}as measured'] == (0.0, '0.00 against 1.00')
    patch = 'distance of a patch to the points 4 frames earlier, '
    assert found[f'{patch}sensor motion taken out'] == (1.0, '4.00 against 0.00')
    assert found['links of such a tube, as measured, 3 m'][1] == '5.00 against 5.00'


def test_other_settings_are_refused(bench, words):
    temporal_context.run_all(
        temporal_context.command_line().options(
            [*words, '--tasks', 'simulated', '--variants', 'single']
        )
    )
    other = [*words, '--tasks', 'simulated', '--variants', 'single', '--list']
    other[other.index('optimiser.epochs=1')] = 'optimiser.epochs=2'
    with pytest.raises(ConfigError, match=r'optimiser\.epochs'):
        temporal_context.run_all(temporal_context.command_line().options(other))


def test_streets_belong_to_their_splits_and_more_of_them_add_to_the_first():
    few, many = (
        temporal_context.scene_jobs({'train': n, 'validation': 2, 'test': 3}) for n in (11, 20)
    )
    digits = np.array([job.seed % 10 for job in few])
    assert [(digits < 8).sum(), (digits == 8).sum(), (digits == 9).sum()] == [11, 2, 3]
    assert {job.filename for job in few} <= {job.filename for job in many}
