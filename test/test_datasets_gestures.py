# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SHREC'17 and NvGesture as PointLSTM prepares them."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_samples import hands
from PIL import Image

from pointata_core.datasets.actions.nvgesture import nvgesture
from pointata_core.datasets.actions.shrec17 import shrec17, shrec17_14
from pointata_core.datasets.errors import DataError
from pointata_core.datasets.sampling import ClipSampling

SHREC_ROWS = {
    'train': [(1, 1, 1, 1, 1, 1, 40), (2, 2, 4, 1, 2, 4, 90), (14, 2, 9, 5, 14, 28, 60)],
    'test': [(7, 1, 12, 2, 7, 13, 33)],
}


@pytest.fixture
def shrec(tmp_path):
    root, prepared = tmp_path / 'SHREC2017', tmp_path / 'Processed_SHREC2017'
    root.mkdir()
    for split, rows in SHREC_ROWS.items():
        lines = [' '.join(map(str, row)) for row in rows]
        (root / f'{split}_gestures.txt').write_text('\n'.join(lines) + '\n')
        for gesture, finger, subject, essai, *_ in rows:
            folder = prepared / (
                f'gesture_{gesture}/finger_{finger}/subject_{subject}/essai_{essai}'
            )
            folder.mkdir(parents=True)
            np.save(folder / 'pts_label.npy', hands(256, gesture, empty=(3,)))
    return root


@pytest.fixture
def nvidia(tmp_path):
    root = tmp_path / 'Nvidia'
    listed = {'train': [(4, 0), (12, 24), (7, 3)], 'test': [(2, 5)]}
    for split, videos in listed.items():
        lines = []
        for index, (subject, label) in enumerate(videos):
            name = f'{split}/class_{label + 1:02d}/subject{subject}_r0/{index:04d}_depth'
            path = f'./Nvidia/Processed/{name}_label_{label:02d}.npy'
            lines.append(f'{index:04d}\t{path}\t{label:02d}\n')
            points = root.parent / path.replace('.npy', '_pts.npy')
            points.parent.mkdir(parents=True)
            np.save(points, hands(512, index, empty=(0, 31)))
        (root / f'Processed/{split}_depth_list.txt').write_text(''.join(lines))
    return root


def test_shrec_labels_splits_and_names(shrec):
    train = shrec17(shrec)
    assert [clip.action for clip in train] == [0, 3, 27]
    assert [train.classes[clip.action] for clip in train] == [
        'grab, one finger', 'tap, whole hand', 'shake, whole hand',
    ]  # fmt: skip
    assert [clip.action for clip in shrec17_14(shrec)] == [0, 1, 13]
    assert [clip.subject for clip in shrec17(shrec, 'test')] == ['12']
    assert [clip.subject for clip in shrec17(shrec, 'validation')] == ['9']
    assert [clip.subject for clip in shrec17(shrec, 'fit')] == ['1', '4']


def test_shrec_points_are_metres_again_and_frames_without_a_hand_are_empty(shrec):
    clip = shrec17(shrec)[0]
    stored = hands(256, 1)
    row, column, depth = (stored[5, :, channel].astype(float) for channel in range(3))
    expected = np.stack([(column - 320) * depth, (row - 240) * depth, 463.889 * depth], axis=1)
    np.testing.assert_allclose(clip.points[5], expected / 463.889 / 1000, rtol=1e-5, atol=1e-7)
    assert len(clip) == 32
    assert len(clip.points[3]) == 0
    # Whole millimetres would be the stored, truncated form.
    assert np.abs(clip.points[5] * 1000 % 1 - 0.5).min() < 0.4
    filled = shrec17(shrec, sampling=ClipSampling('whole', points=128))[0]
    assert filled.points[3].shape == (128, 3)
    assert filled.valid.tolist() == [frame != 3 for frame in range(32)]


def test_shrec_reference_input_is_that_of_public_loaders(shrec):
    clip = shrec17(shrec, coordinates='reference')[0]
    stored = hands(256, 1, empty=(3,)).astype(float)
    for axis, channel, divisor in ((1, 0, 120), (0, 1, 160), (2, 2, stored[..., 2].std())):
        expected = (stored[..., channel] - stored[..., channel].mean()) / divisor
        found = np.stack([cloud[:, axis] for cloud in clip.points])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose([f[0, 0] for f in clip.features], np.arange(32) / 16 - 1)


def test_shrec_prepared_files_may_lie_with_the_lists_and_the_prepared_folder_may_be_given(shrec):
    prepared = shrec.with_name('Processed_SHREC2017')
    assert len(shrec17(prepared)) == 3
    for path in shrec.glob('*.txt'):
        path.rename(prepared / path.name)
    shrec.rmdir()
    assert len(shrec17(prepared)) == 3


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ('1 1 1 1 1 1', 'seven numbers'),
        ('1 1 1 1 x 1 40', "'1 1 1 1 x 1 40' in line 4"),
        ('1 1 1 1 15 1 40', 'labels 15 and 1'),
        ('1 1 1 1 1 0 40', 'labels 1 and 0'),
    ],
)
def test_shrec_list_errors_name_the_line(shrec, line, words):
    with (shrec / 'train_gestures.txt').open('a') as file:
        file.write(line + '\n')
    with pytest.raises(DataError, match=words):
        shrec17(shrec)


