# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Action segmentation and semantic segmentation: trained, scored and served."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import write_backbone, write_config

from pointata_core.bundles.bundle import load_bundle
from pointata_core.inference.session import StreamingSession
from pointata_core.models.point.network_output import NetworkOutput
from pointata_core.taxonomy import IGNORE
from pointata_core.training.clips.clip_batch import collate, frame_of
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.scoring import score_clips
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

scene_datasets = pytest.importorskip('scene_datasets', reason='HOI4D files need h5py')


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    from pointata_core.datasets.scenes.hoi4d import ACTION_FILES, SEMANTIC_FILES

    folder = tmp_path_factory.mktemp('tasks')
    write_backbone(folder / 'backbone')
    names = [name for group in ACTION_FILES.values() for name in group]
    scene_datasets.write_hoi4d_actions(folder / 'actions', names, frames=150, points=12)
    rows = dict(zip(SEMANTIC_FILES['train'], (2, 2, 2, 1), strict=True))
    rows |= dict.fromkeys(SEMANTIC_FILES['test'], 1)
    scene_datasets.write_hoi4d_semantics(folder / 'semantics', rows, frames=6, points=60)
    return folder


def run(folder: Path, task: str, name: str):
    (folder / f'{task}_run').mkdir()
    config = write_config(
        folder / f'{task}_run' / 'small.yaml',
        folder / name,
        folder / 'backbone',
        tasks=[task],
        stages=['adapt'],
        data={
            'name': f'hoi4d_{name}', 'root': str(folder / name), 'sampling': None, 'variants': 1,
            'cache': str(folder / 'cache'),
        },
        optimiser={'epochs': 1, 'batch': 2, 'class_weight_power': 0.5},
        preparation={'origin': 'first_frame', 'voxel_size_m': 0.02, 'max_range_m': 2000.0},
    )  # fmt: skip
    settings = read_settings(TrainingSettings, config)
    return settings, run_train(settings)


def test_an_action_for_every_frame(folder) -> None:
    _, result = run(folder, 'frames', 'actions')
    assert {'accuracy', 'edit', 'f1_10', 'f1_25', 'f1_50'} == set(result.score.metrics)
    assert result.score.total % 150 == 0 and result.score.total > 0
    assert np.sum(result.score.confusion) == result.score.total
    assert result.training['frozen_features'] is True
    assert load_bundle(result.bundle).manifest.tasks.keys() == {'action'}


def test_a_class_for_every_point(folder) -> None:
    _, result = run(folder, 'points', 'semantics')
    assert set(result.score.metrics) == {'miou', 'accuracy'}
    assert result.training['frozen_features'] is False
    bundle = load_bundle(result.bundle)
    answer = StreamingSession(bundle).step(np.random.default_rng(0).normal(size=(70, 3)), 1)
    assert answer.labels.shape == (70,) and (answer.labels < 49).all()
    saved = json.loads((result.bundle.parent / 'results.json').read_text())
    assert saved['scores'][0]['total'] == result.score.total > 0


class Oracle:
    """Stands where a network stands and says what it is told, to check the counting."""

    training = False

    def __init__(self, answers: list[NetworkOutput]) -> None:
        self.answers = iter(answers)

    def to(self, device):
        return self

    def eval(self):
        return self

    def train(self, mode: bool = True):
        return self

    def __call__(self, *inputs, **named) -> NetworkOutput:
        return next(self.answers)


class Clips:
    """Three clips of two recordings with two classes; two frames, no points."""

    variants, classes = 1, {'clip': ('a', 'b')}
    videos, truth = np.array([0, 0, 1]), (1, 1, 0)

    def __len__(self) -> int:
        return 3

    def __getitem__(self, pairs):
        frame = {
            'points': np.zeros((1, 3), np.float32),
            'centre_index': np.zeros(1, np.int16),
            'patch_index': np.zeros((1, 1), np.int16),
            'context_index': np.zeros((1, 1), np.int16),
        }
        return collate([[{**frame, 'action': np.int64(self.truth[clip])}] * 2 for clip, _ in pairs])


def test_clips_of_a_recording_vote_by_their_softmax() -> None:
    def said(*last: tuple[float, float]) -> NetworkOutput:
        logits = torch.tensor(last).log()
        return NetworkOutput(None, torch.stack([torch.zeros_like(logits), logits], 1))

    # The first clip is wrong by a little, the second right by much: together right.
    answers = [said((0.6, 0.4), (0.1, 0.9)), said((0.2, 0.8))]
    (score,) = score_clips(Oracle(answers), Clips(), ['clip'], batch=2)
    assert (score.right, score.total) == (1, 2)
    assert score.confusion == [[0, 1], [0, 1]]
    assert score.metrics['clip_accuracy'] == pytest.approx(1 / 3)
    assert score.metrics['mean_class_accuracy'] == pytest.approx(0.5)


def test_points_without_a_label_are_left_out_of_loss_and_score(folder) -> None:
    from pointata_core.training.skill.adapt import logits_and_truth

    frame = {
        'points': np.zeros((4, 3), np.float32),
        'label': np.array([0, 1, IGNORE, 1], np.int16),
        'action': np.int64(IGNORE),
        'centre_index': np.zeros(1, np.int16),
        'patch_index': np.zeros((1, 1), np.int16),
        'context_index': np.zeros((1, 1), np.int16),
    }
    clip = {**frame, 'offsets': np.array([0, 4]), 'action': np.array([IGNORE])}
    clip = {k: v[None] if k.endswith('index') else v for k, v in clip.items()}
    batch = collate([[frame_of(clip, 0)]])
    output = NetworkOutput(torch.arange(8.0).view(1, 1, 4, 2), None)
    logits, truth = logits_and_truth('points', output, batch)
    assert truth.tolist() == [0, 1, 1]
    assert logits.tolist() == [[0, 1], [2, 3], [6, 7]]
