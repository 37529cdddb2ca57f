# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shared fixtures: where real recordings lie, a small bundle, and a ROS domain of one's own."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# More threads add in another order: what runs here and what runs in a process of its own shall
# agree to the bit. Read when torch is imported, so it has to stand here.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
# A domain per process keeps parallel test runs from hearing each other.
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)
PROFILE = ROOT / 'config' / 'dds' / 'fastdds_large_clouds.xml'
if PROFILE.is_file():
    os.environ.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(PROFILE))


# A slow or busy machine is not a defect of the code under test.
settings.register_profile('patient', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('patient')


class _SkipWithout(importlib.abc.MetaPathFinder):
    """Skips what imports a library that is not installed (`make test-pythons` has no torch)."""

    def __init__(self, *libraries: str) -> None:
        self.absent = {name for name in libraries if importlib.util.find_spec(name) is None}

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition('.')[0] in self.absent:
            pytest.skip(f'{name} is not installed', allow_module_level=True)


_LIBRARIES = ('torch', 'lightning', 'ot', 'rclpy', 'sensor_msgs', 'builtin_interfaces')
sys.meta_path.insert(0, _SkipWithout(*_LIBRARIES))


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of real recordings; tests that need one skip where it is absent."""
    root = Path(os.environ.get('POINTATA_DATA', ROOT.parent / 'shared' / 'data'))
    if not root.is_dir():
        pytest.skip(f'no real recordings: {root} is absent (set POINTATA_DATA)')
    return root


@pytest.fixture(scope='session')
def untrained_bundle(tmp_path_factory) -> Path:
    """A bundle of the tiny preset with few tokens and random weights: quick, real, and useless."""
    import torch

    from pointata_core.bundles.bundle import save_bundle
    from pointata_core.bundles.manifest import Manifest
    from pointata_core.bundles.preparation_config import PreparationConfig
    from pointata_core.models.point.config import GeometryConfig, preset_config
    from pointata_core.models.point.pointata import PointATA
    from pointata_core.taxonomy import ACTION_CLASSES, SEGMENTATION_CLASSES

    config = preset_config(
        'tiny',
        geometry=GeometryConfig(tokens=32, patch_size=16, range_knee=1.0),
        segmentation_classes=SEGMENTATION_CLASSES,
        action_classes=ACTION_CLASSES,
        actor_class='person',
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = PointATA(config)
        for parameter in network.parameters():
            # Zero-initialised branches would hide mistakes in time and context.
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    preparation = PreparationConfig(max_voxels=2048, voxel_size_m=0.2)
    manifest = Manifest.for_network(
        'untrained', config.to_dict(), preset='tiny', preparation=preparation.to_dict()
    )
    path = tmp_path_factory.mktemp('bundles') / 'untrained'
    save_bundle(path, network, manifest)
    return path
