# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One click labels a part of a scan, and the same places in scans before and after it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teaching_folders import street, street_project, truth_of

from pointata_core.errors import ConfigError
from pointata_core.taxonomy import SEGMENTATION_CLASSES, UNLABELLED, class_id
from pointata_core.teaching.clicks import (
    confirm,
    inside_lasso,
    label_points,
    label_segment,
    split_segment,
)
from pointata_core.teaching.propagation import THIS_SCAN, Reach, carried_over
from pointata_core.teaching.segments import DEFAULT_SIZES, SegmentSettings, heights, segment_scan

CAR, ROAD = class_id('car'), class_id('road')


def cut(points, labels, intensity=None, settings=DEFAULT_SIZES):
    bright = np.zeros(len(points), np.float32) if intensity is None else intensity
    return segment_scan(
        points.astype(np.float32), bright.astype(np.float32), labels.astype(np.uint16),
        SEGMENTATION_CLASSES, settings,
    )  # fmt: skip


def purity(segments, truth) -> float:
    table = np.zeros((segments.max() + 1, len(SEGMENTATION_CLASSES)))
    np.add.at(table, (segments, truth), 1)
    return table.max(1).sum() / table.sum()


def test_a_segment_holds_one_label_and_things_apart_are_segments() -> None:
    points, truth = street()
    segments = cut(points, truth)
    assert purity(segments, truth) == 1
    left = np.unique(segments[(truth == CAR) & (points[:, 0] < 2)])
    right = np.unique(segments[(truth == CAR) & (points[:, 0] >= 2)])
    assert len(left) == len(right) == 1 and left != right
    roads = np.unique(segments[truth == ROAD])
    assert 8 <= len(roads) <= 60, 'large parts are cut'
    assert sorted(set(segments)) == list(range(segments.max() + 1))
    np.testing.assert_array_equal(cut(points, truth), segments)


def test_a_border_that_the_bundle_missed_is_found_by_height_and_intensity() -> None:
    points, truth = street()
    one = np.where(truth == class_id('sidewalk'), ROAD, truth).astype(np.uint16)
    plain = SegmentSettings(height=0, slope=0, intensity=0)
    ground = (truth == ROAD) | (truth == class_id('sidewalk'))
    noise = np.random.default_rng(0).normal(0, 0.1, len(truth))
    bright = np.where(truth == ROAD, 0.1, 0.6) + noise
    found = purity(cut(points, one, bright)[ground], truth[ground])
    assert found > 0.93
    assert found > purity(cut(points, one, bright, plain)[ground], truth[ground]) + 0.03


def test_heights_are_over_the_ground() -> None:
    points, truth = street()
    found = heights(points)
    assert np.abs(np.median(found[truth == ROAD])) < 0.1
    assert 0.3 < np.median(found[truth == CAR]) < 1.6


@given(st.lists(st.tuples(*[st.floats(-100, 100, width=32)] * 3), max_size=30), st.integers(0, 9))
@settings(max_examples=40)
def test_every_usable_point_has_a_segment_of_its_label(rows, seed) -> None:
    points = np.array(rows, np.float32).reshape(-1, 3)
    rng = np.random.default_rng(seed)
    points[rng.random(len(points)) < 0.2] = np.nan
    labels = rng.choice([0, 3, 8, UNLABELLED], len(points)).astype(np.uint16)
    segments = cut(points, labels)
    usable = np.isfinite(points).all(1) & (np.linalg.norm(points.astype(float), axis=1) < 80)
    assert ((segments >= 0) == usable).all()
    for segment in np.unique(segments[usable]):
        assert len(set(labels[segments == segment])) == 1


@pytest.fixture(scope='module')
def segments(tmp_path_factory) -> list[np.ndarray]:
    found = []
    with street_project(tmp_path_factory.mktemp('segments')) as one:
        for number in range(len(one)):
            labels = np.where(truth_of(number) == ROAD, ROAD, class_id('building'))
            scan = one.scan(number)
            found.append(cut(scan.points, labels, scan.intensity))
    return found


@pytest.fixture
def project(tmp_path, segments):
    with street_project(tmp_path / 'street') as one:
        for number, segment in enumerate(segments):
            one.set_segments(number, segment)
        yield one


def segment_at(project, scan, label) -> int:
    segments = project.known(scan).segment[truth_of(scan) == label]
    return int(np.bincount(segments).argmax())


