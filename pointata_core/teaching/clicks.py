# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a person does with a scan: label a segment or some points, split one, confirm the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.path import Path as Outline
from numpy.typing import ArrayLike, NDArray

from pointata_core.errors import ConfigError
from pointata_core.taxonomy import UNLABELLED
from pointata_core.teaching.edits import Edit, ScanChange
from pointata_core.teaching.project import Project
from pointata_core.teaching.propagation import DEFAULT_REACH, Reach, carried_over

_FIRST_SPLIT = 1_000_000  # numbers of segments that a person split off begin here


def label_segment(
    project: Project, scan: int, segment: int, name: str | None, reach: Reach = DEFAULT_REACH
) -> Edit:
    """Give a segment a class; one click.

    Args:
        project: Open.
        scan: Its number.
        segment: Number of the segment.
        name: Of the class; ``None`` for something that is none of the classes.
        reach: How far in time the label is carried over.

    Raises:
        ConfigError: There is no such segment or class.
        OutputError: The correction cannot be written.
    """
    index = np.flatnonzero(project.known(scan).segment == segment).astype(np.int32)
    if segment < 0 or not len(index):
        raise ConfigError(f'scan {scan} has no segment {segment}', 'Choose one that it has')
    what = {'kind': 'segment', 'scan': scan, 'segment': segment, 'class': name}
    return _label(project, scan, index, _number(project, name, len(index)), what, reach)


def label_points(
    project: Project, scan: int, index: ArrayLike, name: str | None, reach: Reach = DEFAULT_REACH
) -> Edit:
    """Give some points a class: a brush.

    Raises:
        ConfigError: There is no such class, or no point.
        OutputError: The correction cannot be written.
    """
    rows = _rows(index)
    what = {'kind': 'points', 'scan': scan, 'class': name}
    return _label(project, scan, rows, _number(project, name, len(rows)), what, reach)


def confirm(
    project: Project,
    scan: int,
    index: ArrayLike,
    predicted: NDArray[np.uint16],
    reach: Reach = DEFAULT_REACH,
) -> Edit:
    """Say that labels of the bundle are right; labels that a person gave stay.

    Args:
        project: Open.
        scan: Its number.
        index: Which points.
        predicted: ``(N,)`` labels of all points of the scan; unlabelled ones are not confirmed.
        reach: How far in time the labels are carried over.

    Raises:
        ConfigError: None of the points has a label to confirm.
        OutputError: The correction cannot be written.
    """
    rows = _rows(index)
    free = ~project.known(scan).confirmed[rows] & (predicted[rows] != UNLABELLED)
    rows = rows[free]
    return _label(
        project, scan, _rows(rows), predicted[rows], {'kind': 'confirm', 'scan': scan}, reach
    )


def split_segment(project: Project, scan: int, index: ArrayLike) -> int:
    """Make points a segment of their own; returns its number.

    Raises:
        ConfigError: There are no points.
        OutputError: It cannot be written.
    """
    rows = _rows(index)
    segment = _FIRST_SPLIT + len(project.edits) + 1
    change = ScanChange(scan, rows, segment=np.full(len(rows), segment, np.int32))
    project.record({'kind': 'split', 'scan': scan, 'segment': segment}, [change])
    return segment


def inside_lasso(
    points: NDArray[np.floating], view: NDArray[np.floating], outline: ArrayLike
) -> NDArray[np.int32]:
    """Points whose image lies inside a line that was drawn on the screen.

    Args:
        points: ``(N, 3)``.
        view: ``(4, 4)`` from points to clip coordinates, as in OpenGL.
        outline: ``(K, 2)`` corners, -1..1 across the screen.
    """
    clip = np.column_stack([points, np.ones(len(points))]) @ np.asarray(view, np.float64).T
    front = np.isfinite(clip).all(1) & (clip[:, 3] > 0)
    screen = clip[front, :2] / clip[front, 3:]
    inside = Outline(np.asarray(outline, np.float64)).contains_points(screen)
    return np.flatnonzero(front)[inside].astype(np.int32)


def _label(
    project: Project,
    scan: int,
    rows: NDArray[np.int32],
    labels: NDArray[np.uint16],
    what: dict[str, Any],
    reach: Reach,
) -> Edit:
    before = project.known(scan).words[rows]
    words = project.classes.words(labels, before)
    seen = np.ones(len(rows), np.bool_)
    others = carried_over(project, scan, rows, labels, reach)
    return project.record(what, [ScanChange(scan, rows, words, seen), *others])


def _number(project: Project, name: str | None, count: int) -> NDArray[np.uint16]:
    label = UNLABELLED if name is None else project.classes.number(name)
    return np.full(count, label, np.uint16)


def _rows(index: ArrayLike) -> NDArray[np.int32]:
    rows = np.unique(np.asarray(index, np.int32))
    if not len(rows):
        raise ConfigError('no points are chosen', 'Choose at least one')
    return rows
