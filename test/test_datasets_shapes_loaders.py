# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ShapeNet-55, ModelNet40 in two forms and ScanObjectNN: classes fixed by name, files checked."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scene_datasets import (
    MODELNET_NAMES,
    shape_with_normals,
    write_hdf5,
    write_modelnet_hdf5,
    write_modelnet_text,
    write_scanobjectnn,
    write_shapenet,
)

from pointata_core.datasets.errors import DataError
from pointata_core.datasets.protocol import FrameDataset
from pointata_core.datasets.registry import dataset_info, open_dataset
from pointata_core.datasets.shapes.scanobjectnn import ScanObjectNN
from pointata_core.datasets.shapes.shapenet55 import CATEGORIES, ShapeNet55
from pointata_core.errors import ConfigError

CHAIR, PLANE, WASHER = '03001627-aa12', '02691156-b-7', '04554684-c3'


def test_shapenet_labels_do_not_depend_on_what_is_there(tmp_path):
    home = write_shapenet(tmp_path, [CHAIR, WASHER, CHAIR.replace('aa', 'bb')], [PLANE])
    dataset = open_dataset('shapenet55', tmp_path, 'train')
    assert isinstance(dataset, FrameDataset)
    assert [dataset.classes[label] for label in dataset.categories] == [
        'chair',
        'washing machine',
        'chair',
    ]
    frame = dataset[1]
    np.testing.assert_array_equal(frame.points, np.load(home / 'shapenet_pc' / f'{WASHER}.npy'))
    assert frame.category == 54
    assert frame.name == WASHER
    test = ShapeNet55(home, 'test')
    assert (len(test), test[0].category) == (1, 0)
    assert len(set(CATEGORIES.values())) == len(CATEGORIES) == 55
    assert list(CATEGORIES) == sorted(CATEGORIES)


def test_shapenet_counts_what_is_there(tmp_path):
    home = write_shapenet(tmp_path, [CHAIR, PLANE])
    (home / 'shapenet_pc' / f'{PLANE}.npy').unlink()
    dataset = ShapeNet55(tmp_path)
    description = dataset.describe()
    assert description.counts == {'train': {'shapes': 1}}
    assert description.per_class['train']['chair'] == 1
    assert description.missing == (f'{PLANE}.npy',)
    assert [error is None for error in dataset.verify()] == [True, False]
    with pytest.raises(DataError, match=r'b-7\.npy is missing, expected an array \(8192, 3\)'):
        dataset[1]


@pytest.mark.parametrize(
    ('array', 'words'),
    [
        (np.zeros((5, 4), np.float32), r'\(5, 4\)'),
        (np.full((5, 3), np.nan), '5 rows'),
        (np.array([[object()] * 3]), 'allow_pickle'),
        (np.zeros((0, 3)), '0 rows'),
    ],
)
def test_shapenet_files_of_another_form_are_named(tmp_path, array, words):
    home = write_shapenet(tmp_path, [CHAIR])
    np.save(home / 'shapenet_pc' / f'{CHAIR}.npy', array, allow_pickle=True)
    with pytest.raises(DataError, match=words) as error:
        ShapeNet55(tmp_path)[0]
    assert CHAIR in error.value.message


def test_shapenet_truncation_and_lists_are_named(tmp_path):
    home = write_shapenet(tmp_path, [CHAIR])
    path = home / 'shapenet_pc' / f'{CHAIR}.npy'
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(DataError, match='aa12'):
        ShapeNet55(tmp_path)[0]
    (home / 'ShapeNet-55' / 'train.txt').write_text('99999999-x.npy\n')
    with pytest.raises(DataError, match=r'train\.txt.*99999999'):
        ShapeNet55(tmp_path)
    (home / 'ShapeNet-55' / 'train.txt').unlink()
    with pytest.raises(DataError, match=r'train\.txt is missing'):
        ShapeNet55(tmp_path)


def test_modelnet_text_has_points_normals_and_classes_by_file_name(tmp_path):
    write_modelnet_text(tmp_path, ['flower_pot_0002', 'airplane_0001'], ['thing05_0003'])
    dataset = open_dataset('modelnet40', tmp_path, 'train')
    assert isinstance(dataset, FrameDataset)
    assert [dataset.classes[label] for label in dataset.categories] == ['flower_pot', 'airplane']
    for index in range(2):
        frame = dataset[index]
        rows = shape_with_normals(frame.name)
        np.testing.assert_allclose(frame.points, rows[:, :3], atol=1e-6)
        np.testing.assert_allclose(frame.features, rows[:, 3:], atol=1e-6)
    test = open_dataset('modelnet40', tmp_path / 'modelnet40_normal_resampled', 'test')
    assert [test[0].category] == [MODELNET_NAMES.index('thing05')]
    assert len(dataset.feature_names) == 3


