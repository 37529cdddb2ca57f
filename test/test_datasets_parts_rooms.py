# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeNetPart and S3DIS: labels by category and file name, damage named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import FrameDataset
from pointata_core.datasets.registry import open_dataset
from pointata_core.datasets.scenes.s3dis import CLASSES
from pointata_core.datasets.shapes.shapenet_part import CATEGORIES, FOLDER, parts_of
from pointata_core.training.pretrain.probe_sets import dataset_clouds

SYNSETS = {'Chair': '03001627', 'Mug': '03797390'}


def write_parts(root: Path, train=('Chair', 'Mug'), points: int = 20) -> Path:
    home = root / FOLDER
    (home / 'train_test_split').mkdir(parents=True)
    lines = [f'{name}\t{synset}\n' for name, synset in SYNSETS.items()]
    (home / 'synsetoffset2category.txt').write_text(''.join(lines))
    for split, names in (('train', train), ('val', ('Mug',)), ('test', ())):
        entries = []
        for number, name in enumerate(names):
            shape = f'{SYNSETS[name]}/{split}{number}'
            entries.append(f'shape_data/{shape}')
            (home / SYNSETS[name]).mkdir(exist_ok=True)
            rows = np.random.default_rng(number).normal(size=(points, 7))
            rows[:, 6] = np.resize(parts_of(name), points)
            np.savetxt(home / f'{shape}.txt', rows, '%.6f')
        path = home / 'train_test_split' / f'shuffled_{split}_file_list.json'
        path.write_text(json.dumps(entries))
    return home


def write_room(root: Path, area: int, room: str, objects: dict[str, int]) -> Path:
    folder = root / f'Area_{area}' / room / 'Annotations'
    folder.mkdir(parents=True)
    for number, (name, points) in enumerate(objects.items()):
        rows = np.full((points, 6), 51.0)
        rows[:, 0] = number
        np.savetxt(folder / f'{name}.txt', rows, '%.3f')
    return folder


def test_parts_count_on_from_category_to_category():
    ranges = [parts_of(name) for name in CATEGORIES]
    assert [part for parts in ranges for part in parts] == list(range(50))
    assert list(parts_of('Motorbike')) == [30, 31, 32, 33, 34, 35]


def test_shapes_have_parts_normals_and_a_category(tmp_path):
    home = write_parts(tmp_path)
    dataset = open_dataset('shapenet_part', tmp_path)
    assert isinstance(dataset, FrameDataset) and len(dataset.classes) == 50
    mug = dataset[1]
    rows = np.loadtxt(home / f'{mug.name}.txt')
    np.testing.assert_allclose(mug.points, rows[:, :3], rtol=1e-6)
    np.testing.assert_allclose(mug.features, rows[:, 3:6], rtol=1e-6)
    assert dataset.category_names[mug.category] == 'Mug'
    assert set(mug.labels.tolist()) == {36, 37}
    assert len(open_dataset('shapenet_part', home, 'trainval')) == 3
    assert dataset.describe().per_class['train']['Chair'] == 1


def test_categories_serve_the_probe(tmp_path):
    write_parts(tmp_path)
    clouds = dataset_clouds('shapenet_part', tmp_path, 'train', 10)
    assert [clouds.classes[label] for label in clouds.label] == ['Chair', 'Mug']


def test_damaged_shapes_are_named(tmp_path):
    home = write_parts(tmp_path)
    path = home / SYNSETS['Mug'] / 'train1.txt'
    dataset = open_dataset('shapenet_part', tmp_path)
    whole = path.read_text()
    for text, reason in (
        (whole.replace('36.000000', '12.000000'), 'parts 12 to 37'),
        (whole[:-4] + 'x', 'train1.txt'),
        ('1 2 3\n', 'rows of 3 numbers'),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=reason):
            dataset[1]
    path.unlink()
    assert dataset.describe().missing == (f'{SYNSETS["Mug"]}/train1.txt',)
    assert [error is None for error in dataset.verify()] == [True, False]


def test_lists_of_unknown_shapes_are_refused(tmp_path):
    home = write_parts(tmp_path)
    listed = home / 'train_test_split' / 'shuffled_train_file_list.json'
    for text, reason in (
        ('["shape_data/1/2"]', 'known synset'),
        ('[', 'file_list'),
        ('{}', 'list'),
    ):
        listed.write_text(text)
        with pytest.raises(DataError, match=reason):
            open_dataset('shapenet_part', tmp_path)


def test_rooms_join_their_objects_with_classes_by_file_name(tmp_path):
    write_room(tmp_path, 5, 'office_1', {'chair_1': 3, 'stairs_1': 2, 'wall_2': 4})
    dataset = open_dataset('s3dis', tmp_path, 'test')
    room = dataset[0]
    assert isinstance(dataset, FrameDataset)
    assert room.name == 'Area_5/office_1'
    assert [CLASSES[label] for label in room.labels] == ['chair'] * 3 + ['clutter'] * 2 + [
        'wall'
    ] * 4
    np.testing.assert_allclose(room.features, 0.2)
    assert room.points[:, 0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert dataset.describe().counts == {'test': {'rooms': 1}}


def test_areas_make_the_splits(tmp_path):
    for area in range(1, 7):
        write_room(tmp_path, area, f'hall_{area}', {'floor_1': 2})
    train = open_dataset('s3dis', tmp_path, 'train')
    assert [train[i].sequence for i in range(len(train))] == [f'Area_{a}' for a in (1, 2, 3, 4, 6)]
    fit, validation = (open_dataset('s3dis', tmp_path, part) for part in ('fit', 'validation'))
    parts = [
        room.sequence
        for part in (fit, validation)
        for room in map(part.__getitem__, range(len(part)))
    ]
    assert parts == [f'Area_{a}' for a in (1, 2, 3, 4, 6)]
    assert open_dataset('s3dis', tmp_path, 'area_5')[0].name == 'Area_5/hall_5'


def test_damaged_rooms_are_named(tmp_path):
    folder = write_room(tmp_path, 5, 'office_1', {'chair_1': 3})
    dataset = open_dataset('s3dis', tmp_path, 'test')
    (folder / 'dragon_1.txt').write_text('0 0 0 0 0 0\n')
    with pytest.raises(DataError, match='dragon'):
        dataset[0]
    (folder / 'dragon_1.txt').unlink()
    (folder / 'chair_1.txt').write_text('0 0 0 0 0 \x101\n')
    with pytest.raises(DataError, match=r'chair_1\.txt'):
        dataset[0]
    with pytest.raises(DataError, match='Area_1 is missing'):
        open_dataset('s3dis', tmp_path)
