# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder to teach in, served to a browser on this machine.

Paths begin with a token, so that other users and other pages cannot reach the folder. Arrays are
little-endian bytes without a header; all else is JSON.

===========================  ====================================================================
``GET /TOKEN/project``       scans, classes with colours, number of edits
``GET scans/N/points``       float32 ``(N, 4)``: x, y, z in metres, intensity
``GET scans/N/labels``       uint16 ``(N,)``: of the person, else of the bundle
``GET scans/N/by``           int32 ``(N,)``, see :class:`~pointata_core.teaching.project.Known`
``GET scans/N/segments``     int32 ``(N,)``
``GET scans/N/probability``  float32 ``(N,)`` of the bundle's label
``GET suggestions``          scans worth a look; ``scans/N/suggestions``: segments worth a click
``POST scans/N/click``       ``{"segment": 3, "class": "car"}``
``POST scans/N/points``      ``{"index": [1, 2], "class": "car"}``
``POST scans/N/confirm``     ``{"index": [1, 2]}``: these labels of the bundle are right
``POST scans/N/split``       ``{"index": [1, 2]}``: returns the new segment
``POST undo``, ``redo``      returns the edit, or null
===========================  ====================================================================

An edit is ``{"edit": 7, "scans": [2, 3]}``. It is on disk before the answer leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from pointata_core.errors import ConfigError, PointataError
from pointata_core.taxonomy import SEGMENTATION_CLASSES, SEGMENTATION_COLOURS
from pointata_core.teaching.clicks import confirm, label_points, label_segment, split_segment
from pointata_core.teaching.edits import Edit
from pointata_core.teaching.predictions import read_prediction
from pointata_core.teaching.project import Project
from pointata_core.teaching.suggestions import class_weights, suggest_scans, suggest_segments

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_SUGGESTED = 20
_OTHER = (160, 160, 160)  # colour of a class of the folder's own


