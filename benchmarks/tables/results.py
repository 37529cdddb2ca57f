# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The results that tables are built from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pointata_core.errors import PointataError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'benchmarks' / 'results'


SCENES = {
    'street/hdl64': 'street, HDL-64',
    'street/vlp16': 'street, VLP-16',
    'yard/vlp16': 'yard, VLP-16',
    'indoor/rs16': 'room, RS-16',
    'indoor/kinect': 'room, depth camera',
}
"""Kinds of held-out scenes of the default bundle."""


class Results:
    """Files of results, read when a table first asks for them.

    Args:
        folder: The JSON files.
        models: The shipped bundles, whose manifests hold the scores of their training.
    """

    def __init__(self, folder: Path = FOLDER, models: Path = ROOT / 'models') -> None:
        self._folder, self._models = folder, models
        self._read: dict[Path, Any] = {}

    def __call__(self, name: str) -> Any:
        """The results of a benchmark, as its file has them.

        Raises:
            PointataError: There is no such file, or it holds no JSON.
        """
        return self._load(self._folder / f'{name}.json')

    def manifest(self, bundle: str) -> Any:
        """The manifest of a shipped bundle.

        Raises:
            PointataError: There is no such bundle.
        """
        return self._load(self._models / bundle / 'manifest.json')

    def runs(self, name: str, task: str | None = None, method: str | None = None) -> list[dict]:
        """Finished runs of an experiment, of one task and method or of all."""
        return [
            run
            for run in self(name)['runs']
            if task in (None, run['task']) and method in (None, run['method'])
        ]

    def _load(self, path: Path) -> Any:
        if path not in self._read:
            try:
                self._read[path] = json.loads(path.read_text(encoding='utf-8'))
            except (OSError, ValueError) as error:
                raise PointataError(
                    f'{path}: no results can be read ({error})', 'Run the benchmark that writes it'
                ) from error
        return self._read[path]


def methods(runs: list[dict]) -> list[str]:
    """Methods in the order of their first run."""
    return list(dict.fromkeys(run['method'] for run in runs))
