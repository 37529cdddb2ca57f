# SPDX-License-Identifier: Apache-2.0
"""Facts about data sets of actions and gestures.

Numbers of videos are those of the releases; numbers of clips are given where public loaders' own
clips could be counted, and hold for the options in ``check_options``.
"""

from __future__ import annotations

from pointata_core.datasets.info import DatasetInfo
from pointata_core.datasets.splits import SPLITS

_HERE = 'pointata_core.datasets.actions'
_TOLERANT = {'strict': False}
_NTU_LAYOUT = 'SsssCcccPpppRrrrAaaa.npz (or folders of masked depth PNG of that name)'
_NTU_DOWNLOAD = 'https://rose1.ntu.edu.sg/dataset/actionRecognition (signed request)'
_NTU_LICENCE = 'research only, by request'
_GESTURE_TOOLS = 'prepared with https://github.com/VIPL-SLP/pointlstm-gesture-recognition-pytorch'
_SHREC_LAYOUT = (
    'train_gestures.txt and test_gestures.txt, and in this folder or its sibling Processed_NAME '
    'gesture_G/finger_F/subject_S/essai_E/pts_label.npy (or the released images)'
)
_SHREC_DOWNLOAD = f'http://www-rech.telecom-lille.fr/shrec2017-hand/, {_GESTURE_TOOLS}'


def _ntu(classes: int, protocol: str, title: str, train: int, test: int) -> DatasetInfo:
    return DatasetInfo(
        name=f'ntu{classes}_{protocol}',
        title=f'NTU RGB+D {classes}, {title}',
        kind='clips',
        factory=f'{_HERE}.ntu_rgbd:ntu{classes}_{protocol}',
        splits=SPLITS,
        published={'train': {'videos': train}, 'test': {'videos': test}},
        classes=classes,
        layout=f'{_NTU_LAYOUT}, and the list ntu{classes}.list',
        download=_NTU_DOWNLOAD,
        licence=_NTU_LICENCE,
        citation='Shahroudy et al., CVPR 2016' if classes == 60 else 'Liu et al., TPAMI 2019',
        check_options=_TOLERANT,
    )


def _shrec(name: str, classes: int) -> DatasetInfo:
    return DatasetInfo(
        name=name,
        title=f"SHREC'17, {classes} gestures",
        kind='clips',
        factory=f'{_HERE}.shrec17:{name}',
        splits=SPLITS,
        published={'train': {'videos': 1960}, 'test': {'videos': 840}},
        classes=classes,
        layout=_SHREC_LAYOUT,
        download=_SHREC_DOWNLOAD,
        licence='research use',
        citation='De Smedt et al., 3DOR 2017',
        check_options=_TOLERANT,
    )


ACTION_DATASETS: tuple[DatasetInfo, ...] = (
    DatasetInfo(
        name='utd_mhad',
        title='UTD-MHAD',
        kind='clips',
        factory=f'{_HERE}.utd_mhad:utd_mhad',
        splits=SPLITS,
        published={'train': {'videos': 431}, 'test': {'videos': 430}},
        classes=27,
        layout='aA_sS_tT_depth.mat, in this folder or in Depth',
        download='https://personal.utdallas.edu/~kehtar/UTD-MHAD.html (Depth.zip)',
        licence='research only, no redistribution',
        citation='Chen, Jafari, Kehtarnavaz, ICIP 2015',
        check_options=_TOLERANT,
    ),
    DatasetInfo(
        name='radhar',
        title='RadHAR',
        kind='clips',
        factory=f'{_HERE}.radhar:radhar',
        splits=SPLITS,
        published={'train': {'clips': 12097}, 'test': {'clips': 3538}},
        classes=5,
        layout='Train/CLASS/NAME.txt and Test/CLASS/NAME.txt, or Train__CLASS__NAME.npz',
        download='https://github.com/nesl/RadHAR',
        licence='BSD-3-Clause',
        citation='Singh et al., mmNets 2019',
        axes='metres; x forward, y to where bearings are positive, z up',
        check_options=_TOLERANT,
    ),
    DatasetInfo(
        name='msr_action3d',
        title='MSR-Action3D',
        kind='clips',
        factory=f'{_HERE}.msr_action3d:msr_action3d',
        splits=SPLITS,
        published={'train': {'videos': 270}, 'test': {'videos': 297}},
        classes=20,
        layout='aAA_sSS_eEE_sdepth.bin, or .npz converted by MeteorNet',
        download='https://sites.google.com/view/wanqingli/data-sets/msr-action3d (Depth.rar)',
        licence='research use',
        citation='Li, Zhang, Liu, CVPR Workshops 2010',
        check_options=_TOLERANT,
    ),
    _ntu(60, 'xsub', 'cross-subject', 40320, 16560),
    _ntu(60, 'xview', 'cross-view', 37920, 18960),
    _ntu(120, 'xsub', 'cross-subject', 63360, 51120),
    _ntu(120, 'xset', 'cross-setup', 54720, 59760),
    _shrec('shrec17', 28),
    _shrec('shrec17_14', 14),
    DatasetInfo(
        name='nvgesture',
        title='NvGesture',
        kind='clips',
        factory=f'{_HERE}.nvgesture:nvgesture',
        splits=SPLITS,
        published={'train': {'videos': 1050}, 'test': {'videos': 482}},
        classes=25,
        layout='Processed/{train,test}_depth_list.txt and the *_pts.npy beside what they list',
        download=f'https://research.nvidia.com (request form), {_GESTURE_TOOLS}',
        licence='non-commercial research, by request',
        citation='Molchanov et al., CVPR 2016',
        axes='no unit; x right, y down, z depth code, each around its mean',
        check_options=_TOLERANT,
    ),
)
