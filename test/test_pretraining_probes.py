# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Probes: right on separable features, at chance on noise, honest about the test set."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('sklearn', reason='probes need the extra `pretrain`')
pytest.importorskip('manifold3d', reason='the generator needs the extra `pretrain`')

from scene_datasets import write_kitti_sequence, write_modelnet_text

from pointata_core.errors import ConfigError
from pointata_core.shapes import FAMILIES
from pointata_core.training.pretrain.probe_sets import dataset_clouds, procedural_clouds
from pointata_core.training.pretrain.probes import few_shot, linear_probe
from pointata_core.training.pretrain.splits import HELD_OUT_FAMILIES, TRAINING_FAMILIES


def blobs(classes: int, each: int, spread: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((classes, 12))
    label = np.repeat(np.arange(classes), each)
    noise = spread * rng.standard_normal((len(label), 12))
    return (centres[label] + noise).astype(np.float32), label


def test_separable_features_are_told_apart():
    score = linear_probe(*blobs(4, 20, 0.1), *blobs(4, 20, 0.1, seed=1))
    assert score.accuracy == 1.0 and score.chance == 0.25


def test_noise_is_at_chance():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((2, 400, 12)).astype(np.float32)
    label = np.arange(400) % 4
    assert 0.15 < linear_probe(train, label, test, label).accuracy < 0.35


def test_the_constant_does_not_depend_on_the_test_set():
    features, label = blobs(4, 20, 2.0)
    test, test_label = blobs(4, 20, 2.0, seed=1)
    score = linear_probe(features, label, test, test_label)
    other = linear_probe(features, label, test, (test_label + 1) % 4)
    assert score.constant == other.constant and score.accuracy > other.accuracy


def test_few_samples_suffice_to_choose_a_constant_single_ones_do_not():
    assert linear_probe(*blobs(3, 2, 0.1), *blobs(3, 9, 0.1, seed=1)).accuracy == 1.0
    with pytest.raises(ConfigError, match='two training samples'):
        linear_probe(*blobs(3, 1, 0.1), *blobs(3, 9, 0.1, seed=1))
    single = linear_probe(*blobs(3, 1, 0.1), *blobs(3, 9, 0.1, seed=1), constants=(0.1,))
    assert single.accuracy == 1.0 and single.constant == 0.1


def test_few_shot_is_repeatable_and_scores_unseen_samples():
    features, label = blobs(8, 30, 0.3)
    first = few_shot(features, label, ways=5, shots=5, queries=20, draws=4)
    assert first == few_shot(features, label, ways=5, shots=5, queries=20, draws=4)
    assert first.mean > 0.95
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(features.shape).astype(np.float32)
    assert few_shot(noise, label, ways=5, shots=5, draws=6).mean < 0.35


def test_few_shot_says_what_is_lacking():
    with pytest.raises(ConfigError, match='0 classes have 120 samples'):
        few_shot(*blobs(8, 30, 0.3), shots=100)


def test_families_are_trained_on_or_held_out_never_both():
    assert not set(HELD_OUT_FAMILIES) & set(TRAINING_FAMILIES)
    assert set(HELD_OUT_FAMILIES) | set(TRAINING_FAMILIES) == set(FAMILIES)
    groups = {family.group for family in FAMILIES.values()}
    assert {FAMILIES[name].group for name in HELD_OUT_FAMILIES} == groups


def test_procedural_sets_of_other_seeds_share_no_shape():
    first = procedural_clouds(2, 50, families=('sofa', 'axe'))
    again = procedural_clouds(2, 50, families=('sofa', 'axe'))
    other = procedural_clouds(2, 50, seed=2, families=('sofa', 'axe'))
    np.testing.assert_array_equal(first.points, again.points)
    assert first.label.tolist() == [0, 1, 0, 1] and first.classes == ('sofa', 'axe')
    assert np.linalg.norm(first.points, axis=-1).max() <= 1.0001
    nearest = np.abs(first.points[:, None] - other.points[None]).max(axis=(2, 3)).min()
    assert nearest > 0.01


def test_scans_show_one_side():
    whole = procedural_clouds(1, 400, families=('sofa',)).points[0]
    scan = procedural_clouds(1, 400, families=('sofa',), scanned=True).points[0]
    assert np.linalg.norm(scan, axis=1).max() == pytest.approx(1, abs=1e-5)

    # A closed surface surrounds its own centre; one side of it leaves half of the directions empty.
    def emptiest(cloud):
        directions = np.random.default_rng(0).standard_normal((200, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return ((cloud - cloud.mean(axis=0)) @ directions.T > 0.25).mean(axis=0).min()

    assert emptiest(scan) < emptiest(whole)


def test_public_data_sets_are_scaled_to_the_unit_sphere(tmp_path):
    write_modelnet_text(tmp_path, ['airplane_0001', 'flower_pot_0002'])
    clouds = dataset_clouds('modelnet40', tmp_path, 'train', 24)
    assert clouds.points.shape == (2, 24, 3)
    assert [clouds.classes[label] for label in clouds.label] == ['airplane', 'flower_pot']
    np.testing.assert_allclose(np.linalg.norm(clouds.points, axis=2).max(axis=1), 1, rtol=0.2)


def test_data_sets_without_a_class_per_cloud_are_refused(tmp_path):
    for sequence in ('00', '01', '02', '03', '04', '05', '06', '07', '09', '10'):
        write_kitti_sequence(tmp_path / 'sequences' / sequence, scans=1)
    with pytest.raises(ConfigError, match='class for each cloud'):
        dataset_clouds('semantickitti', tmp_path, 'train', 64)
