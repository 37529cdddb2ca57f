# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata teach BAG``: the label page in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pointata_core.errors import ConfigError

HOST = '127.0.0.1'


def serve_page(arguments: Any) -> int:
    """Open the folder, and serve it until interrupted."""
    import socket

    from pointata_core.bundles.bundle import load_bundle
    from pointata_core.cli.console import note
    from pointata_core.teaching.classes import read_classes
    from pointata_core.teaching.desk import Desk
    from pointata_core.teaching.opening import folder_of, is_project, open_project, token_of
    from pointata_core.teaching.server import make_app

    source = arguments.what
    words = [arguments.folder, *(arguments.overrides or ())]
    folder = next((word for word in words if word and '=' not in word), None)
    with socket.socket() as listening:
        _listen(listening, arguments.port)
        home = folder_of(source) if folder is None else Path(folder)
        if not is_project(home):
            note(f'{home}: taking scans from {source}')
        names = read_classes(arguments.classes) if arguments.classes else ()
        with open_project(
            source, folder, topic=arguments.topic, fixed_frame=arguments.fixed_frame or None
        ) as project:
            project.add_classes(names)
            if project.sequence.poses is None:
                note('note: the scans have no poses, so a correction stays in its scan')
            bundle = load_bundle(arguments.bundle)
            overrides = tuple(word for word in words if word and '=' in word)
            desk = Desk(project, bundle, arguments.config or '', overrides)
            token = token_of(project)
            app = make_app(desk, token)
            import uvicorn

            note(f'http://{HOST}:{listening.getsockname()[1]}/{token}/')
            note('Open this address in a browser. Ctrl-C ends; every correction is on disk.')
            desk.look()
            try:
                # No access log: it would hold the token.
                config = uvicorn.Config(app, log_level='warning', access_log=False)
                uvicorn.Server(config).run(sockets=[listening])
            finally:
                desk.jobs.stop()
    return 0


def _listen(listening: Any, port: int) -> None:
    import socket

    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()  # so that the address answers from when it is printed
    except OSError as error:
        raise ConfigError(
            f'port {port} is not free ({error.strerror})', 'Give another --port'
        ) from error
