# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Charts put shares and actions where they belong, for any number of classes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from report_samples import sample_results

from pointata_core.evaluation.report.charts import LIGHT, action_chart, confusion_chart
from pointata_core.evaluation.report.page import write_report
from pointata_core.evaluation.results import ActionSegment


def pixels(png: bytes) -> np.ndarray:
    return imread(io.BytesIO(png))


def full_voxels(png: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels in the colour of a share of one."""
    image = pixels(png)
    same = np.abs(image[..., :3] - to_rgb(LIGHT.fill)).max(axis=-1) < 0.01
    return np.nonzero(same & (image[..., 3] > 0.99))


def spread(rows: np.ndarray, columns: np.ndarray) -> tuple[int, int]:
    return int(np.ptp(rows)), int(np.ptp(columns))


def test_rows_are_truth_and_columns_answers():
    # Whatever it is, everything is called "a": two full cells above each other.
    tall, _ = spread(*full_voxels(confusion_chart(np.array([[5, 0], [9, 0]]), ('a', 'b'), LIGHT)))
    one, width = spread(
        *full_voxels(confusion_chart(np.array([[5, 0], [0, 0]]), ('a', 'b'), LIGHT))
    )
    assert tall == pytest.approx(2 * one, rel=0.1)
    assert one == pytest.approx(width, rel=0.1)


def test_shares_are_of_the_row_not_of_the_whole():
    png = confusion_chart(np.diag([1, 1000]), ('rare', 'common'), LIGHT)
    rows, columns = full_voxels(png)
    middle = (rows.min() + rows.max()) / 2
    # A full cell in both halves, and the lower one to the right of the upper one.
    assert columns[rows < middle].mean() < columns[rows > middle].mean()


def test_classes_that_never_occur_take_no_room_and_no_answer_does_only_if_given():
    names = tuple('abcdefgh')
    few = np.zeros((8, 9), int)
    few[2, 2] = few[5, 5] = 3
    size = pixels(confusion_chart(few, names, LIGHT)).shape
    few[5, 8] = 1
    unanswered = pixels(confusion_chart(few, names, LIGHT)).shape
    assert unanswered[1] > size[1]
    assert pixels(confusion_chart(np.eye(8), names, LIGHT)).shape[1] > unanswered[1]


def test_counts_must_fit_the_classes():
    with pytest.raises(ValueError, match=r'expected \(2, 2\)'):
        confusion_chart(np.zeros((2, 4)), ('a', 'b'), LIGHT)


def test_legend_of_many_long_names_stays_inside_the_image():
    names = [f'draw circle counter clockwise {i}' for i in range(27)]
    rows = {'recognised': [ActionSegment(name, i, i + 1.0) for i, name in enumerate(names)]}
    image = pixels(action_chart(rows, names, 27.0, LIGHT))
    border = np.concatenate([image[:, :6, 3].ravel(), image[:, -6:, 3].ravel()])
    assert not border.any()
    assert not image[-6:, :, 3].any()


def test_report_shows_confusions_where_there_is_ground_truth(tmp_path):
    page = write_report(sample_results(), tmp_path).read_text(encoding='utf-8')
    assert 'id="confusion"' in page
    assert {'confusion.png', 'confusion_dark.png'} <= {p.name for p in tmp_path.iterdir()}
