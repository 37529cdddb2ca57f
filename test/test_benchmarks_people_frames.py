# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Probes of frozen features on single frames of people."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('embreex', reason='scans need the extra `pretrain`')
pytest.importorskip('sklearn', reason='probes need the extra `pretrain`')

from benchmarks.experiments import followed_tokens, frozen_features
from benchmarks.experiments.people_frames import (
    PARTS,
    found_poses,
    pairs_of_people,
    probe_people,
)
from pointata_core.models.point.backbone import Backbone
from pointata_core.models.point.config import BackboneConfig
from pointata_core.training.pretrain.splits import PROBE_SEED

SMALL = BackboneConfig(width=24, depth=2, heads=2, encoder_hidden=(8, 12), encoder_width=24)


def test_partners_are_found_when_their_features_are_alike():
    rng = np.random.default_rng(0)
    pose = rng.standard_normal((20, 8)).repeat(2, axis=0)
    assert found_poses(pose + 0.01 * rng.standard_normal(pose.shape)) == 1.0
    assert found_poses(rng.standard_normal((40, 8))) < 0.3


def test_people_of_a_pair_share_the_pose_and_differ_in_body_and_points():
    pairs = pairs_of_people(4)
    assert pairs[0][0].points.shape == (1024, 3)
    for first, second in pairs:
        for frame in (first, second):
            np.testing.assert_allclose(frame.points.mean(axis=0), 0, atol=1e-5)
            assert np.linalg.norm(frame.points, axis=1).max() == pytest.approx(1, abs=1e-5)
        assert not np.array_equal(first.points, second.points)
    again = pairs_of_people(2)[1][1]
    np.testing.assert_array_equal(again.points, pairs[1][1].points)
    head, trunk = (PARTS.index(name) for name in ('head', 'trunk'))
    standing = pairs[0][0]
    up = standing.points[:, 2]
    assert up[standing.part == head].mean() > up[standing.part == trunk].mean()
    assert len(PARTS) == 10 and PROBE_SEED >= 1_000_000


def test_tubes_on_people_who_stand_still_stay_on_their_part():
    points, parts = followed_tokens.clip_of('kinect', 'walk', 0)
    assert points.shape == (8, 512, 3) and parts.shape == (8, 512)
    still = followed_tokens.tube_scores(points[:1].repeat(8, 0), parts[:1].repeat(8, 0), 'followed')
    moving = {
        anchors: followed_tokens.tube_scores(points, parts, anchors)
        for anchors in ('sampled', 'followed')
    }
    assert [row['different'] for row in still] == [1.0] * 3
    assert still[0]['same_part'] > 0.8
    assert moving['followed'][-1]['different'] > moving['sampled'][-1]['different'] + 0.2


def test_a_probe_counts_parts_and_poses():
    torch.manual_seed(0)
    found = probe_people(Backbone(SMALL).eval(), 20)
    assert found['people'] == 20
    assert 0 <= found['poses'] <= 1
    assert found['parts'] > 1.2 * found['parts_most_frequent'] > 0


def test_upright_frames_have_z_up_and_keep_handedness():
    camera = np.array([[0.0, 1.0, 2.0], [0, 0, 2], [0.5, 0, 2], [0, 0, 3]])
    preparation = frozen_features.PREPARATIONS['upright like pre-training']
    plain = frozen_features.PREPARATIONS['like pre-training']
    turned, seen = preparation.cloud(camera), plain.cloud(camera)
    np.testing.assert_allclose(turned[:, 2], -seen[:, 1])  # y points down in a camera
    np.testing.assert_allclose(turned[:, 0], seen[:, 2])
    np.testing.assert_allclose(turned[:, 1], -seen[:, 0])


def test_the_command_adds_runs_on_people_to_its_file(tmp_path: Path):
    output = tmp_path / 'frozen.json'
    words = ['--tasks', frozen_features.PEOPLE, '--people', '10', '--output', str(output)]
    assert frozen_features.main(words) == 0
    (run,) = json.loads(output.read_text())['runs']
    assert (run['task'], run['method'], run['people']) == ('simulated people', 'random', 10)
