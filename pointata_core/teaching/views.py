# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What requests of the label page do with the folder, see :mod:`.server`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pointata_core.taxonomy import SEGMENTATION_CLASSES, SEGMENTATION_COLOURS, UNLABELLED
from pointata_core.teaching.clicks import confirm, label_points, label_segment, split_segment
from pointata_core.teaching.desk import Desk
from pointata_core.teaching.edits import Edit
from pointata_core.teaching.predictions import Prediction, prediction_path, read_prediction
from pointata_core.teaching.propagation import DEFAULT_REACH, THIS_SCAN, Reach
from pointata_core.teaching.suggestions import (
    Candidate,
    candidate,
    choose,
    class_weights,
    suggest_segments,
)

if TYPE_CHECKING:
    from starlette.requests import Request

_SUGGESTED = 20
# Colours of classes of the folder's own.
_OTHER = ((255, 110, 0), (0, 230, 150), (255, 80, 210), (120, 110, 255), (210, 255, 60))


class NotFound(Exception):
    """No such path."""


class Views:
    """One method for each request.

    Args:
        desk: What they work with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk, self._project = desk, desk.project
        self._kept_weights: NDArray[np.float64] | None = None
        # With the last edit of the scan at that time: scans that nobody touched stay as they are.
        self._candidates: dict[int, tuple[Edit | None, Candidate]] = {}

    def project(self, request: Request) -> Any:
        """Scans and classes."""
        own = self._project
        colours = dict(zip(SEGMENTATION_CLASSES, SEGMENTATION_COLOURS, strict=True))
        scans = [
            {
                'name': own.name(n),
                'points': own.points(n),
                'corrected': any(edit.what.get('scan') == n for edit in own.edits),
            }
            for n in range(len(own))
        ]
        classes = [
            {'name': name, 'colour': colours.get(name, _OTHER[number % len(_OTHER)])}
            for number, name in enumerate(own.classes.names)
        ]
        return {
            'folder': str(own.folder),
            'bundle': self._desk.bundle.manifest.name,
            'scans': scans,
            'classes': classes,
            'edits': len(own.edits),
            'poses': own.sequence.poses is not None,
        }

    def suggested_scans(self, request: Request) -> Any:
        """Scans worth a look; none until all are labelled."""
        if not self._desk.labelled:
            return []
        project = self._project
        seen = {edit.what['scan'] for edit in project.edits if 'scan' in edit.what}
        most = min(len(project), _SUGGESTED)
        last = {scan: edit for edit in project.edits for scan in edit.scans}
        candidates = [self._candidate(number, last.get(number)) for number in range(len(project))]
        found = choose(candidates, most, [candidates[number] for number in seen])
        return [{'name': project.name(one.scan), **asdict(one)} for _, one in found]

    def _candidate(self, number: int, last: Edit | None) -> Candidate:
        kept = self._candidates.get(number)
        if kept is None or kept[0] is not last:
            kept = last, candidate(self._project, number, self._weights)
            self._candidates[number] = kept
        return kept[1]

    @property
    def _weights(self) -> NDArray[np.float64]:
        """Of classes; predictions that are complete do not change any more."""
        if self._kept_weights is None:
            self._kept_weights = class_weights(self._project)
        return self._kept_weights

    def suggested_segments(self, request: Request) -> Any:
        """Segments of a scan worth a click; none until all scans are labelled."""
        number = self._scan(request)
        if not self._desk.labelled:
            return []
        found = suggest_segments(self._project, number, self._weights, _SUGGESTED)
        return [asdict(one) for one in found]

    def job(self, request: Request) -> Any:
        """State of the last job."""
        return self._desk.state()

    def learned(self, request: Request) -> Any:
        """What was learned last."""
        return self._desk.learned()

    def learn(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Begin to learn."""
        self._desk.learn()
        return self._desk.state()

    def serve(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Write the bundle, and let nodes load it."""
        target = self._desk.serve(bool(body.get('although_worse')))
        return {'bundle': str(target)}

    def array(self, request: Request) -> np.ndarray:
        """Values of all points of a scan."""
        number, what = self._scan(request), request.path_params['what']
        project = self._project
        if what == 'points':
            scan = project.scan(number)
            return np.column_stack([scan.points, scan.intensity]).astype('<f4')
        if what == 'probability':
            return self._prediction(number).probability.astype('<f4')
        known = project.known(number)
        if what == 'by':
            return known.by.astype('<i4')
        if what == 'segments':
            return known.segment.astype('<i4')
        if what == 'labels':
            own = project.classes.labels(known.words)
            return np.where(known.by != 0, own, self._prediction(number).labels).astype('<u2')
        if what == 'before':
            return self._prediction(number).labels.astype('<u2')
        if what == 'after':
            after = self._desk.labels_after(number)
            if after is None:
                raise NotFound(f'the last run did not label scan {number}')
            return after.astype('<u2')
        raise NotFound(f'a scan has no {what}')

    def click(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Label a segment."""
        number, name = self._scan(request), _class(body)
        return _edit(label_segment(self._project, number, int(body['segment']), name, _reach(body)))

    def points(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Label some points."""
        number, name = self._scan(request), _class(body)
        index = self._index(number, body)
        return _edit(label_points(self._project, number, index, name, _reach(body)))

    def confirm(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Labels of the bundle are right."""
        number = self._scan(request)
        labels, index = self._prediction(number).labels, self._index(number, body)
        return _edit(confirm(self._project, number, index, labels, _reach(body)))

    def split(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Make points a segment."""
        number = self._scan(request)
        return {'segment': split_segment(self._project, number, self._index(number, body))}

    def undo(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Take the last edit back."""
        return _edit(self._project.undo())

    def redo(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Do it again."""
        return _edit(self._project.redo())

    def _prediction(self, number: int) -> Prediction:
        """Of a scan; nothing is labelled where the bundle has not come to it yet."""
        if prediction_path(self._project, number).is_file():
            return read_prediction(self._project, number)
        points = self._project.points(number)
        nothing: NDArray[np.float32] = np.zeros(points, np.float32)
        return Prediction(np.full(points, UNLABELLED, np.uint16), nothing, nothing, nothing)

    def _scan(self, request: Request) -> int:
        number = request.path_params['scan']
        if number >= len(self._project):
            raise NotFound(f'there is no scan {number}')
        return number

    def _index(self, number: int, body: Mapping[str, Any]) -> np.ndarray:
        index = np.array(body['index'], np.int64)
        if index.ndim != 1 or ((index < 0) | (index >= self._project.points(number))).any():
            raise ValueError(f'index is no list of points of scan {number}')
        return index


def _class(body: Mapping[str, Any]) -> str | None:
    name = body['class']
    return None if name is None else str(name)


def _reach(body: Mapping[str, Any]) -> Reach:
    return DEFAULT_REACH if body.get('carry_over', True) else THIS_SCAN


def _edit(edit: Edit | None) -> Any:
    return None if edit is None else {'edit': edit.number, 'scans': list(edit.scans)}
