# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata teach FOLDER`` in a process of its own, and a folder for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
from teaching_folders import street_project, truth_of

from pointata_core.bundles.bundle import load_bundle
from pointata_core.safe_files import write_json
from pointata_core.taxonomy import SEGMENTATION_CLASSES, class_id
from pointata_core.teaching.predictions import Prediction, bundle_digest, write_prediction
from pointata_core.teaching.segments import segment_scan

YARD = {'scene': 'yard', 'sensor': 'vlp16', 'frames': 2}
MIXES = {
    'frames': [{'recorded': 'semantickitti'}, {**YARD, 'seeds': [1, 2]}],
    'clips': [{'recorded': 'semantickitti'}, {**YARD, 'seeds': [2, 3], 'frames': 5}],
    'held_out': [{**YARD, 'seeds': [3, 4]}],
}
TINY_TRAINING = (
    f'data.options={json.dumps({"mixes": MIXES})}',
    'data.processes=1', 'device=cpu', 'precision=32',
    *(f'stages.{n}.optimiser.{name}=2' for n in (0, 1) for name in ('steps', 'batch')),
)  # fmt: skip
"""A recipe's values in a training of seconds."""
ROOT = Path(__file__).resolve().parents[1]


def labelled_street(
    path: Path, scans: int, mistaken: dict[str, str] | None = None, *, poses: bool = True
) -> Path:
    """A folder with the street, as if the default bundle had labelled it.

    Args:
        path: New.
        scans: How many.
        mistaken: Classes that it takes for others.
        poses: Whether the scans have any.
    """
    with street_project(path, scans, poses=poses) as project:
        for number in range(scans):
            scan, labels = project.scan(number), truth_of(number).copy()
            for true, other in (mistaken or {}).items():
                labels[truth_of(number) == class_id(true)] = class_id(other)
            nothing = np.zeros(len(labels), np.float32)
            write_prediction(project, number, Prediction(labels, nothing + 0.7, nothing, nothing))
            segment = segment_scan(scan.points, scan.intensity, labels, SEGMENTATION_CLASSES)
            project.set_segments(number, segment)
        facts = {'name': 'default', 'digest': bundle_digest(load_bundle('default'))}
        write_json(path / 'teach' / 'predictions' / 'bundle.json', facts)
    return path


class Server:
    """The command, and requests to it."""

    def __init__(self, folder: Path, port: int = 0, *words: str) -> None:
        command = ['-m', 'pointata_core.cli.main', 'teach', str(folder), *words]
        self.process = subprocess.Popen(
            [sys.executable, *command, '--port', str(port)], stderr=subprocess.PIPE, text=True,
            env={**os.environ, 'PYTHONPATH': str(ROOT)},
        )  # fmt: skip
        assert self.process.stderr is not None
        self.url = self.process.stderr.readline().strip().rstrip('/')
        assert self.url.startswith('http://127.0.0.1:'), self.url
        self.port = int(self.url.split(':')[2].split('/')[0])

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f'{self.url}/{path}', timeout=60) as answer:
            return answer.read()

    def post(self, path: str, **body: object):
        text = json.dumps(body).encode()
        with urllib.request.urlopen(f'{self.url}/{path}', text, timeout=60) as answer:
            return json.loads(answer.read())

    def end(self, how: int = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
