# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes, colours and the mapping from SemanticKITTI fit together."""

from __future__ import annotations

import numpy as np

from pointata_core import taxonomy


def test_every_class_has_a_name_and_a_colour_of_its_own():
    for names, colours in (
        (taxonomy.SEGMENTATION_CLASSES, taxonomy.SEGMENTATION_COLOURS),
        (taxonomy.ACTION_CLASSES, taxonomy.ACTION_COLOURS),
        (taxonomy.PERSON_ACTIONS, taxonomy.PERSON_ACTION_COLOURS),
    ):
        assert len(set(names)) == len(names) == len(colours)
        distance = np.linalg.norm(
            np.subtract.outer(np.array(colours), np.array(colours)).diagonal(axis1=1, axis2=3),
            axis=-1,
        )
        assert distance[~np.eye(len(names), dtype=bool)].min() > 30


def test_no_action_comes_first():
    assert taxonomy.ACTION_CLASSES[0] == 'none'
    assert taxonomy.action_id('punch') == len(taxonomy.ACTION_CLASSES) - 1


def test_semantickitti_ids_keep_their_low_half_and_unknown_ones_are_ignored():
    raw = np.array([10, 10 | 7 << 16, 252, 40, 60, 81, 31, 0, 65535, 52], np.uint32)
    names = [
        taxonomy.SEGMENTATION_CLASSES[i] if i != taxonomy.UNLABELLED else None
        for i in taxonomy.labels_from_semantickitti(raw)
    ]
    assert names == ['car', 'car', 'car', 'road', 'road', 'pole', None, None, None, None]


def test_all_outdoor_classes_can_be_measured_on_semantickitti():
    reached = {taxonomy.SEGMENTATION_CLASSES[i] for i in taxonomy.SEMANTICKITTI_TO_OURS.values()}
    indoor = {'floor', 'wall', 'ceiling', 'furniture'}
    assert reached == set(taxonomy.SEGMENTATION_CLASSES) - indoor
