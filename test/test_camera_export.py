# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``pointata domain-adapt`` ends with a bundle whose answers are those that were scored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from toy_domains import TASK, write_toy_domains

from pointata_core.bundles.bundle import load_camera_bundle
from pointata_core.datasets.camera.sample_config import SampleConfig
from pointata_core.datasets.camera.samples import make_sample
from pointata_core.inference.camera_session import CameraSession
from pointata_core.training.domain.batches import collate
from pointata_core.training.domain.domains import open_frames
from pointata_core.training.domain.settings import Domain

SAMPLES = {'grid': 256, 'voxel_m': 0.1, 'resize': [24, 16]}
TRAINING = {
    'depth': 18, 'width': 8, 'planes': [16, 16, 16], 'steps': 2, 'batch': 2, 'checkpoint_steps': 2,
    'device': 'cpu',
}  # fmt: skip


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> tuple[Path, dict]:
    """A finished run of the command, and what it printed."""
    root = tmp_path_factory.mktemp('export')
    write_toy_domains(root)
    settings = {'task': TASK, 'training': TRAINING}
    for name, folder in (('source', 'day'), ('target', 'night'), ('test', 'night_test')):
        settings[name] = {'dataset': 'exported', 'root': str(root / folder), 'samples': SAMPLES}
    (root / 'toy.yaml').write_text(yaml.safe_dump(settings))
    words = ['domain-adapt', '--config', root / 'toy.yaml', '--json', f'output={root / "run"}']
    words += ['licence=Apache-2.0']
    command = [sys.executable, '-m', 'pointata_core.cli.main', *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return root, json.loads(done.stdout)


def test_the_bundle_says_where_it_comes_from(run):
    root, printed = run
    manifest = load_camera_bundle(root / 'run' / 'bundle').manifest
    assert manifest.name == 'run_ftd'
    assert manifest.licence == 'Apache-2.0'
    assert manifest.segmentation_classes == open_frames(_domain(root), TASK).classes
    assert manifest.preparation.resize == (24, 16)
    assert manifest.preparation.voxel_m == 0.1
    facts = manifest.provenance
    assert facts['training']['steps'] == 2
    assert facts['scores'] == printed['first']
    assert facts['target'] == {'name': 'toy', 'split': 'night', 'frames': 5, 'task': TASK}


def test_the_session_gives_the_answers_that_were_scored(run):
    root, _ = run
    bundle = load_camera_bundle(root / 'run' / 'bundle')
    config = SampleConfig(**{**SAMPLES, 'resize': (24, 16)}).without_chance()
    frame = open_frames(_domain(root), TASK)[0]
    sample = make_sample(frame, config, np.random.default_rng(0))
    with torch.no_grad():
        expected = bundle.network(collate([sample])).cloud.softmax(1)
    answer = CameraSession(bundle).step(frame.points, 0)
    np.testing.assert_allclose(answer.probabilities, expected.amax(1), atol=1e-5)
    np.testing.assert_array_equal(answer.labels, expected.argmax(1))


def _domain(root: Path) -> Domain:
    return Domain('exported', str(root / 'night_test'))
