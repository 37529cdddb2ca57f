# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Single frames are clips of length one: the recipe for scanned rooms trains on its own layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('lightning', reason='training needs the extra `train`')

from pointata_core.datasets.protocol import ClipDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.scenes.s3dis import CLASSES
from pointata_core.datasets.single_frames import SingleFrames
from pointata_core.errors import ConfigError
from pointata_core.training.clips.clip_store import open_store
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings
from pointata_core.training.skill.training import run_train

RECIPE = Path(__file__).resolve().parents[1] / 'config' / 'training' / 's3dis.yaml'


def write_rooms(root: Path) -> Path:
    """A floor and a wall per area, somewhere in a building, red and blue."""
    generator = np.random.default_rng(0)
    for area in range(1, 7):
        objects = root / f'Area_{area}' / 'office_1' / 'Annotations'
        objects.mkdir(parents=True)
        flat = generator.uniform(0, 2, (80, 3)) + (20 * area, -30, 1)
        for name, axis, colour in (('floor_1', 2, (255, 0, 0)), ('wall_1', 1, (0, 0, 255))):
            points = flat.copy()
            points[:, axis] = points[0, axis]
            rows = np.hstack([points, np.tile(colour, (len(points), 1))])
            np.savetxt(objects / f'{name}.txt', rows, fmt=['%.3f'] * 3 + ['%d'] * 3)
    return root


@pytest.fixture
def settings(tmp_path) -> TrainingSettings:
    return read_settings(TrainingSettings,
        RECIPE,
        [
            f'data.root={write_rooms(tmp_path / "rooms")}', f'data.cache={tmp_path / "cache"}',
            f'output={tmp_path / "run"}', 'network.backbone=random:tiny', 'data.variants=2',
            'network.geometry.tokens=8', 'network.geometry.patch_size=8',
            'network.geometry.context_neighbours=4', 'network.adapted_blocks=1',
            'optimiser.epochs=1', 'optimiser.batch=2', 'device=cpu', 'precision=32',
        ],
    )  # fmt: skip


def test_a_room_is_a_clip_with_its_colours_and_labels(settings):
    rooms = open_dataset('s3dis', settings.data.root, 'test')
    clips = SingleFrames(rooms)
    assert isinstance(clips, ClipDataset)
    clip = clips[0]
    assert (len(clips), len(clip), clip.name) == (1, 1, 'Area_5/office_1')
    np.testing.assert_array_equal(clip.points[0], rooms[0].points)
    np.testing.assert_array_equal(clip.features[0], rooms[0].features)
    np.testing.assert_array_equal(clip.labels[0], rooms[0].labels)
    assert clips.describe() == rooms.describe()


def test_prepared_rooms_lie_about_the_origin_and_keep_classes_and_colours(settings):
    store = open_store(settings.store_recipe('test', training=False), settings.data.cache)
    batch = store[[(0, 0)]]
    assert batch.points.shape[:2] == (1, 1)
    assert batch.points.abs().max() < 1  # metres by five, not somewhere in the building
    floor, wall = CLASSES.index('floor'), CLASSES.index('wall')
    label, colour = batch.label[batch.mask], batch.features[batch.mask]
    # The line where floor and wall meet may share voxels.
    assert (colour[label == floor][:, 0] >= 0).all() and (label == floor).sum() > 20
    assert (colour[label == wall][:, 2] >= 0).all() and (label == wall).sum() > 20


def test_the_recipe_trains_scores_and_writes_a_bundle(settings, tmp_path):
    result = run_train(settings)
    assert result.training['parameters']['embedder'] > 0
    written = json.loads((tmp_path / 'run' / 'results.json').read_text())
    assert written['scores'][0]['metrics'] == result.score.metrics
    assert (tmp_path / 'run' / 'bundle' / 'manifest.json').is_file()


def test_single_frames_are_not_cut_into_clips(settings):
    cut = read_settings(
        TrainingSettings, RECIPE, [f'data.root={settings.data.root}', 'data.sampling.frames=4']
    )
    with pytest.raises(ConfigError, match='s3dis has single frames') as caught:
        open_store(cut.store_recipe('train', training=True), settings.data.cache)
    assert 'data.sampling to null' in str(caught.value)
