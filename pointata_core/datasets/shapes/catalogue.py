# SPDX-License-Identifier: Apache-2.0
"""Facts about data sets of 3D shapes."""

from __future__ import annotations

from pointata_core.datasets.info import DatasetInfo

_HERE = 'pointata_core.datasets.shapes'
_OBJECT_AXES = 'no unit; axes of the files'


def _scan_objects(
    name: str, title: str, factory: str, layout: str, train: int, test: int
) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        title=f'ScanObjectNN, {title}',
        kind='frames',
        factory=f'{_HERE}.scanobjectnn:{factory}',
        splits=('train', 'test'),
        published={'train': {'shapes': train}, 'test': {'shapes': test}},
        classes=15,
        layout=layout,
        download='https://hkust-vgd.github.io/scanobjectnn/ (form)',
        licence='research only, by request',
        citation='Uy et al., ICCV 2019',
        axes=_OBJECT_AXES,
        library='h5py',
    )


SHAPE_DATASETS: tuple[DatasetInfo, ...] = (
    DatasetInfo(
        name='shapenet55',
        title='ShapeNet-55',
        kind='frames',
        factory=f'{_HERE}.shapenet55:ShapeNet55',
        splits=('train', 'test'),
        published={'train': {'shapes': 41_952}, 'test': {'shapes': 10_518}},
        classes=55,
        layout='ShapeNet55-34/shapenet_pc/*.npy and ShapeNet55-34/ShapeNet-55/{train,test}.txt',
        download='https://github.com/yuxumin/PoinTr (ShapeNet55-34)',
        licence='research only, by registration with ShapeNet',
        citation='Chang et al., arXiv:1512.03012; Yu et al., CVPR 2022',
        axes=_OBJECT_AXES,
    ),
    DatasetInfo(
        name='modelnet40',
        title='ModelNet40, resampled',
        kind='frames',
        factory=f'{_HERE}.modelnet40:ModelNet40Text',
        splits=('train', 'test'),
        published={'train': {'shapes': 9_843}, 'test': {'shapes': 2_468}},
        classes=40,
        layout='modelnet40_normal_resampled with modelnet40_{shape_names,train,test}.txt',
        download='https://shapenet.cs.stanford.edu/media/modelnet40_normal_resampled.zip',
        licence='research use',
        citation='Wu et al., CVPR 2015; Qi et al., NIPS 2017',
        axes=_OBJECT_AXES,
    ),
    DatasetInfo(
        name='modelnet40_hdf5',
        title='ModelNet40, HDF5',
        kind='frames',
        factory=f'{_HERE}.modelnet40_hdf5:ModelNet40Hdf5',
        splits=('train', 'test'),
        published={'train': {'shapes': 9_840}, 'test': {'shapes': 2_468}},
        classes=40,
        layout='modelnet40_ply_hdf5_2048 with {train,test}_files.txt and shape_names.txt',
        download='https://shapenet.cs.stanford.edu/media/modelnet40_ply_hdf5_2048.zip',
        licence='research use',
        citation='Wu et al., CVPR 2015; Qi et al., CVPR 2017',
        axes=_OBJECT_AXES,
        library='h5py',
    ),
    _scan_objects(
        'scanobjectnn',
        'PB-T50-RS',
        'ScanObjectNN',
        'main_split/{training,test}_objectdataset_augmentedrot_scale75.h5',
        train=11_416,
        test=2_882,
    ),
    _scan_objects(
        'scanobjectnn_obj_bg',
        'OBJ-BG',
        'with_background',
        'main_split/{training,test}_objectdataset.h5',
        train=2_309,
        test=581,
    ),
    _scan_objects(
        'scanobjectnn_obj_only',
        'OBJ-ONLY',
        'without_background',
        'main_split_nobg/{training,test}_objectdataset.h5',
        train=2_309,
        test=581,
    ),
    DatasetInfo(
        name='shapenet_part',
        title='ShapeNetPart',
        kind='frames',
        factory=f'{_HERE}.shapenet_part:ShapeNetPart',
        splits=('train', 'val', 'test', 'trainval'),
        published={
            'train': {'shapes': 12_137},
            'val': {'shapes': 1_870},
            'test': {'shapes': 2_874},
        },
        classes=50,
        layout='shapenetcore_partanno_segmentation_benchmark_v0_normal with train_test_split',
        download='https://shapenet.cs.stanford.edu/media/ '
        '(shapenetcore_partanno_segmentation_benchmark_v0_normal.zip)',
        licence='research only, by registration with ShapeNet',
        citation='Yi et al., SIGGRAPH Asia 2016; Qi et al., NIPS 2017',
        axes=_OBJECT_AXES,
    ),
)