def test_shrec_missing_and_damaged_files_are_named(shrec):
    folder = shrec.with_name('Processed_SHREC2017')
    path = folder / 'gesture_2/finger_2/subject_4/essai_1/pts_label.npy'
    path.write_bytes(path.read_bytes()[:-100])
    problems = [error for error in shrec17(shrec).verify() if error]
    assert [error.path for error in problems] == [path]
    np.save(path, hands(256).astype(float))
    assert 'float64' in next(e for e in shrec17(shrec).verify() if e).message
    path.unlink()
    with pytest.raises(DataError, match='subject_4'):
        shrec17(shrec)
    assert shrec17(shrec, strict=False).describe().missing == (
        'gesture_2/finger_2/subject_4/essai_1/pts_label.npy',
    )
    (shrec / 'train_gestures.txt').unlink()
    with pytest.raises(DataError, match=r'train_gestures\.txt'):
        shrec17(shrec)


@pytest.fixture
def released(shrec):
    """One gesture as released: a hand of 20 x 30 pixels, another object in the box, one outside."""
    folder = shrec / 'gesture_2/finger_2/subject_4/essai_1'
    folder.mkdir(parents=True)
    for frame in (key * 90 // 32 for key in range(32)):
        image = np.zeros((480, 640), np.uint16)
        image[100:120, 200 + frame : 230 + frame] = 600 + frame
        image[130:135, 200 + frame : 205 + frame] = 500
        image[300:400, 300:400] = 900
        Image.fromarray(image).save(folder / f'{frame}_depth.png')
    boxes = [f'{frame} {190 + frame} 90 60 60' for frame in range(90)]
    (folder / 'general_informations.txt').write_text('\n'.join(boxes) + '\n')
    (
        shrec.with_name('Processed_SHREC2017')
        / 'gesture_2/finger_2/subject_4/essai_1/pts_label.npy'
    ).unlink()
    return folder


def test_shrec_hands_are_found_in_released_images(shrec, released):
    clip = shrec17(shrec)[1]
    assert (len(clip), clip.action, clip.subject) == (32, 3, '4')
    for key, cloud in enumerate(clip.points):
        frame = key * 90 // 32
        depth = (600 + frame) / 1000
        np.testing.assert_allclose(cloud[:, 2], depth, rtol=1e-6)
        # The median takes the four corners.
        assert len(cloud) == 20 * 30 - 4
        columns = cloud[:, 0] * 463.889 / depth + 320
        rows = cloud[:, 1] * 463.889 / depth + 240
        np.testing.assert_allclose(
            [columns.min(), columns.max(), rows.min(), rows.max()],
            [200 + frame, 229 + frame, 100, 119], atol=1e-2,
        )  # fmt: skip
    assert len(shrec17(shrec)[0].points[0]) == 256


@pytest.mark.parametrize(
    ('file', 'content', 'words'),
    [
        ('45_depth.png', None, 'a depth image'),
        ('45_depth.png', b'PNG', '16-bit PNG'),
        ('general_informations.txt', b'0 1 2 3 4\n', 'expected 90 rows'),
        ('general_informations.txt', b'a b\n', 'frame, x, y, width, height'),
    ],
)
def test_shrec_released_files_that_are_damaged_are_named(shrec, released, file, content, words):
    path = released / file
    path.unlink() if content is None else path.write_bytes(content)
    problems = [error for error in shrec17(shrec).verify() if error]
    assert [error.path for error in problems] == [path]
    assert words in problems[0].message


@pytest.mark.parametrize('options', [{'gestures': 20}, {'coordinates': 'inches'}])
def test_shrec_unknown_choices_are_refused(shrec, options):
    with pytest.raises(DataError, match=r'20|inches'):
        shrec17(shrec, **options)


def test_nvgesture_labels_splits_and_paths_of_another_machine(nvidia):
    assert [clip.action for clip in nvgesture(nvidia)] == [0, 24, 3]
    assert [clip.subject for clip in nvgesture(nvidia)] == ['4', '12', '7']
    assert [clip.subject for clip in nvgesture(nvidia, 'validation')] == ['12']
    assert [clip.subject for clip in nvgesture(nvidia, 'fit')] == ['4', '7']
    assert [clip.action for clip in nvgesture(nvidia / 'Processed', 'test')] == [5]


def test_nvgesture_reference_keeps_the_zeros_and_clean_leaves_them_out(nvidia):
    stored = hands(512, 0, empty=(0, 31))[..., 2].astype(float)
    reference = nvgesture(nvidia, coordinates='reference')[0]
    depth = np.stack([cloud[:, 2] for cloud in reference.points])
    expected = (stored - stored.mean()) / np.ptp(stored) * 2
    np.testing.assert_allclose(depth, expected, rtol=1e-4, atol=1e-5)
    clean = nvgesture(nvidia)[0]
    assert [len(cloud) for cloud in clean.points] == [0, *[512] * 30, 0]
    seen = stored[1:31]
    expected = (seen - seen.mean()) / np.ptp(seen) * 2
    found = np.stack([cloud[:, 2] for cloud in clean.points[1:31]])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert [float(f[0, 0]) for f in clean.features[1:3]] == [1 / 16 - 1, 2 / 16 - 1]


def test_nvgesture_missing_files_and_wrong_lines_are_named(nvidia):
    path = next((nvidia / 'Processed/train').rglob('*0001_depth_label_24_pts.npy'))
    path.unlink()
    with pytest.raises(DataError, match='0001_depth_label_24_pts'):
        nvgesture(nvidia)
    tolerant = nvgesture(nvidia, strict=False)
    assert len(tolerant) == 2
    assert tolerant.describe().missing == (str(path.relative_to(nvidia / 'Processed')),)
    listing = nvidia / 'Processed/train_depth_list.txt'
    listing.write_text(listing.read_text() + '0003\t./Nvidia/Processed/train/x.npy\t25\n')
    with pytest.raises(DataError, match='line 4'):
        nvgesture(nvidia)
    listing.unlink()
    with pytest.raises(DataError, match='train_depth_list'):
        nvgesture(nvidia)
    with pytest.raises(DataError, match='inches'):
        nvgesture(nvidia, coordinates='inches')