def test_a_click_labels_a_segment_and_its_place_in_other_scans(project) -> None:
    road = segment_at(project, 1, ROAD)
    edit = label_segment(project, 1, road, 'road', Reach(scans=2))
    assert set(edit.scans) == {0, 1, 2, 3}
    known = project.known(1)
    np.testing.assert_array_equal(known.by == edit.number, known.segment == road)
    assert (project.classes.labels(known.words[known.segment == road]) == ROAD).all()
    for other in (0, 2, 3):
        found = project.known(other)
        reached = found.by == -edit.number
        assert reached.sum() > 0.5 * (known.segment == road).sum()
        assert (truth_of(other)[reached] == ROAD).mean() > 0.98
        at_rest = project.scan(other).points[reached, 0] + 0.5 * other
        own = project.scan(1).points[known.segment == road, 0] + 0.5
        assert at_rest.min() > own.min() - 0.5 and at_rest.max() < own.max() + 0.5
    project.undo()
    assert not any(project.known(number).by.any() for number in range(4))


def test_no_label_of_a_person_is_overwritten_from_another_scan(project) -> None:
    road = segment_at(project, 1, ROAD)
    same = np.flatnonzero(truth_of(2) == ROAD)[::2]
    first = label_points(project, 2, same, 'terrain', THIS_SCAN)
    label_segment(project, 1, road, 'road')
    known = project.known(2)
    assert (known.by[same] == first.number).all()
    assert (known.by == -2).any()
    label_points(project, 2, np.flatnonzero(known.by == -2), 'sidewalk', THIS_SCAN)
    assert not (project.known(2).by == -2).any(), 'the person decides in the scan itself'


def test_things_that_move_are_carried_over_to_few_scans(project) -> None:
    index = np.flatnonzero(truth_of(0) == CAR).astype(np.int32)
    for name, expected in (('car', {1}), ('building', {1, 2, 3})):
        labels = np.full(len(index), class_id(name), np.uint16)
        found = carried_over(project, 0, index, labels, Reach(moving_scans=1))
        assert {change.scan for change in found} == expected


def test_without_poses_a_correction_stays_in_its_scan(tmp_path) -> None:
    with street_project(tmp_path / 'p', 2, poses=False) as project:
        assert label_points(project, 0, [1, 2, 3], 'car').scans == (0,)


def test_a_split_part_is_labelled_alone(project) -> None:
    road = segment_at(project, 0, ROAD)
    members = np.flatnonzero(project.known(0).segment == road)
    part = members[project.scan(0).points[members, 0] < 1]
    segment = split_segment(project, 0, part)
    assert segment == 1_000_001
    label_segment(project, 0, segment, 'terrain', THIS_SCAN)
    assert np.flatnonzero(project.known(0).by).tolist() == part.tolist()
    project.set_segments(0, np.zeros(len(truth_of(0)), np.int32))
    assert np.flatnonzero(project.known(0).segment == segment).tolist() == part.tolist()
    project.undo()
    project.undo()
    assert not (project.known(0).segment == segment).any()


def test_all_of_these_are_right_leaves_what_a_person_labelled(project) -> None:
    label_points(project, 0, [0, 1], 'terrain', THIS_SCAN)
    predicted = truth_of(0).copy()
    predicted[5] = UNLABELLED
    confirm(project, 0, np.arange(8), predicted, THIS_SCAN)
    known = project.known(0)
    assert known.by[:9].tolist() == [1, 1, 2, 2, 2, 0, 2, 2, 0]
    labels = project.classes.labels(known.words)
    assert labels[:2].tolist() == [class_id('terrain')] * 2
    np.testing.assert_array_equal(labels[[2, 3, 4, 6, 7]], truth_of(0)[[2, 3, 4, 6, 7]])
    with pytest.raises(ConfigError, match='no points'):
        confirm(project, 0, np.arange(8), predicted)


def test_something_of_no_class_is_confirmed_as_such(project) -> None:
    label_points(project, 0, [4], None)
    known = project.known(0)
    assert known.words[4] == 0 and known.confirmed[4]


def test_a_lasso_takes_what_is_inside_and_in_front() -> None:
    view = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]], float)  # along x
    points = np.array([(2, 0, 0), (2, 1.9, 0), (-2, 0, 0), (np.nan, 0, 0), (4, 1.9, 0)])
    outline = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    assert inside_lasso(points, view, outline).tolist() == [0, 4]


def test_what_is_not_there_is_named(project) -> None:
    with pytest.raises(ConfigError, match='no segment 123456'):
        label_segment(project, 0, 123456, 'car')
    with pytest.raises(ConfigError, match="no class 'trolley'"):
        label_segment(project, 0, segment_at(project, 0, ROAD), 'trolley')
    assert not project.edits
