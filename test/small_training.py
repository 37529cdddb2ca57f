# Copyright 2026 the pointata_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A data set, a backbone and settings that train within seconds, for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from pointata_core.bundles.bundle import save_bundle
from pointata_core.bundles.manifest import Manifest
from pointata_core.bundles.preparation_config import PreparationConfig
from pointata_core.datasets.actions.radhar import CLASSES
from pointata_core.models.point.config import BackboneConfig, GeometryConfig, NetworkConfig
from pointata_core.models.point.pointata import PointATA

BACKBONE = BackboneConfig(width=24, depth=3, heads=2, encoder_hidden=(8, 12), encoder_width=24)
GEOMETRY = GeometryConfig(tokens=6, patch_size=4, tube_radius=0.5, context_neighbours=3)
# Metres a frame: forward, back, up, down, not at all.
VELOCITIES = np.array([(0.06, 0, 0), (-0.06, 0, 0), (0, 0, 0.06), (0, 0, -0.06), (0, 0, 0)])


def write_radar(folder: Path, recordings: int = 5, frames: int = 16, points: int = 24) -> Path:
    """Radar recordings of five classes that differ in how a blob of points moves."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, name in enumerate(CLASSES):
        for number in range(1, recordings + 1):
            rng = np.random.default_rng([label, number])
            start = np.array([2.0, 0.0, 1.0]) + rng.normal(0, 0.1, 3)
            rows = []
            for t in range(frames):
                cloud = start + VELOCITIES[label] * t + rng.normal(0, 0.12, (points, 3))
                rows.append(np.c_[cloud, rng.normal(0, 1, (points, 5))])
            np.savez(
                folder / f'Train__{name}__run_{number}.npz',
                points=np.concatenate(rows).astype(np.float32),
                frame_start=np.arange(frames, dtype=np.int32) * points,
                frame_time=np.arange(frames) / 30.0,
            )
    return folder


def write_backbone(folder: Path) -> Path:
    """A bundle with a tiny random backbone whose statistics are not those of initialisation."""
    config = NetworkConfig(
        backbone=BACKBONE,
        geometry=GEOMETRY,
        adapter_width=4,
        segmentation_blocks=(3,),
        action_classes=('a', 'b'),
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = PointATA(config)
        for name, buffer in network.backbone.named_buffers():
            if name.endswith('running_var'):
                buffer.uniform_(0.5, 2.0)
    manifest = Manifest.for_network(
        'source', config.to_dict(), preparation=PreparationConfig().to_dict()
    )
    save_bundle(folder, network, manifest)
    return folder


def write_config(path: Path, data: Path, backbone: Path, /, **changes: Any) -> Path:
    """YAML of a run that takes a second or two; ``changes`` replace whole sections."""
    values = {
        'name': 'small',
        'output': str(path.parent / 'run'),
        'precision': '32',
        'device': 'cpu',
        'checkpoint_steps': 5,
        'data': {
            'name': 'radhar',
            'root': str(data),
            'sampling': {'window': 'uniform', 'frames': 6, 'pick': 'middle'},
            'variants': 2,
            'cache': str(path.parent / 'cache'),
        },
        'preparation': {
            'scale_m': 1.0,
            'origin': 'first_frame',
            'voxel_size_m': 0.02,
            'range_knee_m': 0.0,
            'max_voxels': 64,
        },
        'augmentation': {'rotation_deg': 10.0, 'scale': [0.95, 1.05], 'keep': 0.8},
        'network': {
            'backbone': str(backbone),
            'geometry': {
                'tokens': 6, 'patch_size': 4, 'tube_radius': 0.5, 'context_neighbours': 3,
            },
            'adapter_width': 6,
            'adapted_blocks': 2,
            'context_width': 6,
            'segmentation_blocks': [3],
            'readout_width': 16,
            'readout_frames': 6,
            'position_width': 8,
            'motion_lags': [1, 3],
            'dropout': 0.1,
        },
        'optimiser': {'epochs': 3, 'batch': 4, 'learning_rate': 3e-3},
        'step_augmentation': {'time_warp': 0.3},
        'align': {
            'shapes': 40, 'points': 128, 'epochs': 3, 'batch': 16,
            'otdd': {'label_distance': 'none'},
        },
    }  # fmt: skip
    values.update(changes)
    path.write_text(yaml.safe_dump(values))
    return path