def test_modelnet_text_names_what_is_wrong(tmp_path):
    home = write_modelnet_text(tmp_path, ['airplane_0001', 'flower_pot_0002', 'airplane_0003'])
    (home / 'airplane' / 'airplane_0003.txt').unlink()
    text = (home / 'flower_pot' / 'flower_pot_0002.txt').read_text()
    (home / 'flower_pot' / 'flower_pot_0002.txt').write_text(text[: len(text) // 2 + 7])
    dataset = open_dataset('modelnet40', tmp_path)
    assert dataset.describe().counts == {'train': {'shapes': 2}}
    assert dataset.describe().missing == ('airplane/airplane_0003.txt',)
    errors = list(dataset.verify())
    assert errors[0] is None
    assert 'flower_pot_0002.txt' in errors[1].message
    assert 'x,y,z,nx,ny,nz' in errors[1].message
    (home / 'modelnet40_train.txt').write_text('submarine_0001\n')
    with pytest.raises(DataError, match=r'modelnet40_train\.txt.*submarine'):
        open_dataset('modelnet40', tmp_path)
    (home / 'modelnet40_shape_names.txt').write_text('airplane\n')
    with pytest.raises(DataError, match='1 names, expected 40'):
        open_dataset('modelnet40', tmp_path)


def test_modelnet_hdf5_reads_the_listed_files_in_order(tmp_path):
    home = write_modelnet_hdf5(tmp_path, {'train': (3, 2), 'test': (1,)})
    dataset = open_dataset('modelnet40_hdf5', tmp_path, 'train')
    assert dataset.categories.tolist() == [0, 1, 2, 3, 4]
    frame = dataset[4]
    with h5py.File(home / 'ply_data_train1.h5') as file:
        np.testing.assert_array_equal(frame.points, file['data'][1])
    assert frame.name == 'ply_data_train1/00001'
    assert dataset.classes == MODELNET_NAMES
    assert dataset.describe().per_class['train']['flower_pot'] == 1
    assert len(open_dataset('modelnet40_hdf5', tmp_path, 'test')) == 1
    (home / 'ply_data_train1.h5').unlink()
    with pytest.raises(DataError, match=r'ply_data_train1\.h5 is missing'):
        open_dataset('modelnet40_hdf5', tmp_path, 'train')


def test_scanobjectnn_variants_are_files_of_their_own(tmp_path):
    files = {
        'pb_t50_rs': ('main_split/training_objectdataset_augmentedrot_scale75.h5', [14, 0, 3]),
        'obj_bg': ('main_split/training_objectdataset.h5', [1]),
        'obj_only': ('main_split_nobg/training_objectdataset.h5', [2, 2]),
    }
    for name, labels in files.values():
        write_scanobjectnn(tmp_path / 'h5_files', name, labels)
    for variant, (name, labels) in files.items():
        dataset = ScanObjectNN(tmp_path, 'train', variant)
        assert dataset.categories.tolist() == labels
        with h5py.File(tmp_path / 'h5_files' / name) as file:
            np.testing.assert_array_equal(dataset[0].points, file['data'][0])
        assert dataset_info(dataset.name).factory
        assert list(dataset.verify()) == [None] * len(labels)
    assert open_dataset('scanobjectnn_obj_only', tmp_path).name == 'scanobjectnn_obj_only'
    assert open_dataset('scanobjectnn', tmp_path).classes[14] == 'toilet'
    with pytest.raises(DataError, match=r'test_objectdataset_augmentedrot_scale75\.h5 is missing'):
        open_dataset('scanobjectnn', tmp_path, 'test')
    with pytest.raises(ConfigError, match='variant'):
        ScanObjectNN(tmp_path, variant='pb_t25')


def test_hdf5_shapes_are_checked(tmp_path):
    name = 'main_split/test_objectdataset.h5'
    path = write_scanobjectnn(tmp_path, name, [0, 15])
    with pytest.raises(DataError, match=r'labels 15, expected whole numbers in \[0, 15\)'):
        open_dataset('scanobjectnn_obj_bg', tmp_path, 'test')
    write_hdf5(path, data=np.zeros((2, 8, 3), np.float32))
    with pytest.raises(DataError, match='no array label among data'):
        open_dataset('scanobjectnn_obj_bg', tmp_path, 'test')
    write_scanobjectnn(tmp_path, name, [0, 1])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match='truncated'):
        open_dataset('scanobjectnn_obj_bg', tmp_path, 'test')


@pytest.mark.parametrize('name', ['shapenet55', 'modelnet40', 'modelnet40_hdf5', 'scanobjectnn'])
def test_other_splits_and_missing_folders_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="no split 'val'"):
        open_dataset(name, tmp_path, 'val')
    with pytest.raises(DataError, match='is missing'):
        open_dataset(name, tmp_path)
    with pytest.raises(DataError, match='no such folder'):
        open_dataset(name, tmp_path / 'nowhere')
