# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Long work beside the server, in a process of its own that reports in lines of JSON.

``python -m pointata_core.teaching.job NAME '{"folder": ..., ...}'`` prints any number of
``{"stage": "labelling", "done": 3, "of": 100}`` and then one of ``{"result": ...}`` and
``{"message": ..., "fix": ...}``. It reads corrections as they are when it begins, while the server
goes on taking others.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

from pointata_core.errors import PointataError

_PERIOD_S = 0.2


def look(folder: str, bundle: str) -> Any:
    """Label all scans with a bundle, and cut them into segments."""
    from pointata_core.bundles.bundle import load_bundle
    from pointata_core.teaching.predictions import predict
    from pointata_core.teaching.project import Project

    with Project(folder, reading=True) as project, progress('labelling scans') as report:
        predict(project, load_bundle(bundle), report=report)
        return {'scans': len(project)}


def learn(folder: str, bundle: str, config: str, output: str, overrides: list[str]) -> Any:
    """Train a bundle further on the corrections; the result is in the folder of the run."""
    from pointata_core.teaching.learning import learn as learn_from
    from pointata_core.teaching.project import Project
    from pointata_core.training.engine.settings import read_settings
    from pointata_core.training.skill.settings import TrainingSettings

    settings = read_settings(TrainingSettings, config, [f'output={output}', *overrides])
    with Project(folder, reading=True) as project:
        found = learn_from(project, bundle, settings, progress=progress)
    return {'bundle': str(found.bundle)}


def serve(bundle: str) -> Any:
    """Let running nodes load a bundle."""
    from pointata_core.teaching.serving import swap_into_nodes

    return {'nodes': swap_into_nodes(bundle)}


_JOBS: dict[str, Callable[..., Any]] = {'look': look, 'learn': learn, 'serve': serve}


@contextmanager
def progress(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Report a stage; see :data:`pointata_core.training.skill.stages.Reporter`."""
    last = -1.0

    def report(done: int, of: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= of or now - last > _PERIOD_S:
            last = now
            _print({'stage': stage, 'done': done, 'of': of})

    _print({'stage': stage, 'done': 0, 'of': 0})
    yield report


def _print(facts: Any) -> None:
    print(json.dumps(facts), file=_out, flush=True)


def main(name: str, facts: str) -> int:
    """Do a job."""
    try:
        _print({'result': _JOBS[name](**json.loads(facts))})
    except PointataError as error:
        _print({'message': error.message, 'fix': error.fix})
        return 1
    return 0


def _end_with_server() -> None:
    """Wait until the other end of the input is closed; a job without its server is of no use."""
    sys.stdin.read()
    os._exit(1)


if __name__ == '__main__':
    Thread(target=_end_with_server, daemon=True).start()
    _out, sys.stdout = sys.stdout, sys.stderr  # libraries print, too
    sys.exit(main(*sys.argv[1:]))
else:
    _out = sys.stdout