def make_app(project: Project, token: str) -> Starlette:
    """The server's application.

    Args:
        project: Open, with predictions.
        token: First part of all paths.

    Raises:
        ConfigError: The library is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Mount, Route
    except ImportError as error:
        raise ConfigError(
            'the server needs starlette and uvicorn',
            "Install them: pip install 'pointata_ros[teach]'",
        ) from error
    views = _Views(project)
    scan = '/scans/{scan:int}'
    get: dict[str, Callable[[Request], Any]] = {
        '/project': views.project,
        '/suggestions': views.suggested_scans,
        f'{scan}/suggestions': views.suggested_segments,
        f'{scan}/{{what:str}}': views.array,
    }
    post: dict[str, Callable[[Request, Mapping[str, Any]], Any]] = {
        '/undo': views.undo,
        '/redo': views.redo,
        f'{scan}/click': views.click,
        f'{scan}/points': views.points,
        f'{scan}/confirm': views.confirm,
        f'{scan}/split': views.split,
    }
    lock = Lock()  # requests run in threads; the folder is used by one at a time
    routes = [Route(path, _answering(view, lock), methods=['GET']) for path, view in get.items()]
    routes += [_posted(path, view, lock) for path, view in post.items()]
    return Starlette(routes=[Mount(f'/{token}', routes=routes)])


class _Views:
    """What requests do with the folder."""

    def __init__(self, project: Project) -> None:
        self._project, self._weights = project, class_weights(project)

    def project(self, request: Request) -> Any:
        own, colours = (
            self._project,
            dict(zip(SEGMENTATION_CLASSES, SEGMENTATION_COLOURS, strict=True)),
        )
        scans = [{'name': own.name(n), 'points': own.points(n)} for n in range(len(own))]
        classes = [
            {'name': name, 'colour': colours.get(name, _OTHER)} for name in own.classes.names
        ]
        return {'scans': scans, 'classes': classes, 'edits': len(own.edits)}

    def suggested_scans(self, request: Request) -> Any:
        most = min(len(self._project), _SUGGESTED)
        return [asdict(one) for one in suggest_scans(self._project, self._weights, most)]

    def suggested_segments(self, request: Request) -> Any:
        found = suggest_segments(self._project, self._scan(request), self._weights, _SUGGESTED)
        return [asdict(one) for one in found]

    def array(self, request: Request) -> np.ndarray:
        number, what = self._scan(request), request.path_params['what']
        project = self._project
        if what == 'points':
            scan = project.scan(number)
            return np.column_stack([scan.points, scan.intensity]).astype('<f4')
        if what == 'probability':
            return read_prediction(project, number).probability.astype('<f4')
        known = project.known(number)
        if what == 'by':
            return known.by.astype('<i4')
        if what == 'segments':
            return known.segment.astype('<i4')
        if what == 'labels':
            own, predicted = project.classes.labels(known.words), read_prediction(project, number)
            return np.where(known.by != 0, own, predicted.labels).astype('<u2')
        raise _NotFound(f'a scan has no {what}')

    def click(self, request: Request, body: Mapping[str, Any]) -> Any:
        number, name = self._scan(request), _class(body)
        return _edit(label_segment(self._project, number, int(body['segment']), name))

    def points(self, request: Request, body: Mapping[str, Any]) -> Any:
        number, name = self._scan(request), _class(body)
        return _edit(label_points(self._project, number, self._index(number, body), name))

    def confirm(self, request: Request, body: Mapping[str, Any]) -> Any:
        number = self._scan(request)
        labels = read_prediction(self._project, number).labels
        return _edit(confirm(self._project, number, self._index(number, body), labels))

    def split(self, request: Request, body: Mapping[str, Any]) -> Any:
        number = self._scan(request)
        return {'segment': split_segment(self._project, number, self._index(number, body))}

    def undo(self, request: Request, body: Mapping[str, Any]) -> Any:
        return _edit(self._project.undo())

    def redo(self, request: Request, body: Mapping[str, Any]) -> Any:
        return _edit(self._project.redo())

    def _scan(self, request: Request) -> int:
        number = request.path_params['scan']
        if number >= len(self._project):
            raise _NotFound(f'there is no scan {number}')
        return number

    def _index(self, number: int, body: Mapping[str, Any]) -> np.ndarray:
        index = np.array(body['index'], np.int64)
        if index.ndim != 1 or ((index < 0) | (index >= self._project.points(number))).any():
            raise ValueError(f'index is no list of points of scan {number}')
        return index


class _NotFound(Exception):
    """No such path."""


def _class(body: Mapping[str, Any]) -> str | None:
    name = body['class']
    return None if name is None else str(name)


def _edit(edit: Edit | None) -> Any:
    return None if edit is None else {'edit': edit.number, 'scans': list(edit.scans)}


def _answering(view: Callable[[Request], Any], lock: Lock) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return _response(lambda: view(request), lock)

    return answer


def _posted(path: str, view: Callable[[Request, Mapping[str, Any]], Any], lock: Lock) -> Any:
    from starlette.concurrency import run_in_threadpool
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        text = await request.body()

        def work() -> Any:
            body = json.loads(text or b'{}')
            if not isinstance(body, dict):
                raise ValueError('the body is no JSON object')
            return view(request, body)

        return await run_in_threadpool(_response, work, lock)

    return Route(path, answer, methods=['POST'])


def _response(work: Callable[[], Any], lock: Lock) -> Response:
    from starlette.responses import JSONResponse, Response

    try:
        with lock:
            found = work()
    except _NotFound as error:
        return JSONResponse({'message': str(error), 'fix': ''}, 404)
    except PointataError as error:
        return JSONResponse({'message': error.message, 'fix': error.fix}, 400)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        message = f'{type(error).__name__}: {error}'
        return JSONResponse({'message': message, 'fix': 'See the table of requests'}, 400)
    if isinstance(found, np.ndarray):
        return Response(found.tobytes(), media_type='application/octet-stream')
    return JSONResponse(found)
