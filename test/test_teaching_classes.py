# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A class that the bundle lacks is taught; what it knew is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip('lightning', reason='training needs the extra `train`')

from teaching_folders import street_project, truth_of
from teaching_server import TINY_TRAINING, labelled_street

from pointata_core.bundles.bundle import load_bundle
from pointata_core.datasets.scenes.semantickitti import SemanticKittiSequence
from pointata_core.errors import ConfigError
from pointata_core.models.scene.config import SceneConfig
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id
from pointata_core.teaching.classes import ClassTable, read_classes
from pointata_core.teaching.clicks import label_points
from pointata_core.teaching.learning import learn
from pointata_core.teaching.lessons import write_lessons
from pointata_core.teaching.project import Project
from pointata_core.teaching.propagation import THIS_SCAN
from pointata_core.training.domain.bundle_adaptation import going_on
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.network import build_network
from pointata_core.training.skill.settings import TrainingSettings

RECIPE = 'config/training/teach.yaml'
CAR = class_id('car')


def test_added_classes_have_ids_of_their_own_and_stay(tmp_path) -> None:
    with street_project(tmp_path / 'street', 1) as project:
        project.add_classes(['trolley', 'car', 'pallet'])
        assert project.classes.names == (*SEGMENTATION_CLASSES, 'trolley', 'pallet')
        ids = list(project.classes.ids.values())
        assert ids[-2:] == [1015, 1016] and len(set(ids)) == len(ids)
        label_points(project, 0, [1, 2], 'trolley')
    with Project(tmp_path / 'street') as project:
        project.add_classes(['pallet'])
        assert project.classes.names[-2:] == ('trolley', 'pallet')
        assert (project.known(0).words[[1, 2]] == 1015).all()
        assert set(project.classes.labels(project.known(0).words[[1, 2]])) == {15}


def test_a_list_of_classes_is_read_and_anything_else_is_named(tmp_path) -> None:
    path = tmp_path / 'my.yaml'
    path.write_text('[trolley, pallet]')
    assert read_classes(path) == ('trolley', 'pallet')
    for text in ('trolley: 1', '[]', '[1]', '[Trolley]', '[', '[a, 2]', ''):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r'my\.yaml'):
            read_classes(path)
    with pytest.raises(ConfigError, match='absent'):
        read_classes(tmp_path / 'absent.yaml')
    assert ClassTable.default().extended(()) == ClassTable.default()


def test_lessons_have_the_new_class_and_indoor_ones(tmp_path) -> None:
    folder = labelled_street(tmp_path / 'street', 5)
    with Project(folder) as project:
        project.add_classes(['trolley'])
        cars = np.flatnonzero(truth_of(0) == CAR)
        label_points(project, 0, cars, 'trolley', THIS_SCAN)
        label_points(project, 1, [0, 1], 'floor', THIS_SCAN)
        lessons = write_lessons(project, tmp_path)
        scans = list(SemanticKittiSequence(lessons.root / 'sequences' / '00'))
        assert (scans[0].label[cars] == 1015).all()
        assert (scans[1].label[[0, 1]] == 1000 + class_id('floor')).all()
        assert 'car' in lessons.distrusted


def test_a_head_grows_and_does_what_it_did(tmp_path) -> None:
    start = load_bundle('default', share_backbone=False).network.eval()
    bundle = load_bundle('default')
    settings = going_on(read_settings(TrainingSettings, RECIPE), bundle, tmp_path)
    network, _ = build_network(settings, {'points': (*SEGMENTATION_CLASSES, 'trolley')})
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(1, 1, 400, 3, generator=generator)
    features = torch.rand(1, 1, 400, 1, generator=generator)
    mask = torch.ones(1, 1, 400, dtype=torch.bool)
    with torch.no_grad():
        before = start(points, features, mask).segmentation
        after = network.eval()(points, features, mask).segmentation
    assert after.shape[-1] == 16
    torch.testing.assert_close(after[..., :15], before)
    assert (after.argmax(-1) < 15).float().mean() > 0.9
    other = replace(settings, network=replace(settings.network, scene=SceneConfig(lags=(1, 2, 4))))
    if other.network.scene != start.config.scene:
        with pytest.raises(ConfigError, match='another network'):
            build_network(other, {'points': SEGMENTATION_CLASSES})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_bundle_gets_the_class_that_was_taught(tmp_path) -> None:
    folder = labelled_street(tmp_path / 'street', 5, poses=False)
    words = [f'output={tmp_path / "run"}', f'data.cache={tmp_path / "cache"}', *TINY_TRAINING]
    with Project(folder) as project:
        project.add_classes(['trolley'])
        for scan in (0, 1):
            cars = np.flatnonzero(truth_of(scan) == CAR)
            label_points(project, scan, cars, 'trolley', THIS_SCAN)
        found = learn(project, 'default', read_settings(TrainingSettings, RECIPE, words))
        assert 'trolley' in found.taught_after.iou
    bundle = load_bundle(found.bundle)
    assert bundle.manifest.segmentation_classes == (*SEGMENTATION_CLASSES, 'trolley')
    facts = json.loads((tmp_path / 'run' / 'teaching.json').read_text())
    assert facts['taught_after']['points'] > 0
