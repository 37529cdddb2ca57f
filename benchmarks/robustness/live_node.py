# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of a live node share: its name, bundles good and bad, the conditions."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import benchmarks.robustness.middleware  # noqa: F401 - sets RMW_IMPLEMENTATION
from pointata_core.evaluation.environment import environment

NAME = '/perception_node'


def prepare_bundles(bundle: Path, folder: Path) -> dict[str, Path]:
    """A bundle, a copy of it, and three that must be refused."""
    backbones = bundle.parent / 'backbones'
    copies = {'first': bundle, 'absent': folder / 'absent'}
    for name in ('second', 'damaged', 'unreadable'):
        copies[name] = folder / name / bundle.name
        shutil.copytree(bundle, copies[name])
        if backbones.is_dir():
            shutil.copytree(backbones, folder / name / 'backbones')
    weights = next(copies['damaged'].glob('skill*.safetensors'))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0xFF
    weights.write_bytes(data)
    (copies['unreadable'] / 'manifest.json').write_text('{"format": ')
    return copies


def conditions() -> dict[str, Any]:
    """When and on what a run began; recorded with its results."""
    return {
        **environment(),
        'middleware': os.environ['RMW_IMPLEMENTATION'],
        'omp_num_threads': os.environ.get('OMP_NUM_THREADS', ''),
    }
