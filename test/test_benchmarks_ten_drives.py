# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark on recorded drives counts what it promises to count."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.experiments import learned_drives, real_scans, scene_parts
from benchmarks.experiments.ten_drives import Counts, count_drive, main
from pointata_core.bundles.bundle import load_bundle
from pointata_core.evaluation.colours import colour_of
from pointata_core.taxonomy import SEGMENTATION_CLASSES
from pointata_core.training.engine.settings import read_settings
from pointata_core.training.skill.settings import TrainingSettings

ROAD, CAR, UNLABELLED_ID = 40, 10, 0
"""Raw ids of SemanticKITTI."""


def write_drive(folder: Path, shifts: list[float]) -> None:
    """Scans of one world at rest, of a sensor that drives along x: half road, half a car."""
    random = np.random.default_rng(0)
    world = random.uniform((-15, -15, -1.7), (15, 15, -1.6), (400, 3))
    world[200:, 2] += 1.0
    for name in ('velodyne', 'labels'):
        (folder / name).mkdir(parents=True)
    rows = []
    for number, x in enumerate(shifts):
        scan = np.zeros((400, 4), '<f4')
        scan[:, :3] = world - (x, 0, 0)
        scan.tofile(folder / 'velodyne' / f'{number:06d}.bin')
        labels = np.full(400, ROAD, '<u4')
        labels[200:] = CAR
        labels[:20] = UNLABELLED_ID
        labels.tofile(folder / 'labels' / f'{number:06d}.label')
        # Camera axes: x of the LiDAR is z of the camera.
        rows.append(f'1 0 0 0 0 1 0 0 0 0 1 {x}')
    (folder / 'poses.txt').write_text('\n'.join(rows) + '\n')


def test_points_with_truth_are_counted_by_range_and_matched_points_between_scans(
    untrained_bundle, tmp_path
):
    write_drive(tmp_path / 'drive', [0.0, 0.5, 1.0])
    counts = count_drive(tmp_path / 'drive', load_bundle(untrained_bundle), poses=True)
    assert sum(one.counts.sum() for one in counts.by_range) == 3 * 380
    # Within 20 m lies every point of the road; every point is found again in the next scan.
    assert counts.ghost[0] == 3 * 180
    assert counts.changed[0] == 2 * 400
    near = counts.by_range[0].counts
    assert near[SEGMENTATION_CLASSES.index('building')].sum() == 0
    assert 0 < near.sum() < 3 * 380


def test_figures_are_percentages_of_what_was_counted():
    road, car, building = (SEGMENTATION_CLASSES.index(n) for n in ('road', 'car', 'building'))
    counts = Counts(ghost=np.array([200, 3]), changed=np.array([400, 100]))
    counts.by_range[0].counts[road, road] = 60
    counts.by_range[0].counts[road, building] = 20
    counts.by_range[1].counts[car, car] = 15
    counts.by_range[1].counts[car, road] = 5
    found = counts.figures()
    assert found['accuracy'] == 75.0
    assert found['iou'] == {'road': pytest.approx(100 * 60 / 85, abs=0.01), 'car': 75.0}
    assert found['miou'] == pytest.approx((100 * 60 / 85 + 75) / 2, abs=0.01)
    assert found['car_recall'] == {'0-10 m': None, '10-20 m': 75.0, '20-40 m': None}
    assert (found['ghost_ground'], found['flicker']) == (1.5, 25.0)


def test_the_command_measures_bundles_and_keeps_those_of_before(untrained_bundle, tmp_path):
    for name in ('00', '01'):
        write_drive(tmp_path / 'data' / 'sequences' / name, [0.0, 0.5])
    output = tmp_path / 'found.json'
    for name in ('first', 'second'):
        words = ['--data', tmp_path / 'data', '--output', output]
        words += ['--bundles', f'{name}={untrained_bundle}']
        assert main([*map(str, words)]) == 0
    found = json.loads(output.read_text())['bundles']
    assert found['first'] == found['second']
    means = [one['miou'] for one in found['first']['drives'].values()]
    assert found['first']['worst'] == min(means)
    assert found['first']['mean'] == pytest.approx(sum(means) / 2, abs=0.01)


def test_a_drive_without_labels_is_refused(untrained_bundle, tmp_path, capsys):
    drive = tmp_path / 'data' / 'sequences' / '00'
    write_drive(drive, [0.0])
    (drive / 'poses.txt').unlink()
    words = ['--data', tmp_path / 'data', '--output', tmp_path / 'found.json']
    assert main([*map(str, words), '--bundles', f'one={untrained_bundle}']) == 2
    assert 'no labels or no poses' in capsys.readouterr().err


def test_a_picture_shows_labels_beside_the_truth_where_there_is_one(untrained_bundle, tmp_path):
    write_drive(tmp_path / 'drive', [0.0, 0.5])
    shown = []
    for name in ('with', 'without'):
        words = ['--recordings', f'{name}={tmp_path / "drive"}', '--output', str(tmp_path)]
        assert real_scans.main([*words, '--bundle', str(untrained_bundle)]) == 0
        with Image.open(tmp_path / f'{name}.webp') as image:
            shown.append(np.asarray(image.convert('RGB')))
        shutil.rmtree(tmp_path / 'drive' / 'labels', ignore_errors=True)
    assert shown[0].shape[1] > 2 * real_scans.PIXELS > 2 * shown[1].shape[1] - 10
    truth = shown[0][: real_scans.PIXELS, real_scans.PIXELS :].reshape(-1, 3)
    distance = np.abs(truth.astype(int) - colour_of('car', 0)).max(axis=1)
    assert (distance < 60).sum() > 20  # made smaller, a point is a little darker


def test_a_video_of_no_known_kind_is_refused_by_its_name(untrained_bundle, tmp_path, capsys):
    words = ['--recordings', f'one={tmp_path / "walk_rgb.mat"}', '--output', str(tmp_path)]
    assert real_scans.main([*words, '--bundle', str(untrained_bundle)]) == 2
    assert 'walk_rgb.mat is no depth video' in capsys.readouterr().err


def test_every_drive_is_scored_by_a_training_without_it():
    drives = ['00', '01', '02', '03', '04']
    groups = [learned_drives.left_out(drives, drive, 2) for drive in drives]
    assert groups == [['00', '01'], ['00', '01'], ['02', '03'], ['02', '03'], ['04']]
    recipe = read_settings(TrainingSettings, Path('config/training/street.yaml'), [])
    mixes = learned_drives.without_drives(recipe, groups[0]).data.options['mixes']
    recorded = [part for parts in mixes.values() for part in parts if 'recorded' in part]
    assert [part['without'] for part in recorded] == [['00', '01']] * 2


@pytest.mark.parametrize('part', scene_parts.PARTS)
def test_a_row_of_parts_is_the_default_recipe_but_for_its_part(part, tmp_path):
    words = argparse.Namespace(work=tmp_path, steps=[7, 3], settings=[])
    whole, found = scene_parts.read_recipe(words, 'whole'), scene_parts.read_recipe(words, part)
    assert [stage.optimiser['steps'] for stage in found.stages] == [7, 3]
    assert found.data == whole.data
    assert (found == whole) == (part == 'whole')
