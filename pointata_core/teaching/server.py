# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A folder to teach in, served to a browser on this machine.

Paths begin with a token, so that other users and other pages cannot reach the folder. Arrays are
little-endian bytes without a header; all else is JSON.

===========================  ====================================================================
``GET /TOKEN/``              the page, ``pointata_core/teaching/page``
``GET project``              scans, classes with colours, number of edits
``GET scans/N/points``       float32 ``(N, 4)``: x, y, z in metres, intensity
``GET scans/N/labels``       uint16 ``(N,)``: of the person, else of the bundle
``GET scans/N/by``           int32 ``(N,)``, see :class:`~pointata_core.teaching.project.Known`
``GET scans/N/segments``     int32 ``(N,)``
``GET scans/N/before``       uint16 ``(N,)`` of the bundle; ``after``: of the bundle that learned
``GET scans/N/probability``  float32 ``(N,)`` of the bundle's label
``GET suggestions``          scans worth a look; ``scans/N/suggestions``: segments worth a click
``POST scans/N/click``       ``{"segment": 3, "class": "car"}``
``POST scans/N/points``      ``{"index": [1, 2], "class": "car"}``
``POST scans/N/confirm``     ``{"index": [1, 2]}``: these labels of the bundle are right
``POST scans/N/split``       ``{"index": [1, 2]}``: returns the new segment
``POST undo``, ``redo``      returns the edit, or null
``POST learn``               begins to learn; ``GET learned`` has the outcome of the last run
``POST serve``               ``{"although_worse": false}``: writes the bundle, nodes load it
``GET job``                  how far labelling, learning or serving is
===========================  ====================================================================

An edit is ``{"edit": 7, "scans": [2, 3]}``. It is on disk before the answer leaves. With
``"carry_over": false`` a label stays in its scan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from pointata_core.errors import ConfigError, PointataError
from pointata_core.teaching.desk import Desk
from pointata_core.teaching.views import NotFound, Views

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

PAGE = Path(__file__).parent / 'page'


def make_app(desk: Desk, token: str) -> Starlette:
    """The server's application.

    Args:
        desk: What requests work with.
        token: First part of all paths.

    Raises:
        ConfigError: The library is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.routing import Mount, Route
        from starlette.staticfiles import StaticFiles
    except ImportError as error:
        raise ConfigError(
            'the server needs starlette and uvicorn',
            "Install them: pip install 'pointata_ros[teach]'",
        ) from error
    views = Views(desk)
    scan = '/scans/{scan:int}'
    get: dict[str, Callable[[Request], Any]] = {
        '/project': views.project,
        '/job': views.job,
        '/learned': views.learned,
        '/suggestions': views.suggested_scans,
        f'{scan}/suggestions': views.suggested_segments,
        f'{scan}/{{what:str}}': views.array,
    }
    post: dict[str, Callable[[Request, Mapping[str, Any]], Any]] = {
        '/learn': views.learn,
        '/serve': views.serve,
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
    page = Mount('/', StaticFiles(directory=PAGE, html=True))
    return Starlette(routes=[Mount(f'/{token}', routes=[*routes, page])])


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
    except NotFound as error:
        return JSONResponse({'message': str(error), 'fix': ''}, 404)
    except PointataError as error:
        return JSONResponse({'message': error.message, 'fix': error.fix}, 400)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        message = f'{type(error).__name__}: {error}'
        return JSONResponse({'message': message, 'fix': 'See the table of requests'}, 400)
    if isinstance(found, np.ndarray):
        return Response(found.tobytes(), media_type='application/octet-stream')
    return JSONResponse(found)
